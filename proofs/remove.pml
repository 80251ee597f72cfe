/* SPDX-License-Identifier: Apache-2.0 */
/* Taking an array away: marks, one rename into the trash, then the files.  `away` says where the directory stands:
 * that is the truth.  `fate` is the mark in `state`: 1 look where you stand, 2 removed.  Two chunks, of which each
 * holds a value; a chunk that is absent reads as the fill value.
 *
 * R removes, and may die at any step.  K collects once R is dead.  O opens the path: `told` once it finds nothing.
 * P reads through a handle that is older than all of it, W writes through one; both may begin at any time, again and
 * again.  A dead owner has left a row that names another array by its path (`row`); W's own row names one too while
 * it is at work (`busy`).
 *
 * LATE    an array that came to be below after the search: nobody marks its `state`
 *
 * Checks: who begins after somebody was told that there is no array does not succeed (not with LATE), and who is told so
 * by a handle is told the truth; a read has both chunks, never a
 * fill value for one that is gone; no row that names a path is in use when the directory goes.
 *
 * M=170 no mark before the rename     M=171 chunks go before `state` and document     M=172 writers are not drained
 * M=173 dead rows are not finished     M=174 the mark alone says removed, wherever the directory stands
 * M=171 needs -DLATE=1: otherwise the marks see to it as well. */
#ifndef M
#define M 0
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef LATE
#define LATE 0
#endif

bool away, told, linked = true, dead, flock, row = true;
bool chunk[2] = true;
byte fate, metaS, busy, ncr;
bool metaX;

#define GONE (fate == 2 || !linked || (fate == 1 && (M == 174 || away)))
#define DIE ncr++; dead = true; metaX = false; flock = false; goto fin
#define S(A) atomic { if :: ncr < MAXC -> DIE :: d_step { A } fi }

proctype R() {
#if M!=172
  S(metaS == 0 && !metaX; metaX = true;) /* [D-drain] */
#endif
#if M!=173
  S(true; row = false;) /* [D-settle] */
#endif
  S(true; flock = true;)
#if M!=170 && !LATE
  S(true; fate = 1;) /* [D-doubt] */
#endif
  S(true; assert(!row && busy == 0); away = true;) /* [D-rename] */
#if !LATE
  S(true; fate = 2;)
#endif
  S(true; metaX = false;)
#if M==171
  S(true; chunk[0] = false;)
#endif
  S(true; fate = 2; linked = false;) /* [D-condemn] */
  S(true; chunk[0] = false;)
  S(true; chunk[1] = false;)
  flock = false;
fin: skip
}

/* Whoever comes next in that directory. */
proctype K() {
end:
  (dead && away && !flock);
#if M==171
  chunk[0] = false;
#endif
  d_step { fate = 2; linked = false } /* [D-condemn] */
  chunk[0] = false;
  chunk[1] = false
}

proctype O() {
  if :: away -> told = true :: true fi
}

proctype P() {
  bool late, a, b;
  late = told;
  a = chunk[0];
  b = chunk[1];
  if
  :: GONE -> assert(away)
  :: else -> assert(!late || LATE); assert(a && b)
  fi
}

proctype W() {
  bool late;
  late = told;
  atomic { !metaX -> metaS++ }
  if
  :: GONE -> assert(away)
  :: else ->
     d_step { if :: fate == 1 && !away -> fate = 0 :: else fi } /* the mark of one who died */
     assert(!late || LATE);
     busy++;
     busy--
  fi;
  metaS--
}

init { atomic { run R(); run K(); run O(); run P(); run P(); run W(); run W() } }
