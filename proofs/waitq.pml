/* SPDX-License-Identifier: Apache-2.0 */
/* How a released lock finds its waiters.  Who was refused a kernel lock writes {range, mode, ticket} into the *waits*
 * field of his row, the ticket last (0: waits for nothing), and sleeps on a futex word of that row.  Who releases a
 * lock looks at the rows afterwards, and wakes.  In reality a sleeper looks again after 50 ms in any case: the net.
 * Here there is none: a lost wake-up is a process that sleeps for ever, an invalid end state.
 *
 * What the net is for, and what therefore does not happen here: whoever owes somebody a wake-up is killed before he
 * has paid it (a holder, a releaser between unlock and wake, a sleeper that was woken and has not looked since).
 *
 * Two lock bytes, as a set (1, 2, or 3: both in one call).  Process i takes one range, shared or exclusive, lets it go,
 * and ends.  Up to MAXG waiters give up, when they are refused or while they sleep (time-out, interrupt); up to MAXD
 * are killed, and leave their *waits* behind.  (How many is chosen at the start: one who sleeps for ever must not be
 * saved by a death or a time-out that would not come.)
 *
 * CFG=1  A, A+B, B      CFG=2  A, A, A+B      CFG=3  A+B, A+B, A      CFG=4  A exclusive, A shared, A shared
 * CFG=5  A+B, A, B      CFG=6  A+B exclusive, A shared, A shared    CFG=7  A, A
 *        and in these A and B are held at first by two processes more, which let them go
 * BARGE  one more comes by, takes A if it is free, in one try and without a row, and lets it go
 * REUSE  one more takes the row of somebody who was killed, and waits there for LATE (2: B)
 * COARSE a releaser looks at the rows and wakes in one step (for the larger configurations)
 *
 * M=120 registers after the try           M=121 looks at the rows before the unlock
 * M=122 wakes one only                    M=123 a dead sleeper counts as woken
 * M=124 who gives up does not pass the wake-up on
 * M=125 what a dead sleeper may have swallowed is not taken for free
 * M=126 the ticket is not looked at again after the wake-up
 * M=127 the futex word is loaded after the try      M=128 no bump, only the wake-up
 * M=129 a shared waiter bars another shared one (is it needed?)
 * M=130 a woken sleeper is killed before it looks (that is what the net is for)
 * M=131 as 130, for who holds the lock */
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#ifndef MAXD
#define MAXD 1
#endif
#ifndef MAXG
#define MAXG 1
#endif
#ifndef LATE
#define LATE 2
#endif
#if CFG==1
#define NP 3
#define RANGE(i) (i==0 -> 1 : (i==1 -> 3 : 2))
#define SHARED(i) false
#elif CFG==2
#define NP 3
#define RANGE(i) (i==2 -> 3 : 1)
#define SHARED(i) false
#elif CFG==3
#define NP 3
#define RANGE(i) (i==2 -> 1 : 3)
#define SHARED(i) false
#elif CFG==4
#define NP 3
#define RANGE(i) 1
#define SHARED(i) (i!=0)
#elif CFG==5
#define NP 3
#define HELD
#define RANGE(i) (i==0 -> 3 : (i==1 -> 1 : 2))
#define SHARED(i) false
#elif CFG==6
#define NP 3
#define HELD
#define RANGE(i) (i==0 -> 3 : 1)
#define SHARED(i) (i!=0)
#else
#define NP 2
#define HELD
#define RANGE(i) 1
#define SHARED(i) false
#endif
#ifdef REUSE
#define NREUSE 1
#else
#define NREUSE 0
#endif

byte xl[2], sl[2];                       /* the kernel's locks: held exclusively, number of shared holders */
byte range[NP], ticket[NP]; bool shd[NP]; /* *waits* of the rows */
bool bumped[NP];                         /* the futex word has changed since its owner loaded it */
bool asleep[NP], owed[NP], gone[NP];     /* owed: woken, has not looked since; gone: owner killed, row to be taken */
byte clock, deaths, quits, ended;

#define CAN(r,s) ((!((r)&1) || (xl[0]==0 && (s || sl[0]==0))) && (!((r)&2) || (xl[1]==0 && (s || sl[1]==0))))
inline take(r,s) {
  if :: (r&1) && s -> sl[0]++ :: (r&1) && !s -> xl[0] = 1 :: else fi;
  if :: (r&2) && s -> sl[1]++ :: (r&2) && !s -> xl[1] = 1 :: else fi
}

inline drop(r,s) {
  if :: (r&1) && s -> sl[0]-- :: (r&1) && !s -> xl[0] = 0 :: else fi;
  if :: (r&2) && s -> sl[1]-- :: (r&2) && !s -> xl[1] = 0 :: else fi
}

inline register() {
#ifdef COARSE
  atomic { range[me] = r; shd[me] = s; clock++; ticket[me] = clock }
#else
  range[me] = r; shd[me] = s;
  atomic { clock++; ticket[me] = clock }
#endif
}

/* Copies the *waits* fields, one word after the other. */
inline scan() {
  do
  :: j < NP -> tk[j] = ticket[j]; atomic { if :: tk[j] != 0 -> rg[j] = range[j]; sh[j] = shd[j] :: else fi; j++ }
  :: else -> j = 0; break
  od
}

/* Does waiter q, woken before, bar waiter j? */
#if M==129
#define BARS(q,j) ((rg[q]&rg[j])!=0)
#else
#define BARS(q,j) ((rg[q]&rg[j])!=0 && !(sh[q] && sh[j]))
#endif

