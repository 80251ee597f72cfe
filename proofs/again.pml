/* SPDX-License-Identifier: Apache-2.0 */
/* durability = power: a row is cleared without a sync, and taken by the next transaction, whose parts are written over
 * its own.  Two transactions, one after the other, through the only row of one array with one key; power losses.
 *
 * Of the row's word, of its parts and of the key the disk has, each for itself, any version since the last sync.
 * Recovery clears a COMMITTED row with the parts of another: it is over.  Afterwards the key is what the last
 * transaction that was seen as committed wrote, or one that was sealed after it.
 *
 * MAXP  power losses
 * M=220 such a row is damage, and refused   M=221 COMMITTED before SEALED is on the disk   M=222 cleared before the
 * rename is on the disk */
#ifndef MAXP
#define MAXP 2
#endif
#ifndef M
#define M 0
#endif
/* words: 0 FREE, of transaction t: ACTIVE 3t-2, SEALED 3t-1, COMMITTED 3t */
#define ACTIVE(t) (3*(t)-2)
#define SEALED(t) (3*(t)-1)
#define COMMITTED(t) (3*(t))
byte word, pw = 1;    /* what is, and the bits of what the disk may have */
byte part, pp = 1;
byte key, pk = 1;
bool st[3]; /* the staged object has its name */
byte vis, sealed, np, epoch, ended;

#define WORD(x) word = x; pw = pw|(1<<(x))
#define PART(x) part = x; pp = pp|(1<<(x))
#define SYNC pw = 1<<word; pp = 1<<part
#define S(A) atomic { if :: epoch != e -> goto fin :: d_step { epoch == e && true; A } fi }

/* t is put in place, and the names are synced */
inline apply(t) {
  S(if :: st[t] -> st[t] = false; key = t; pk = pk|(1<<t) :: else fi;)
#if M!=222
  S(pk = 1<<key;)
#endif
}

inline write(t) {
  S(WORD(ACTIVE(t));)
  S(PART(t); st[t] = true;) /* its name is synced before it seals */
  S(SYNC;)
#if M!=221
  S(WORD(SEALED(t)); sealed = t;)
  S(SYNC;)
#endif
  S(WORD(COMMITTED(t)); vis = t; sealed = t;)
  apply(t);
  S(WORD(0);) /* no sync */
}

/* M=221: the parts are not synced either, as where one sync does for both */
inline hasty(t) {
  S(WORD(ACTIVE(t));)
  S(PART(t); st[t] = true;)
  S(WORD(COMMITTED(t)); vis = t; sealed = t;)
  apply(t);
  S(WORD(0);)
}

proctype T(byte e; byte from) {
#if M==221
  if :: from < 1 -> hasty(1) :: else fi;
  if :: from < 2 -> hasty(2) :: else fi;
#else
  if :: from < 1 -> write(1) :: else fi;
  if :: from < 2 -> write(2) :: else fi;
#endif
fin:
  ended++
}

/* Who comes after a restart. */
inline recover() {
  if
  :: word == COMMITTED(1) || word == COMMITTED(2) ->
     t = word / 3;
     if
     :: part == t ->
        if :: st[t] -> st[t] = false; key = t :: else fi
     :: else -> assert(M != 220) /* [F-again] */
     fi
  :: word == SEALED(1) || word == SEALED(2) ->
     t = (word + 1) / 3;
     if
     :: part == t && st[t] -> st[t] = false; key = t
     :: else
     fi
  :: else
  fi;
  st[1] = false; st[2] = false; t = 0;
  word = 0; SYNC; pk = 1<<key;
  assert(key >= vis && key <= sealed);
  vis = key; sealed = key
}

proctype P() {
  byte t, x;
  do
  :: np < MAXP ->
     atomic {
       np++; epoch++;
       /* what the disk has */
       if :: pw&1 -> word = 0 :: pw&2 -> word = 1 :: pw&4 -> word = 2 :: pw&8 -> word = 3
          :: pw&16 -> word = 4 :: pw&32 -> word = 5 :: pw&64 -> word = 6 fi;
       if :: pp&1 -> part = 0 :: pp&2 -> part = 1 :: pp&4 -> part = 2 fi;
       x = key;
       if :: pk&1 -> key = 0 :: pk&2 -> key = 1 :: pk&4 -> key = 2 fi;
       /* a rename that was lost leaves the staged name */
       if :: key < x -> st[x] = true :: else fi;
       if :: key == 0 && x == 2 && (pk&2) -> st[1] = true :: else fi;
       x = 0
     }
     atomic { recover(); run T(epoch, key) }
  :: np == MAXP -> break
  :: ended == np + 1 -> break
  od
}

init {
  atomic { run T(0, 0); run P() }
}
