/* SPDX-License-Identifier: Apache-2.0 */
/* Documents above: two arrays, each with a document, an appender and a row; one group above them that holds copies of
 * both, or comes to hold them meanwhile (a consolidator).  Everybody may die; recovery, by whoever comes, holds the SLOT
 * of a dead row and only tries the lock of the group.  When all are gone and recovery has run once more, with nobody in
 * its way, the copies are the documents.
 *
 * MAXC  crashes   CONS  consolidated from the beginning   CREATE  array 1 is created: its row is ACTIVE all the time
 * M=200 recovery does not renew         M=201 no lock             M=202 the appender does not look again
 * M=203 the consolidator reads once     M=204 and leaves no marker  M=205 row cleared before the renewal
 * M=206 recovery that is refused the lock clears the row */
#ifndef M
#define M 0
#endif
#ifndef MAXC
#define MAXC 2
#endif
#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
byte doc[2], copy[2], row[2], slot[2], lk, ncr, ended;
bool flag[2], staged[2], cons, mark;

#define DIE ncr++; rel(); goto fin
#define S(A) atomic { if :: ncr < MAXC -> DIE :: d_step { A } fi }
#define W(C, A) atomic { if :: ncr < MAXC -> DIE :: d_step { C -> A } fi }

inline rel() {
  d_step {
    if :: lk == me -> lk = 0 :: else fi;
    if :: slot[0] == me -> slot[0] = 0 :: else fi;
    if :: slot[1] == me -> slot[1] = 0 :: else fi
  }
}

/* The lock of the group is held: what a marker names, then the entry of a, from the documents as they stand. */
inline renew(a) {
  if
  :: cons ->
     S(t0 = copy[0]; t1 = copy[1]; mk = mark;)
     if :: mk -> S(t0 = doc[0];) S(t1 = doc[1];) :: else fi;
     if :: a == 0 -> S(t0 = doc[0];) :: else -> S(t1 = doc[1];) fi;
     S(copy[0] = t0; copy[1] = t1;)
     if :: mk -> S(mark = 0;) :: else fi
  :: else
  fi
}

proctype A(byte a) {
  byte me = a + 1, t0, t1; bool l, mk;
  S(slot[a] = me; row[a] = ACTIVE; staged[a] = 1;)
  S(l = cons;)
#if M != 201
  if :: l -> W(lk == 0, lk = me;) :: else fi;
#endif
#ifdef CREATE
  if
  :: a == 1 -> S(flag[a] = 1;) /* [C-above] */
  :: else -> S(flag[a] = 1;) S(row[a] = COMMITTED;)
  fi;
#else
  S(flag[a] = 1;)
  S(row[a] = COMMITTED;)
#endif
  S(doc[a] = 1; staged[a] = 0;)
#if M == 205
  S(row[a] = FREE; flag[a] = 0;)
#endif
#if M != 202
  if :: cons && !l -> l = 1;
#if M != 201
        W(lk == 0, lk = me;)
#endif
  :: else fi;
#endif
  if :: l -> renew(a) :: else fi; /* [W8-above] */
  S(row[a] = FREE; flag[a] = 0;)
  S(rel();)
fin:
  ended++
}

proctype C() {
  byte me = 3, t0, t1;
  W(lk == 0, lk = me;)
#if M != 204
  S(mark = 1;)
#endif
again:
  S(t0 = doc[0];)
  S(t1 = doc[1];)
  if
  :: cons && copy[0] == t0 && copy[1] == t1 -> skip
  :: else -> S(copy[0] = t0; copy[1] = t1; cons = 1;)
#if M != 203
     goto again
#endif
  fi;
  S(mark = 0;)
  S(rel();)
fin:
  ended++
}

/* The SLOT of row a is held, its owner dead. */
inline finish(a) {
  if
  :: row[a] == COMMITTED -> S(if :: staged[a] -> doc[a] = 1; staged[a] = 0 :: else fi;)
  :: else
  fi;
  if
#if M != 200
  :: flag[a] && cons ->
     S(got = (lk == 0); if :: got -> lk = me :: else fi;)
     if
     :: got -> renew(a); S(row[a] = FREE; flag[a] = 0;) S(lk = 0;) /* [F-above] */
#if M == 206
     :: else -> S(row[a] = FREE; flag[a] = 0;)
#else
     :: else -> S(if :: row[a] == COMMITTED -> row[a] = ACTIVE :: else fi;)
#endif
     fi
#endif
  :: else -> S(row[a] = FREE; flag[a] = 0;)
  fi;
  S(slot[a] = 0;)
}

proctype R() {
  byte me = 4, t0, t1, n; bool got, mk;
  do
  :: n < 2 -> n++;
     if
     :: atomic { slot[0] == 0 && row[0] != FREE -> slot[0] = me }; finish(0)
     :: atomic { slot[1] == 0 && row[1] != FREE -> slot[1] = me }; finish(1)
     :: break
     fi
  :: else -> break
  od;
fin:
  ended++
}

init {
  byte me = 5, all = 3, t0, t1; bool got, mk;
  atomic {
#ifdef CONS
    cons = 1;
#else
    run C(); all = 4;
#endif
    run A(0); run A(1); run R();
  }
  ended == all;
  /* whoever comes next: a participant in each array, and one in the group; nobody dies any more */
  ncr = MAXC;
  if :: row[0] != FREE -> slot[0] = me; finish(0) :: else fi;
  if :: row[1] != FREE -> slot[1] = me; finish(1) :: else fi;
  if :: mark && cons -> copy[0] = doc[0]; copy[1] = doc[1]; mark = 0 :: else fi;
  assert(row[0] == FREE && row[1] == FREE);
  assert(!cons || (copy[0] == doc[0] && copy[1] == doc[1]));
fin:
  skip
}
