/* SPDX-License-Identifier: Apache-2.0 */
/* Two arrays (0: home, 1: other), one key each; transactions over one of them or both; a dying process closes its two
 * descriptors one after the other; (network) revocation of locks per array.  Checks as in single.pml.
 *
 * The order of applying, the note in the home that the others know, and what recovery gives back and tries again are
 * those of the code (tests/trace holds its runs against this model).
 *
 * CFG  who writes which arrays   NR  rows of each array, as many as there are writers (a table that is full is in
 * single.pml and grow.pml)   MAXC, MAXZ, FALLBACK, NOREADER as in single.pml
 * JANITOR  `azr recover` of one of the arrays beside the rest: what is busy is left
 * ALONE    a home row that never committed may be cleared while the other is out of F-release's reach
 * LOOSE    what the library does as well: any free row is taken, and one tried that is free no more; the ACTIVE row of
 *          a dead owner is passed over; a SLOT byte is tried though it is known to be busy, or the row has become
 *          another's since it was looked at; a reader tries again, opens anew only what moved, and asks a PREPARED row
 *          that has gone on once more
 * REPLAY   no search of its own: the steps of a recorded run are taken (replay.inc)
 *
 * M=4, 5, 10 as in single.pml   M=20 a home row recovered alone   M=21 home cleared before the renames
 * M=22 PREPARED decided without the home's SLOT   M=24 no PREPARED   M=26 the home's SLOT wanted although its row
 * carries another id (deadlock, ALONE)
 * M=28 the home told before the other knows   M=29 the same in recovery
 * Not needed: M=25 home cleared first   M=27 a home row that never committed cleared before the other (F-release)
 * M=23 PREPARED with a busy SLOT passed over (not distinguished) */
#ifndef NR
#define NR 2
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef MAXZ
#define MAXZ 0
#endif
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#define READS(t) true
#ifdef REPLAY              /* the trace says who writes which; who writes both does not read */
#define NW 3
#define WS(t) wset[t]
#undef READS
#define READS(t) (wset[t] != 3)
#elif CFG==1
#define NW 2
#define WS(t) (t==1 -> 3 : 2)
#elif CFG==2
#define NW 2
#define WS(t) (t==1 -> 3 : 1)
#elif CFG==3
#define NW 2
#define WS(t) 3
#elif CFG==4
#define NW 3
#define WS(t) (t==1 -> 3 : (t==2 -> 1 : 2))
#elif CFG==5
#define NW 3
#define WS(t) (t==3 -> 2 : 3)
#endif
#define FREE 0
#define ACTIVE 1
#define PREPARED 2
#define COMMITTED 3
#define TOLD 4              /* COMMITTED, a home row that needs the other no more */
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
#define R_(a,i) ((a)*NR+(i))
#define DONE(q) (rst[q] >= COMMITTED)
#define CARRY(q,d) (rst[q] != FREE && rid[q] == d)
#define HOMED(d) (WS(d) == 3)
byte key[2]; byte st[4]; byte rst[2*NR]; byte rid[2*NR]; byte slot[2*NR]; byte wx[2]; byte ws[2];
byte cnt[2]; byte nver; byte hist[4]; byte ncr, nz, ended; byte fen[8];  /* bit a: locks in array a were lost */
byte rdy[4], rot[4];  /* rows of transaction t at home and in the other (parts of each other's bodies) */
byte said;            /* bit t: its home row names the other */

inline rel1(me,a) {
  wx[a] = (wx[a] == me -> 0 : wx[a]); ws[a] = ws[a]&(255-(1<<me)); x = 0;
  do
  :: x < NR -> slot[R_(a, x)] = (slot[R_(a, x)] == me -> 0 : slot[R_(a, x)]); x++
  :: else -> break
  od;
  x = 0
}

