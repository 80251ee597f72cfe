/* SPDX-License-Identifier: Apache-2.0 */
/* One transaction over a home (0) and two others (1, 2), after its commit point; array 1 is taken away once none of its
 * rows is in use.  Whoever is left must get through: a home that still needs array 1, and does not find it, is stuck.
 *
 * O is the owner, R(k) opens array k for writing and so finishes its row, once; D takes array 1 away.  Each may die at
 * any step; a dying process closes its descriptors one after the other.  A step that finds a SLOT busy gives up (it
 * would come again).  Three R of which two are of the same array, or of three.
 *
 * CFG  1: R(0), R(1), R(2)   2: R(0), R(0), R(1)   3: R(1), R(1), R(2)     MAXC  crashes
 *
 * M=210 the owner does not note that the others know   M=211 recovery does not   M=212 recovery notes it before the
 * others know   M=213 who finds the home busy finishes his row by himself */
#ifndef CFG
#define CFG 1
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef M
#define M 0
#endif
#define FREE 0
#define PREPARED 1
#define COMMITTED 2
byte w[3], slot[3], ncr, ended;
bool done[3], told, away;

#define DIE(me) ncr++; goto dying
#define S(A) atomic { if :: ncr < MAXC -> DIE(me) :: d_step { A } fi }

inline leave(me) {
  do
  :: slot[0] == me -> slot[0] = 0
  :: slot[1] == me -> slot[1] = 0
  :: slot[2] == me -> slot[2] = 0
  :: slot[0] != me && slot[1] != me && slot[2] != me -> break
  od
}

/* its own row, SLOT held: what is left is renamed, the row is cleared */
inline finish(k) {
  S(done[k] = true;)
  S(w[k] = FREE;)
}

/* all of the transaction, the home's SLOT held; `busy` if not */
inline finishhome() {
  busy = false;
  if
  :: told -> skip
  :: else ->
#if M==212
     S(told = true;)
#endif
     j = 1;
     do
     :: j < 3 && !busy ->
        S(assert(!(j == 1 && away)); /* stuck: put it back */
          if
          :: w[j] == FREE -> j++
          :: w[j] != FREE && slot[j] != 0 -> busy = true
          :: w[j] != FREE && slot[j] == 0 -> slot[j] = me
          fi;)
#if M!=211
        if :: j < 3 && slot[j] == me -> S(w[j] = COMMITTED;) :: else fi;
#endif
        S(if :: j < 3 && slot[j] == me -> slot[j] = 0; j++ :: else fi;)
     :: else -> break
     od;
#if M!=211
     if :: !busy -> S(told = true;) /* [F-tell] */ :: else fi;
#endif
  fi;
  j = 1;
  do
  :: j < 3 && !busy -> /* [F-others] */
     S(if
       :: (j == 1 && away) || w[j] == FREE -> j++
       :: !(j == 1 && away) && w[j] != FREE && slot[j] != 0 ->
          if :: told && wastold -> j++ :: else -> busy = true fi
       :: !(j == 1 && away) && w[j] != FREE && slot[j] == 0 -> slot[j] = me
       fi;)
     if
     :: j < 3 && slot[j] == me -> finish(j); S(slot[j] = 0; j++;)
     :: else
     fi
  :: else -> break
  od;
  j = 0;
  if :: !busy -> finish(0) :: else fi
}

proctype O() {
  byte me = 1;
  S(w[1] = COMMITTED;) /* [W5-others] */
  S(w[2] = COMMITTED;)
#if M!=210
  S(told = true;) /* [W5-told] */
#endif
  finish(1); finish(2); finish(0);
dying:
  leave(me);
  ended++
}

proctype R(byte me; byte k) {
  byte j; bool busy, wastold, was;
  atomic {
    if
    :: ncr < MAXC -> DIE(me)
    :: w[k] == FREE || slot[k] != 0 || (k == 1 && away) -> goto dying
    :: w[k] != FREE && slot[k] == 0 && !(k == 1 && away) -> slot[k] = me; was = (w[k] == PREPARED); wastold = told
    fi
  }
  if
  :: k == 0 -> finishhome(); goto dying
  :: else
  fi;
  /* the home first: its SLOT, not ours */
  atomic {
    if
    :: ncr < MAXC -> DIE(me)
    :: w[0] != FREE && slot[0] == 0 -> slot[k] = 0; slot[0] = me; wastold = told
    :: w[0] != FREE && slot[0] != 0 ->
       if
       :: was -> goto dying                    /* [F-home] */
#if M!=213
       :: !was && !told -> goto dying          /* [F-untold] */
       :: !was && told
#else
       :: !was
#endif
       fi
    :: w[0] == FREE ->
       if
       :: w[k] == PREPARED -> w[k] = FREE; goto dying /* it never committed */
       :: else
       fi
    fi
  }
  if
  :: slot[0] == me ->
     finishhome();
#if M!=213
     atomic { if :: w[0] != FREE && !told -> goto dying :: else fi }
#endif
     atomic {
       if
       :: ncr < MAXC -> DIE(me)
       :: w[k] == FREE || slot[k] != 0 -> goto dying
       :: w[k] != FREE && slot[k] == 0 -> slot[k] = me
       fi
     }
  :: else
  fi;
  if :: w[k] != FREE && slot[k] == me -> finish(k) :: else fi;
dying:
  leave(me);
  atomic { j = 0; busy = false; wastold = false; was = false; ended++ }
}

/* Who has finished what was in its rows takes it away; then it is no more. */
proctype D() {
  atomic {
    if
    :: w[1] == FREE && slot[1] == 0 -> assert(done[1]); away = true
    :: skip
    fi;
    ended++
  }
}

init {
  atomic {
    w[0] = COMMITTED; w[1] = PREPARED; w[2] = PREPARED;
    slot[0] = 1; slot[1] = 1; slot[2] = 1;
    run O();
#if CFG==1
    run R(2, 0); run R(3, 1); run R(4, 2);
#elif CFG==2
    run R(2, 0); run R(3, 0); run R(4, 1);
#else
    run R(2, 1); run R(3, 1); run R(4, 2);
#endif
    run D();
  }
  ended == 5;
  /* somebody opens the home, and then the others */
  d_step {
    assert(slot[0] == 0 && slot[1] == 0 && slot[2] == 0);
    if
    :: w[0] == COMMITTED ->
       assert(told || !away);
       if :: w[1] != FREE -> done[1] = true; w[1] = FREE :: else fi;
       if :: w[2] != FREE -> done[2] = true; w[2] = FREE :: else fi;
       done[0] = true; w[0] = FREE
    :: else
    fi;
    if :: w[1] == COMMITTED -> done[1] = true :: else fi;
    if :: w[2] == COMMITTED -> done[2] = true :: else fi;
    assert(done[0] && done[1] && done[2])
  }
}