/* futex_wake says how many were woken. */
#if M==123
#define WAKE asleep[best] = false; ok = true
#else
#define WAKE if :: asleep[best] -> asleep[best] = false; owed[best] = true; ok = true :: else fi
#endif

#if M==126
#define SAME true
#else
#define SAME (ticket[best]==tk[best])                   /* still the waiter whose range was read */
#endif
#if M==125
#define SWALLOWED skip
#else
#define SWALLOWED freed = freed|rg[best]                /* nobody there: he may have been woken for it before */
#endif
#define WOKEN done = done|(1<<best); \
  if :: ok && SAME -> woken = woken|(1<<best) :: else -> SWALLOWED fi; ok = false; best = 0

/* Wakes who may want `rel`, the oldest first, and of the others who is not barred by somebody woken before.
 * done: rows dealt with; woken: rows that are awake now. */
inline wake(rel) {
  freed = rel;
  do
  :: atomic {
       skip;
       d_step {
         best = NP;
         do
         :: j < NP ->
            if
            :: tk[j] != 0 && (rg[j]&freed) != 0 && !((done>>j)&1) && (best == NP || tk[j] < tk[best]) ->
               ok = true;
               do
               :: q < NP -> if :: ((woken>>q)&1) && BARS(q, j) -> ok = false :: else fi; q++
               :: else -> q = 0; break
               od;
               if :: ok -> best = j :: else fi
            :: else
            fi;
            j++
         :: else -> j = 0; break
         od;
         ok = false
       }
       if
       :: best == NP -> break
#if M==122
       :: best != NP && woken != 0 -> break
#endif
       :: else
       fi;
#if M!=128
       bumped[best] = true;
#endif
       skip
     }
     atomic { WAKE }
     atomic { WOKEN }
  od
}

#ifdef COARSE
#define LOOKWAKE(r) atomic { scan(); wake(r); CLEAR }
#else
#define LOOKWAKE(r) scan(); wake(r)
#endif
#define CLEAR j = 0; do :: j < NP -> tk[j] = 0; rg[j] = 0; sh[j] = 0; j++ :: else -> break od; \
  j = 0; q = 0; best = 0; done = 0; woken = 0; freed = 0; ok = 0

proctype P(byte i) {
  byte r, j, q, best, done, woken, freed, me, tk[NP], rg[NP]; bool s, sh[NP], ok;
  if
  :: i < NP -> atomic { me = i; r = RANGE(i); s = SHARED(i) }
#ifdef REUSE
  :: i == NP && ended == NP -> goto fin  /* nobody was killed */
  :: atomic { i == NP && gone[0] -> gone[0] = false; me = 0; r = LATE; ticket[0] = 0 }
  :: atomic { i == NP && gone[1] -> gone[1] = false; me = 1; r = LATE; ticket[1] = 0 }
#endif
  fi;
  /* the usual case: nothing is written down */
  if :: atomic { CAN(r, s) -> take(r, s) } goto mine :: !CAN(r, s) fi;
#if M!=120
  register();  /* [Q-register] */
#endif
again:
#if M!=127
  bumped[me] = false;
#endif
  atomic {  /* [Q-try] */
    owed[me] = false;
    if :: CAN(r, s) -> take(r, s); goto mine :: else fi
  }
  if :: skip :: atomic { quits > 0 -> quits--; goto giveup } fi;
#if M==120
  if :: ticket[me] == 0 -> register() :: else fi;
#endif
#if M==127
  bumped[me] = false;
#endif
  atomic { if :: !bumped[me] -> asleep[me] = true :: else -> goto again fi }  /* [Q-sleep] */
  if
  :: !asleep[me] -> goto again
  :: atomic { quits > 0 -> quits--; asleep[me] = false; goto giveup }
  :: atomic { deaths > 0 && asleep[me] -> deaths--; asleep[me] = false; gone[me] = true; goto fin }
#if M==130
  :: atomic { deaths > 0 && owed[me] -> deaths--; owed[me] = false; gone[me] = true; goto fin }
#endif
  fi;
giveup:
  atomic { ticket[me] = 0; owed[me] = false; bumped[me] = false }
#if M!=124
  LOOKWAKE(r);
#endif
  goto fin;
mine:
  atomic { ticket[me] = 0; bumped[me] = false }
#if M==121
  scan();
#endif
#if M==131
  if :: skip :: atomic { deaths > 0 -> deaths--; drop(r, s); goto fin } fi;
#endif
  atomic { drop(r, s) }  /* [Q-unlock] */
#if M==121
  wake(r);
#else
  LOOKWAKE(r);  /* [Q-wake] */
#endif
fin:
  atomic { skip; d_step { CLEAR; r = 0; s = 0; me = 0; ended++ } }
}

/* Holds `r` from the start, if `in`; else takes it if it is free. */
proctype H(byte r; bool in) {
  byte j, q, best, done, woken, freed, tk[NP], rg[NP]; bool sh[NP], ok;
  if
  :: atomic { !in && CAN(r, false) -> take(r, false) }
  :: !in -> goto fin
  :: in -> skip
  fi;
  atomic { drop(r, false) }
  LOOKWAKE(r);
fin:
  atomic { skip; d_step { CLEAR } }
}

init {
  byte i;
  atomic {
    do :: deaths < MAXD -> deaths++ :: break od;
    do :: quits < MAXG -> quits++ :: break od;
#ifdef HELD
    xl[0] = 1; xl[1] = 1; run H(1, true); run H(2, true);
#endif
    do :: i < NP+NREUSE -> run P(i); i++ :: else -> i = 0; break od;
#ifdef BARGE
    run H(1, false);
#endif
  }
}