/* EV(l, a, v, c): the condition c, of a step that a recorded run tells of as l of a, with the value v (replay.inc) */
#ifdef REPLAY
#define LOOSE
#define FALLBACK
#define TWO
#include "replay.inc"
#else
#define EV(l,a,v,c) c;
#define MARK(l,a,v)
#define CRASH (ncr<MAXC) -> ncr++
#define ELSE(c) else
#endif
#ifdef LOOSE
#define LOWER(c) true
#define PASSED(q) (rst[q] == ACTIVE)
#define TRIED(q) (rst[q] != FREE)
#define TAKEN(q) (slot[q] != 0)
#define READY0(q) true
#define READY1(q) true
#else
#define LOWER(c) (c)
#define PASSED(q) (rst[q] == ACTIVE && slot[q] != 0)
#define TRIED(q) CARRY(q, d)
#define TAKEN(q) (CARRY(q, d) && slot[q] != 0)
/* who finds what he needs busy waits for that, instead of trying for ever */
#define READY0(q) (rst[q] == TOLD || !IN(said, rid[q]) || !CARRY(rot[rid[q]], rid[q]) || slot[rot[rid[q]]] == 0)
#if M==26
#define READY1(q) (rst[q] != PREPARED || slot[rdy[rid[q]]] == 0)
#elif M==22
#define READY1(q) true
#else
#define HOME(q) rdy[rid[q]]
#define READY1(q) (rst[q] == ACTIVE || !HOMED(rid[q]) || !CARRY(HOME(q), rid[q]) || slot[HOME(q)] == 0 || \
  (DONE(q) && rst[HOME(q)] == TOLD))
#endif
#endif

#define S(A) atomic { if :: CRASH; goto dying :: d_step { A } fi }
#define F(a) IN(fen[me],a)
#define DROP(q) slot[q] = (slot[q] == me -> 0 : slot[q])

/* The SLOT byte of row q, which was d's: ours, or somebody else's (busy), or it was finished before (neither). */
inline try(q,has) {
  atomic {
    if
    :: CRASH; goto dying
    :: EV(F_slot, q, 0, slot[q] == 0 && TRIED(q)) slot[q] = me; has = true
    :: TAKEN(q) -> busy = true
    :: !CARRY(q, d) -> skip
    fi
  }
}

/* What is left of d in array a, whose row q it is: its SLOT in hand. */
inline apply(a,q) {
#if M!=5
  S(EV(F_bump, a, 0, true) cnt[a] = (F(a) -> cnt[a] : cnt[a]+1);)
  if :: F(a) -> goto give :: else fi;
#endif
  S(EV(F_rename, a, IN(st[d], a), true) if :: IN(st[d], a) -> key[a] = d; st[d] = st[d]&(255-(1<<a)) :: else fi;)
  S(EV(F_clear, q, 0, true) if :: !F(a) -> rst[q] = FREE; rid[q] = 0 :: else fi;)
  if :: F(a) -> goto give :: else fi
}

/* It never committed. */
inline undo(a,q) {
  S(EV(F_clear, q, 0, true) if :: !F(a) -> rst[q] = FREE; rid[q] = 0; st[d] = st[d]&(255-(1<<a)) :: else fi;)
}

/* Row q of array 0 is COMMITTED, its SLOT in hand: the other array first. */
inline forward(q) {
  told = (rst[q] == TOLD);
#if M!=20
  if
  :: HOMED(d) ->
     if
     :: !told -> /* [F-tell] both know, before either is cleared */
#if M==29
        S(if :: !F(0) -> rst[q] = TOLD :: else fi;)
#endif
        try(rot[d], gotr);
        if
        :: gotr ->
           if
           :: rst[rot[d]] == PREPARED && rid[rot[d]] == d ->
              S(EV(F_tell, rot[d], 0, true) if :: !F(1) -> rst[rot[d]] = COMMITTED :: else fi;)
              if :: F(1) -> goto give :: else fi
           :: else
           fi;
           S(EV(F_rest, rot[d], 0, true) DROP(rot[d]); gotr = false;)
        :: else
        fi;
        if
        :: !busy ->
           S(EV(F_tell, q, 0, true) if :: !F(0) -> rst[q] = TOLD :: else fi;)
           if :: F(0) -> goto give :: else fi
        :: else
        fi
     :: else
     fi;
     if
     :: !busy -> /* [F-others] */
        try(rot[d], gotr);
        if :: told -> busy = false :: else fi; /* he who is at it needs us no more */
        if
        :: gotr ->
           if :: CARRY(rot[d], d) -> apply(1, rot[d]) :: else fi;
           S(EV(F_rest, rot[d], 0, true) DROP(rot[d]); gotr = false;)
        :: else
        fi
     :: else
     fi
  :: else
  fi;
#endif
  if :: !busy -> apply(0, q) :: else fi
}

#define FORGET d = 0; h = 0; busy = false; got = false; gotr = false; mine = false; was = false; told = false

