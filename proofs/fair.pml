/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody waits for ever: who takes turns at a lock.  A liveness property, checked by SPIN under weak fairness: whoever
 * can go on for ever goes on in the end.  (That no wake-up is lost is waitq.pml; here whoever waits looks again now and
 * then, since each sleep ends after 50 ms.)
 *
 * Processes want a range of lock bytes, use it, let it go, and want it again, for ever.  The one named WHO must get it
 * each time.  Who runs may take a lock that is free, but not from somebody who came before him and has waited for 0.2 s:
 * here, has looked twice.  Looking who waits and trying are two steps.
 *
 * CFG=1  A, A, A                          CFG=2  WHO A exclusive, the others A shared: readers that never end
 * CFG=3  WHO A+B, the others A and B      CFG=4  A+B and A; B is held by somebody who does not move; WHO wants A
 * CFG=5  as 1, and the third may be stopped for good while it waits
 * TABLE  the table of one process: a thread queues behind whoever came before, in one step
 * SLOW   a lock may be held so long that who is next is passed over, for good (4 without it: only if he who holds it
 *        does not move)
 * GATE   another model: a gate (locks.pml) between two readers that never end and a writer, who tries it; the premise
 *        is that it is free again and again, and that he does not find it busy each time all the same
 *
 * M=190 no turns   M=191 who is stopped is waited for   M=192 nobody is passed over
 * M=193 who has waited goes first, whoever came before   M=194 who comes anew does not look who waits
 * M=195 his age begins anew with each look   M=196 GATE: the writer lets the gate go before he has W
 * M=197 GATE: without the first half of the premise: readers pass it with no break between them (its limit) */
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif

#ifdef GATE
byte wx, ws, gx, gs; bool wants, tries;
#if M==197
#define BREAKS true
#else
#define BREAKS ([]<> (gs == 0))
#endif
ltl turn { (BREAKS && (([]<> (tries && gs == 0)) -> ([]<> (gx == 1)))) -> [] (wants -> <> !wants) }

active proctype Writer() {
  do
  :: atomic { wants = true; tries = true }
     if
     :: atomic { wx == 0 && ws == 0 -> wx = 1 }
     :: atomic { ws > 0 && gx == 0 && gs == 0 -> gx = 1; tries = false }
#if M==196
        gx = 0;
#endif
        atomic { wx == 0 && ws == 0 -> wx = 1; gx = 0 }
     fi;
     atomic { wants = false; tries = false }
     wx = 0
  od
}

active [2] proctype Reader() {
  do
  :: atomic { gx == 0 -> gs++ }
     gs--;
     atomic { wx == 0 -> ws++ }
     ws--
  od
}
#else

#if CFG==4
#define NP 2
#define RANGE(i) (i==0 -> 3 : 1)
#define WHO 1
#else
#define NP 3
#define WHO 0
#if CFG==3
#define RANGE(i) (i==0 -> 3 : i)
#else
#define RANGE(i) 1
#endif
#endif
#if CFG==2
#define SHARED(i) (i!=0)
#else
#define SHARED(i) false
#endif

byte xl[2], sl[2];
bool waits[NP], stale[NP], came[NP*NP], passed[NP*NP]; byte looks[NP];
#define BEFORE(j,i) came[(j)*NP+(i)]       /* j waited when i came */
#define PASSED(i,j) passed[(i)*NP+(j)]     /* i does not wait for j any more */
#define MEET(i,j) ((RANGE(i)&RANGE(j))!=0 && !(SHARED(i) && SHARED(j)))
#define CAN(r,s) ((!((r)&1) || (xl[0]==0 && (s || sl[0]==0))) && (!((r)&2) || (xl[1]==0 && (s || sl[1]==0))))
#ifdef TABLE
#define OLD(j) true
#else
#define OLD(j) (looks[j]==2)
#endif
#if M==190
#define TURN(j,i) false
#elif M==193
#define TURN(j,i) OLD(j)
#elif M==194
#define TURN(j,i) (OLD(j) && waits[i] && BEFORE(j, i))
#else
#define TURN(j,i) (OLD(j) && (!waits[i] || BEFORE(j, i)))
#endif
ltl turn { [] (waits[WHO] -> <> !waits[WHO]) }

inline take() {
  if :: (r&1) && s -> sl[0]++ :: (r&1) && !s -> xl[0] = 1 :: else fi;
  if :: (r&2) && s -> sl[1]++ :: (r&2) && !s -> xl[1] = 1 :: else fi
}

inline drop() {
  if :: (r&1) && s -> sl[0]-- :: (r&1) && !s -> xl[0] = 0 :: else fi;
  if :: (r&2) && s -> sl[1]-- :: (r&2) && !s -> xl[1] = 0 :: else fi
}

/* y: whose turn it is before ours; NP: nobody's */
inline ahead() {
  y = NP; j = 0;
  do
  :: j < NP ->
     if
     :: j != me && waits[j] && MEET(me, j) && !stale[j] && !PASSED(me, j) && TURN(j, me) -> y = j
     :: else
     fi;
     j++
  :: else -> break
  od;
  j = 0
}

inline enlist() {
  waits[me] = true; looks[me] = 0; j = 0;
  do :: j < NP -> BEFORE(j, me) = waits[j] && j != me; BEFORE(me, j) = false; j++ :: else -> break od;
  j = 0
}

inline delist() {
  waits[me] = false; looks[me] = 0; j = 0;
  do
  :: j < NP -> BEFORE(j, me) = false; BEFORE(me, j) = false; PASSED(j, me) = false; PASSED(me, j) = false; j++
  :: else -> break
  od;
  j = 0
}

proctype P(byte me) {
  byte r, j, y, last; bool s;
  d_step { r = RANGE(me); s = SHARED(me); last = NP }
  do
  :: /* the first try: nothing is written down */
     d_step { ahead() }
#ifdef TABLE
     d_step { enlist() }
#else
     if
     :: atomic { y == NP && CAN(r, s) -> take(); goto mine }
     :: atomic { y != NP || !CAN(r, s) -> d_step { enlist() } }
     fi;
#endif
again:
     skip;
     d_step {
       stale[me] = false; ahead();
#ifdef TABLE
       if :: y == NP && CAN(r, s) -> take(); delist() :: else fi
#endif
     }
#ifdef TABLE
     if :: waits[me] -> goto again :: else -> goto mine fi;
#endif
     if
     :: atomic { y == NP && CAN(r, s) -> take(); d_step { delist(); last = NP }; goto mine }
     :: d_step {
          y == NP && !CAN(r, s) -> last = NP;
#if M!=195
          if :: looks[me] < 2 -> looks[me]++ :: else fi
#endif
        }
     :: d_step {
          y != NP ->
#if M!=192
          if  /* a second has passed since the last look, and ours is free */
#ifdef SLOW
          :: last == y && CAN(r, s) -> PASSED(me, y) = true
#else
          :: CFG == 4 && last == y && CAN(r, s) -> PASSED(me, y) = true
#endif
          :: else
          fi;
#endif
          last = y; y = 0;
          if :: looks[me] < 2 -> looks[me]++ :: else fi
        }
     fi;
#if CFG==5
     if
     :: me != 2
     :: me == 2 ->  /* stopped; 0.2 s later everybody knows */
#if M!=191
        stale[me] = true;
#endif
        false
     :: me == 2
     fi;
#endif
     goto again;
mine:
     skip;
     d_step { drop(); y = 0; last = NP }
  od
}

init {
  byte i;
  atomic {
#if CFG==4
    xl[1] = 1;
#endif
    do :: i < NP -> run P(i); i++ :: else -> i = 0; break od
  }
}
#endif
