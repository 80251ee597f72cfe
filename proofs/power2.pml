/* SPDX-License-Identifier: Apache-2.0 */
/* durability = power, two arrays: home A, other B; T1 over both, then power loss, recovery by array, another loss.
 * A row's durable word is any word stored since the last fdatasync of its `state`; a key as in power.pml.
 * After each somebody may take an array away whose row is free: who is left must get through without it.
 *
 * MAXP  power losses   MAXK  deaths without one, after which recovery comes as well
 * M=60 PREPARED not synced before the home row commits   M=61 COMMITTED before it is durable   M=62 home cleared early
 * M=63 the home told before the other is synced   M=64 the home told, and not synced   M=65 who finds it told does not
 * sync it   M=66 recovery tells it before the other is synced   M=67 ... and does not sync it   M=68 what is rolled back is
 * not synced   M=69 who finishes B leaves a home alone that is SEALED again   M=58 a sync of PREPARED fails, and what is
 * taken back is not synced */
#ifndef M
#define M 0
#endif
#ifndef MAXP
#define MAXP 2
#endif
#ifndef MAXK
#define MAXK 0
#endif
#define FREE 0
#define ACTIVE 1
#define PREPARED 2
#define SEALED 3
#define COMMITTED 4
#define TOLD 5
#define COUNTS (row[0] == COMMITTED || row[0] == TOLD)
byte row[2], pr[2];  /* word of the only row of each array; pr: durable candidates (bits) */
bool key[2], kold[2];  /* 1: new; kold: the old entry may still come back */
bool st[2]; bool stsync; bool vis; byte epoch, np, nk, ended, started; bool away[2];
#define SET(a,s) row[a]=s; pr[a]=pr[a]|(1<<s)
#define FS(a) pr[a]=1<<row[a]
#define S(A) atomic { if :: epoch!=e -> goto fin :: d_step { epoch==e && true; A } fi }
inline ren(a) {
  S(if :: st[a] -> st[a] = 0; key[a] = 1; kold[a] = 1 :: else fi;)
  S(kold[a] = 0;)
}

proctype T(byte e) {
  S(SET(0, ACTIVE);)
  S(SET(1, ACTIVE);)
  S(st[0] = 1; st[1] = 1;)
  S(stsync = 1;)
  S(FS(0);)
  S(FS(1);)
  S(SET(1, PREPARED);)
#if M!=60
  if
  :: S(FS(1);)
  :: S(SET(1, ACTIVE);) /* it fails: taken back, for good; then both are given up */
#if M!=58
     S(FS(1);)
#endif
     S(SET(1, FREE);)
     S(SET(0, FREE); st[0] = 0; st[1] = 0;)
     goto fin
  fi;
#endif
#if M!=61
  S(SET(0, SEALED);)
  S(FS(0);)
#endif
  S(SET(0, COMMITTED); vis = 1;)
#if M==61
  S(FS(0);)
#endif
  S(SET(1, COMMITTED);) /* [W5-others] */
#if M!=63
  S(FS(1);)
#endif
  S(SET(0, TOLD);) /* [W5-told] */
#if M!=64
  S(FS(0);)
#endif
#if M==62
  S(SET(0, FREE);)
  S(FS(0);)
#endif
  ren(0); ren(1);
  S(SET(1, FREE);)
#if M!=62
  S(SET(0, FREE);)
#endif
fin:
  ended++
}

inline home() {
  if :: row[0] == SEALED -> S(FS(0);) S(SET(0, COMMITTED); vis = 1;) :: else fi
}

/* the home first: the other knows, and the home that it does, both for good, before the other is cleared */
inline finishhome() {
  if
  :: row[0] == TOLD ->
#if M!=65
     S(FS(0);)
#else
     skip
#endif
  :: row[0] == COMMITTED ->
     S(assert(!away[1]); /* stuck: put it back */
       if :: row[1] == PREPARED -> SET(1, COMMITTED) :: else fi;) /* [F-tell] */
#if M!=66
     S(FS(1);)
#endif
     S(SET(0, TOLD);)
#if M!=67
     S(FS(0);)
#endif
  :: else /* the power went */
  fi;
  if :: row[1] != FREE -> ren(1); S(SET(1, FREE);) :: else fi; /* [F-others] */
  ren(0);
  S(SET(0, FREE);)
}

/* it never committed, and for good: its home may go next. (ACTIVE: its owner died as he took it back) */
inline release() {
  S(SET(1, FREE);)
#if M!=68
  S(FS(1);)
#endif
}

inline finishother() {
  if
  :: row[1] == COMMITTED -> ren(1); S(SET(1, FREE);)
  :: row[1] == PREPARED -> S(assert(!away[0]);) release() /* stuck: put it back */
  :: row[1] == ACTIVE -> release()
  :: else
  fi
}

proctype RA(byte e) {
  /* recovery beginning at either row; atomic choice = SLOT of home held */
  if
  :: atomic { epoch == e }
     home();
     if
     :: COUNTS -> finishhome()
     :: row[0] == ACTIVE -> if :: row[1] == PREPARED || row[1] == ACTIVE -> release() :: else fi; S(SET(0, FREE);)
     :: else
     fi;
     finishother()
  :: atomic { epoch == e }
     if :: row[1] == PREPARED || (row[1] == COMMITTED && M != 69) -> home() :: else fi;
     if :: row[1] != FREE && COUNTS -> finishhome() :: else -> finishother() fi;
     home();
     if
     :: COUNTS -> finishhome()
     :: row[0] == ACTIVE -> if :: row[1] == PREPARED || row[1] == ACTIVE -> release() :: else fi; S(SET(0, FREE);)
     :: else
     fi
  :: epoch != e
  fi;
fin:
  ended++
}

/* Somebody takes an array away, of which nothing is left to do. */
inline depart() {
  if
  :: row[0] == FREE && !away[1] -> away[0] = 1
  :: row[1] == FREE && !away[0] -> away[1] = 1
  :: skip
  fi
}

init {
  byte c, a; pr[0] = 1; pr[1] = 1; started = 1;
  atomic { run T(0) }
  do
  :: np < MAXP ->
     atomic {
       np++; epoch++; a = 0;
       do
       :: a < 2 ->
          c = 0;
          do :: (pr[a]>>c)&1 -> break :: (pr[a]>>c)>1 -> c++ od;
          row[a] = c; pr[a] = 1<<c;
          if :: kold[a] -> if :: key[a] = 0; st[a] = 1 :: skip fi; kold[a] = 0 :: else fi;
          if :: st[a] && !stsync -> st[a] = 0 :: else fi;
          a++
       :: else -> break
       od;
       a = 0; c = 0; depart(); started++; run RA(epoch)
     }
  :: nk < MAXK ->
     atomic { nk++; epoch++; depart(); started++; run RA(epoch) }
  :: np == MAXP && ended == started -> break
  od;
  skip;
  d_step {
    assert(row[0] == FREE && row[1] == FREE);
    assert(away[0] || key[0] == vis); assert(away[1] || key[1] == vis)
  }
}