/* Row i of array 0, a home or alone, its SLOT in hand. */
inline finish0(i) {
  d_step { d = rid[i]; busy = false }
  if
  :: rst[i] == ACTIVE ->
#if M!=27
     if
     :: IN(said, d) -> /* [F-release] */
        try(rot[d], gotr);
        if
        :: gotr ->
           if :: CARRY(rot[d], d) -> undo(1, rot[d]) :: else fi;
           S(EV(F_rest, rot[d], 0, true) DROP(rot[d]); gotr = false;)
        :: else
        fi
     :: else
     fi;
#endif
     if :: !busy -> undo(0, i) :: else fi
  :: DONE(i) -> forward(i)
  :: else
  fi;
  S(EV(F_rest, i, 0, true) DROP(i); FORGET;)
}

/* Row i of array 1, whose home may still want it: that goes first. */
inline athome(i) {
  was = (rst[i] == PREPARED);
  S(EV(F_rest, i, 0, true) DROP(i);)
  try(h, got); /* [F-home] */
  if
  :: !was -> busy = (busy && CARRY(h, d) && rst[h] != TOLD) /* [F-untold] */
  :: was && !busy ->
     try(i, mine);
     if
     :: mine && rst[i] == PREPARED && rid[i] == d ->
        if
        :: CARRY(h, d) && DONE(h) -> S(EV(F_rest, i, 0, true) DROP(i); mine = false;)
        :: else -> undo(1, i)
        fi
     :: else -> busy = true
     fi
  :: else
  fi;
  if
  :: !busy && got && CARRY(h, d) && DONE(h) ->
     forward(h);
     busy = (busy && CARRY(h, d) && rst[h] != TOLD)
  :: else
  fi;
  if
  :: got && !was -> S(EV(F_rest, h, 0, true) DROP(h); got = false;)
  :: else
  fi;
  if
  :: !busy && !mine ->
     try(i, mine);
     if
     :: mine && rid[i] == d && rst[i] != ACTIVE && rst[i] != FREE -> apply(1, i)
     :: else
     fi
  :: else
  fi;
  if :: got -> S(EV(F_rest, h, 0, true) DROP(h); got = false;) :: else fi
}

/* Row i of array 1 (absolute index), its SLOT in hand. */
inline finish1(i) {
  d_step { d = rid[i]; h = rdy[d]; busy = false; mine = false }
  if
#if M==22
  :: rst[i] == PREPARED ->
     if :: CARRY(h, d) && DONE(h) -> apply(1, i) :: else -> undo(1, i) fi;
     mine = true
#else
  :: rst[i] == PREPARED && !CARRY(h, d) -> undo(1, i); mine = true /* decided: no */
  :: rst[i] == PREPARED && CARRY(h, d) -> athome(i)
#endif
  :: rst[i] == ACTIVE -> undo(1, i); mine = true
  :: DONE(i) && !HOMED(d) -> apply(1, i); mine = true
  :: DONE(i) && HOMED(d) -> athome(i)
  :: rst[i] == FREE -> mine = true
  fi;
  if :: mine -> S(EV(F_rest, i, 0, true) DROP(i); FORGET;) :: else -> d_step { FORGET } fi
}

#define MYI(q) (rid[q] == t)
inline look0() {
  i = 0;
  do
  :: i < NR ->
     atomic {
       if
       :: CRASH; goto dying
       :: d_step { rst[i] == FREE || MYI(i) -> i++ }
       :: d_step { PASSED(i) && !MYI(i) -> i++ }
       :: EV(F_slot, i, 0, rst[i] != FREE && !MYI(i) && slot[i] == 0 && READY0(i)) slot[i] = me; goto dead0
       fi
     }
     goto nxt0;
   dead0:
     finish0(i);
     if :: F(0) -> goto give :: else fi;
   nxt0:
     skip
  :: i == NR -> i = 0; break
  od
}

inline look1() {
  i = NR;
  do
  :: i < 2*NR ->
     atomic {
       if
       :: CRASH; goto dying
       :: d_step { rst[i] == FREE || MYI(i) -> i++ }
       :: d_step { PASSED(i) && !MYI(i) -> i++ }
#if M==23
       :: d_step { rst[i] == PREPARED && !MYI(i) && slot[i] != 0 -> i++ }
#endif
       :: EV(F_slot, i, 0, rst[i] != FREE && !MYI(i) && slot[i] == 0 && READY1(i)) slot[i] = me; goto dead1
       fi
     }
     goto nxt1;
   dead1:
     finish1(i);
     if :: F(1) -> goto give :: else fi;
   nxt1:
     skip
  :: i == 2*NR -> i = 0; break
  od
}

inline docommit() {
  k = 0;
  do
  :: k < 2 -> if :: IN(WS(t), k) && READS(t) -> assert(GET(rv, k) == GET(hist[nver], k)) :: else fi; k++
  :: else -> break
  od;
  hist[nver+1] = 0; k = 0;
  do
  :: k < 2 -> hist[nver+1] = hist[nver+1] | ((IN(WS(t), k) -> t : GET(hist[nver], k)) << (2*k)); k++
  :: else -> break
  od;
  nver++; k = 0; rv = 0
}

/* A store to array a that is refused if its locks were lost. */
#define STORE(a,l,q,A) atomic { if :: CRASH; goto dying :: F(a) -> goto give :: d_step { EV(l, q, 0, !F(a)) A } fi }
#define FREEROW(q) (slot[q] == 0 && rst[q] == FREE)
#define ROW(q,a,c) d_step { EV(W1_row, q, 0, (c) && FREEROW(q)) slot[q] = me; rst[q] = ACTIVE; rid[q] = t; a = q }
#ifdef LOOSE               /* it was free when it was looked at, and is somebody's now */
#define TRYROW(q) EV(F_slot, q, 0, slot[q] == 0 && TRIED(q)) slot[q] = me; i = q
#if NR>2
#define TRYTHIRD(a) :: TRYROW(R_(a, 2))
#else
#define TRYTHIRD(a)
#endif
#define TRYROWS(a) \
  do \
  :: atomic { \
       if \
       :: CRASH; goto dying \
       :: TRYROW(R_(a, 0)) \
       :: TRYROW(R_(a, 1)) \
       TRYTHIRD(a) \
       fi \
     }; \
     S(EV(F_rest, i, 0, true) DROP(i); i = 0;) \
  :: break \
  od;
#else
#define TRYROWS(a)
#endif
inline row_of(a,r) {
  TRYROWS(a)
  atomic {
    if
    :: CRASH; goto dying
    :: ROW(R_(a, 0), r, true)
    :: ROW(R_(a, 1), r, LOWER(!FREEROW(R_(a, 0))))
#if NR>2
    :: ROW(R_(a, 2), r, LOWER(!FREEROW(R_(a, 0)) && !FREEROW(R_(a, 1))))
#endif
    fi
  }
}

/* (6) to (8) of array a, the owner's. */
#if M==21
#define CLEARS(a) (a == 1 || WS(t) != 3)
#else
#define CLEARS(a) true
#endif
inline own(a,r) {
  S(EV(W6_bump, a, 0, true) cnt[a] = (F(a) -> cnt[a] : cnt[a]+1);)
  if :: F(a) -> goto give :: else fi;
  S(EV(W7_rename, a, IN(st[t], a), true) if :: IN(st[t], a) -> key[a] = t; st[t] = st[t]&(255-(1<<a)) :: else fi;)
  if
  :: CLEARS(a) ->
     S(EV(W8_clear, r, 0, true) if :: !F(a) -> rst[r] = FREE; rid[r] = 0 :: else fi;)
     if :: F(a) -> goto give :: else fi
  :: else
  fi
}

proctype W(byte t) {
  byte me = t, k, i, r0, r1, d, x, rv, h; bool busy, got, gotr, mine, was, told;
  if :: IN(WS(t), 0) -> row_of(0, r0); rdy[t] = r0 :: else fi;
  if :: IN(WS(t), 1) -> row_of(1, r1); rot[t] = r1 :: else fi;
  if :: IN(WS(t), 0) -> S(EV(W1_lock, 0, 0, wx[0] == 0 && ws[0] == 0) wx[0] = me;) :: else fi;
  if :: IN(WS(t), 1) -> S(EV(W1_lock, 1, 0, wx[1] == 0 && ws[1] == 0) wx[1] = me;) :: else fi;
  if :: IN(WS(t), 0) -> look0() :: else fi;
  if :: IN(WS(t), 1) -> look1() :: else fi;
  if :: IN(WS(t), 0) && READS(t) -> S(EV(W3_read, 0, key[0], true) rv = rv|key[0];) :: else fi;
  if :: IN(WS(t), 1) && READS(t) -> S(EV(W3_read, 1, key[1], true) rv = rv|(key[1]<<2);) :: else fi;
  /* staged; and the rows say what, and name each other [W4-what] */
  if
  :: IN(WS(t), 0) -> S(EV(W4_what, 0, 0, true) st[t] = st[t]|1; said = said|(HOMED(t) -> 1<<t : 0);)
  :: else
  fi;
  if :: IN(WS(t), 1) -> S(EV(W4_what, 1, 0, true) st[t] = st[t]|2;) :: else fi;
  if
  :: WS(t) == 3 ->
#if M!=24
     STORE(1, W5_prepare, r1, rst[r1] = PREPARED;)     /* [W5-prepare] */
#endif
     STORE(0, W5_commit, r0, rst[r0] = COMMITTED; docommit();)
#if M==28
     STORE(0, W5_told, r0, rst[r0] = TOLD;)
#endif
     STORE(1, W5_others, r1, rst[r1] = COMMITTED;)     /* [W5-others] */
#if M!=28
     STORE(0, W5_told, r0, rst[r0] = TOLD;)            /* [W5-told] */
#endif
  :: WS(t) == 1 -> STORE(0, W5_commit, r0, rst[r0] = COMMITTED; docommit();)
  :: WS(t) == 2 -> STORE(1, W5_commit, r1, rst[r1] = COMMITTED; docommit();)
  fi;
#if M==21
  if :: WS(t) == 3 -> S(if :: !F(0) -> rst[r0] = FREE; rid[r0] = 0 :: else fi;) :: else fi;
#endif
#if M==25
  if :: IN(WS(t), 0) -> own(0, r0) :: else fi;
  if :: IN(WS(t), 1) -> own(1, r1) :: else fi;
#else
  if :: IN(WS(t), 1) -> own(1, r1) :: else fi;
  if :: IN(WS(t), 0) -> own(0, r0) :: else fi; /* home last */
#endif
#ifdef REPLAY
  if :: IN(WS(t), 0) -> atomic { if :: CRASH; goto dying :: EV(W8_unlock, 0, 0, true) rel1(me, 0) fi } :: else fi;
  if :: IN(WS(t), 1) -> atomic { if :: CRASH; goto dying :: EV(W8_unlock, 1, 0, true) rel1(me, 1) fi } :: else fi;
#endif
give:
dying:
  if
  :: atomic { rel1(me, 0) } atomic { rel1(me, 1); goto fin }
  :: atomic { rel1(me, 1) } atomic { rel1(me, 0); goto fin }
  fi;
fin:
#ifdef ALONE
  atomic {
    if
    :: skip
    :: IN(WS(t), 0) && rst[r0] == ACTIVE && rid[r0] == t && slot[r0] == 0 ->
       rst[r0] = FREE; rid[r0] = 0; st[t] = st[t]&2
    fi
  }
#endif
  atomic { k = 0; i = 0; r0 = 0; r1 = 0; x = 0; rv = 0; FORGET; ended++ }
}

#ifdef JANITOR
proctype J(byte me) {
  byte i, upto, d, x, h; bool busy, got, gotr, mine, was, told;
#ifdef REPLAY
  atomic { MARK(begin, 0, 0) i = (reads[5] == 2 -> NR : 0) }
#else
  if :: i = 0 :: i = NR fi;
#endif
  upto = i+NR;
  do
  :: i < upto ->
     atomic {
       if
       :: EV(F_slot, i, 0, slot[i] == 0 && rst[i] != FREE) slot[i] = me
       :: ELSE(slot[i] == 0 && rst[i] != FREE) -> i++; goto nx
       fi
     }
     if :: i < NR -> finish0(i) :: else -> finish1(i) fi;
     if :: F(0) || F(1) -> goto give :: else fi;
     i++;
   nx:
     skip
  :: else -> break
  od;
give:
dying:
  if
  :: atomic { rel1(me, 0) } atomic { rel1(me, 1); goto fin }
  :: atomic { rel1(me, 1) } atomic { rel1(me, 0); goto fin }
  fi;
fin:
  atomic { i = 0; upto = 0; x = 0; FORGET; ended++ }
}

#define NJ 1
#else
#define NJ 0
#endif
#ifndef NRD
#define NRD 1
#endif

#ifdef LOOSE
#define KEEP(k) (have[k] && bc[k] == c1[k] && bp[k] == named && named != 15)
#else
#define KEEP(k) false
#endif
inline opn(k) {
  d_step {
    cand = 0; named = 0; i = 0;
    do
    :: i < NR ->
       if
       :: p[R_(k, i)] != 0 && cand == 0 -> cand = p[R_(k, i)]; named = cand
       :: p[R_(k, i)] != 0 && cand != 0 -> named = 15
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0
  }
  if
  :: KEEP(k) -> skip
  :: else ->
     if
     :: cand != 0 ->
        atomic {
          MARK(R2_staged, k, IN(st[cand], k)) if :: IN(st[cand], k) -> v[k] = cand :: else -> v[k] = 15 fi; cand = 0
        }
        if :: v[k] == 15 -> d_step { MARK(R2_key, k, key[k]) v[k] = key[k] } :: else fi
     :: else -> d_step { MARK(R2_key, k, key[k]) v[k] = key[k] }
     fi;
#ifdef LOOSE
     d_step { have[k] = true; bc[k] = c1[k]; bp[k] = named }
#endif
  fi;
  named = 0
}

/* effective state of row i: COMMITTED, or PREPARED and the home row (read afterwards) COMMITTED with the same id
 * [R1-home]; 15: that said no, and the row has gone on meanwhile */
inline row(i,res) {
  atomic {
    if
    :: DONE(i) -> res = rid[i]; cand = 0
    :: rst[i] == PREPARED -> cand = rid[i]
    :: else -> res = 0; cand = 0
    fi
  }
  if
  :: cand != 0 ->
     atomic { res = ((DONE(rdy[cand]) && rid[rdy[cand]] == cand) -> cand : 0) }
#ifdef LOOSE
     atomic { if :: res == 0 && !(rst[i] == PREPARED && rid[i] == cand) -> res = 15 :: else fi; cand = 0 }
#else
     cand = 0
#endif
  :: else
  fi
}

#ifdef LOOSE
inline noted(i) {
  do
  :: row(R_(i, 0), p[R_(i, 0)]); if :: p[R_(i, 0)] != 15 -> break :: else fi
  od;
  do
  :: row(R_(i, 1), p[R_(i, 1)]); if :: p[R_(i, 1)] != 15 -> break :: else fi
  od;
#if NR>2
  do
  :: row(R_(i, 2), p[R_(i, 2)]); if :: p[R_(i, 2)] != 15 -> break :: else fi
  od
#else
  skip
#endif
}
#else
inline noted(i) {
  row(R_(i, 0), p[R_(i, 0)]); row(R_(i, 1), p[R_(i, 1)]);
#if NR>2
  row(R_(i, 2), p[R_(i, 2)])
#else
  skip
#endif
}
#endif

inline cmp(a) {
  row(R_(a, 0), q);
  atomic { if :: q != p[R_(a, 0)] -> same = false :: else fi; q = 0 }
  row(R_(a, 1), q);
  atomic { if :: q != p[R_(a, 1)] -> same = false :: else fi; q = 0 }
#if NR>2
  row(R_(a, 2), q);
  atomic { if :: q != p[R_(a, 2)] -> same = false :: else fi; q = 0 }
#endif
}

inline check() {
  d_step {
    ok = false;
    do
    :: vs <= nver ->
       if :: (!s0 || GET(hist[vs], 0) == v[0]) && (!s1 || GET(hist[vs], 1) == v[1]) -> ok = true :: else fi;
       vs++
    :: else -> break
    od;
    assert(ok)
  }
}

#if NR>2
#define NOROWS p[0] = 0; p[1] = 0; p[2] = 0; p[3] = 0; p[4] = 0; p[5] = 0
#else
#define NOROWS p[0] = 0; p[1] = 0; p[2] = 0; p[3] = 0
#endif
#ifdef LOOSE
#define NOKEPT have[0] = false; have[1] = false; bc[0] = 0; bc[1] = 0; bp[0] = 0; bp[1] = 0
#else
#define NOKEPT v[0] = 0; v[1] = 0
#endif

proctype R(byte me) {
  byte c1[2], p[2*NR], v[2], vs, cand, named, i, q, x; bool ok, same, s0, s1, lk;
#ifdef LOOSE
  bool have[2]; byte bc[2], bp[2];
#endif
#ifdef REPLAY
  atomic { MARK(begin, 0, 0) s0 = (reads[me] == 1); s1 = (reads[me] == 2) }
#else
  s1 = true;
  if :: s0 = true :: s0 = false fi;
#endif
again:
  atomic { vs = nver; if :: s1 -> c1[1] = cnt[1] :: else fi }
  if :: s0 -> c1[0] = cnt[0] :: else fi;
  if :: s0 -> noted(0) :: else fi;
  if :: s1 -> noted(1) :: else fi;
  if :: s0 -> opn(0) :: else fi;
  if :: s1 -> opn(1) :: else fi;
  same = true;
#if M==10
  if :: cnt[1] != c1[1] -> same = false :: else fi;
  if :: s0 -> if :: cnt[0] != c1[0] -> same = false :: else fi :: else fi;
#endif
#if M!=4
  if :: s0 -> cmp(0) :: else fi;
  if :: s1 -> cmp(1) :: else fi;
#endif
#if M!=10
  if :: s1 -> if :: cnt[1] != c1[1] -> same = false :: else fi :: else fi;
  if :: s0 -> if :: cnt[0] != c1[0] -> same = false :: else fi :: else fi;
#endif
  /* under lock no commit can begin, and what the rows of dead owners say stays */
  if
  :: same || lk ->
     check();
#ifdef REPLAY
     if :: lk -> atomic { MARK(R4_unlock, 0, 0) rel1(me, 0); rel1(me, 1) } :: else fi;
     atomic { MARK(read, (s0 -> 0 : 1), (s0 -> v[0] : v[1])) goto fin }
#else
     goto fin
#endif
#ifdef LOOSE
  :: !same && !lk -> atomic { c1[0] = 0; c1[1] = 0; NOROWS; vs = 0; same = false; goto again }
#endif
#ifdef FALLBACK
  :: !same && !lk ->
     atomic { c1[0] = 0; c1[1] = 0; NOROWS; NOKEPT; vs = 0; same = false; lk = true }
     if :: s0 -> atomic { EV(R4_lock, 0, 1, wx[0] == 0) ws[0] = ws[0]|(1<<me) } :: else fi;
     if :: s1 -> atomic { EV(R4_lock, 1, 1, wx[1] == 0) ws[1] = ws[1]|(1<<me) } :: else fi;
     goto again
#endif
#if !defined(LOOSE) && !defined(FALLBACK)
  :: else -> skip
#endif
  fi;
fin:
  atomic {
    rel1(me, 0); rel1(me, 1);
    c1[0] = 0; c1[1] = 0; NOROWS; NOKEPT; v[0] = 0; v[1] = 0; vs = 0;
    same = false; ok = false; cand = 0; q = 0; s0 = false; s1 = false; lk = false; ended++
  }
}

#if MAXZ>0
proctype Srv() {
  byte x;
  do
  :: nz < MAXZ && ended < NW+NRD+NJ ->
     atomic {
       if
       :: !IN(fen[1], 0) -> nz++; fen[1] = fen[1]|1; rel1(1, 0)
       :: !IN(fen[1], 1) -> nz++; fen[1] = fen[1]|2; rel1(1, 1)
       :: !IN(fen[2], 0) -> nz++; fen[2] = fen[2]|1; rel1(2, 0)
       :: !IN(fen[2], 1) -> nz++; fen[2] = fen[2]|2; rel1(2, 1)
       fi
     }
  :: ended == NW+NRD+NJ || nz == MAXZ -> break
  od
}

#endif
#ifndef REPLAY
init {
  byte i, d;
  atomic {
    run W(1); run W(2);
#if NW>2
    run W(3);
#endif
#ifndef NOREADER
    run R(4);
#else
    ended++;
#endif
#ifdef JANITOR
    run J(5);
#endif
#if MAXZ>0
    run Srv();
#endif
  }
  ended == NW+NRD+NJ;
  d_step {
    i = NR;
    do
    :: i < 2*NR ->
       assert(slot[i] == 0); d = rid[i];
       if
       :: DONE(i) || (rst[i] == PREPARED && DONE(rdy[d]) && rid[rdy[d]] == d) ->
          if :: IN(st[d], 1) -> key[1] = d :: else fi
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NR ->
       assert(slot[i] == 0); d = rid[i];
       if :: DONE(i) -> if :: IN(st[d], 0) -> key[0] = d :: else fi :: else fi;
       i++
    :: else -> break
    od;
    assert(key[0] == GET(hist[nver], 0)); assert(key[1] == GET(hist[nver], 1));
    assert(wx[0] == 0 && ws[0] == 0 && wx[1] == 0 && ws[1] == 0)
  }
}
#endif
