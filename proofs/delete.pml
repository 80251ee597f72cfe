/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion of stored objects beside writers, readers and recovery, on a local file system: the row flags the
 * entry as deleted, and step 7 unlinks the key before the row is cleared.  A staged object can be renamed only
 * once; a key can be unlinked again and again, each time something else: this is what is new here.
 *
 * Keys 0 and 1 are chunks (content: the transaction that wrote it, 0: absent, reads as fill), key 2 is the
 * document, its content the number of chunks that the array has.  Row t-1 belongs to transaction t.
 *
 * CFG=1  T1 writes both chunks, T2 writes chunk 0 and deletes chunk 1
 * CFG=2  T1 deletes both, T2 creates chunk 1 again
 * CFG=3  T1 deletes both, T2 deletes chunk 1, T3 writes both
 * CFG=4  T1 shrinks the array from two chunks to one (META exclusive, no W), T2 writes both chunks (an error
 *        once the array is smaller), T3 appends a chunk if there is room (DOC)
 * JANITOR  `azr recover` beside the rest   FALLBACK  the reader may go on under lock   NOREADER
 * MAXC     crashes, all processes together
 *
 * Checks: what a commit read is what is committed; a read equals hist[v] for a v current during its last try;
 * at the end the keys are hist[nver]; recovery never meets an object that is missing both as staged and under
 * its key, unless it was deleted; and (CFG=4) a plain reader who looks at any instant never finds a document
 * that names a chunk which is not there. */
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#ifndef MAXC
#define MAXC 1
#endif
#if CFG==1
#define NW 2
#define WS(t) 3
#define DS(t) (t==2 -> 2 : 0)
#elif CFG==2
#define NW 2
#define WS(t) (t==1 -> 3 : 2)
#define DS(t) (t==1 -> 3 : 0)
#elif CFG==3
#define NW 3
#define WS(t) (t==2 -> 2 : 3)
#define DS(t) (t==1 -> 3 : (t==2 -> 2 : 0))
#else
#define NW 3
#define WS(t) (t==2 -> 3 : 6)
#define DS(t) (t==1 -> 2 : 0)
#endif
#define SHRINKS(t) (CFG==4 && t==1)
#define APPENDS(t) (CFG==4 && t==3)
#define META(t)    (SHRINKS(t) || APPENDS(t))           /* its row touches metadata: it overlaps everything */
#if CFG==3
#define OLD 1                                           /* content at first: no id of a writer */
#else
#define OLD (CFG==4 -> 1 : 3)
#endif
#define NEW(t,k) (k==2 -> (SHRINKS(t) -> 1 : 2) : (IN(DS(t),k) -> 0 : t))

#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
#define DOCUMENT 2

byte key[3], st[3], rst[3], slot[3];                    /* st: staged objects, a set of keys */
byte wk[3], dk[3];                                      /* *what* of the row: keys, deleted keys */
byte mx, ms, dx, ds, wx[2], ws[2];                      /* META, DOC, W: exclusive owner, set of sharers */
byte ctr[3], nver, hist[5], ncr, ended;

inline rel(me) {
  x = 0;
  do
  :: x < 2 -> if :: wx[x] == me -> wx[x] = 0 :: else fi; ws[x] = ws[x]&(255-(1<<me)); x++
  :: else -> break
  od;
  x = 0;
  do :: x < 3 -> if :: slot[x] == me -> slot[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0;
  if :: mx == me -> mx = 0 :: else fi;
  if :: dx == me -> dx = 0 :: else fi;
  ms = ms&(255-(1<<me)); ds = ds&(255-(1<<me))
}

/* a step: the process dies here, or the step happens */
#define DIE ncr++; rel(me); goto fin
#define S(A) atomic { if :: ncr<MAXC -> DIE :: d_step { A } fi }

/* Nobody who reads the directory without us may find a document that names a missing chunk. */
#define PLAIN assert(CFG!=4 || !(key[DOCUMENT]==2 && key[1]==0))

/* Applies entry k of the row q, of transaction q+1: unlink or rename. */
inline apply(q,k) {
  if
  :: IN(dk[q], k) -> key[k] = 0  /* [W7-unlink] [F-unlink] */
  :: !IN(dk[q], k) && IN(st[q], k) -> key[k] = NEW((q+1), k); st[q] = st[q]&(255-(1<<k))
  :: else -> assert(key[k] != 0)  /* renamed before: it must be there */
  fi;
  PLAIN
}

/* The order within step 7, for the owner and for who finishes the row: the document before what is deleted, after
 * what is created.  M=110: the owner takes the document last   M=111: who finishes the row does. */
#define FIRST(t,mut) ((SHRINKS(t) && M!=mut) -> 2 : 0)
inline applyall(q,mut) {
  k = FIRST((q+1), mut); n = 0;
  do
  :: n < 3 && IN(wk[q], k) ->
#if M==106
     S(true;
       if :: q+1 != me && IN(dk[q], k) -> skip :: else -> apply(q, k) fi;
       n++; k = (k+1)%3;)
#else
     S(true; apply(q, k); n++; k = (k+1)%3;)
#endif
  :: n < 3 && !IN(wk[q], k) -> n++; k = (k+1)%3
  :: else -> k = 0; n = 0; break
  od
}

inline bump(q) {
  k = 0;
  do
#if M==104
  :: k < 3 && IN(wk[q], k) && !IN(dk[q], k) -> S(true; ctr[k]++; k++;)
  :: k < 3 && !(IN(wk[q], k) && !IN(dk[q], k)) -> k++
#else
  :: k < 3 && IN(wk[q], k) -> S(true; ctr[k]++; k++;)
  :: k < 3 && !IN(wk[q], k) -> k++
#endif
  :: else -> k = 0; break
  od
}

/* Finish or clear row i of a dead owner; slot[i] is ours. */
inline finish(i) {
  if
  :: rst[i] == COMMITTED ->
     bump(i);
#if M==100
     S(true; rst[i] = FREE;)
#endif
     applyall(i, 111);
#if M!=100
     S(true; rst[i] = FREE;)
#endif
     S(true; st[i] = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == ACTIVE -> S(true; rst[i] = FREE;) S(true; st[i] = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: else -> S(true; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  fi
}

#if M==101
#define TAKE skip                                       /* finished without its SLOT */
#else
#define TAKE slot[i] = me
#endif
#define OV(i) (META(t) || META((i+1)) || (WS((i+1))&WS(t))!=0)
inline look() {
  i = 0;
  do
  :: i < NW ->
     atomic {
       if
       :: ncr < MAXC -> DIE
       :: d_step {
            rst[i] == FREE || i == t-1 || !OV(i) || (rst[i] == ACTIVE && slot[i] != 0) -> i++
          }
          goto nx
       :: rst[i] != FREE && i != t-1 && OV(i) && slot[i] == 0 -> TAKE
       fi
     }
     finish(i);
   nx:
     skip
  :: else -> i = 0; break
  od
}

proctype W(byte t) {
  byte me = t, i, k, n, x, L, rv;
  S(true; slot[t-1] = me; rst[t-1] = ACTIVE;)
#if M==113
  S(true; L = key[DOCUMENT];)
#endif
#if M==114
  S(mx == 0; ms = ms|(1<<me);)
#else
  if :: SHRINKS(t) -> S(mx == 0 && ms == 0; mx = me;) :: else -> S(mx == 0; ms = ms|(1<<me);) fi;
#endif
  if :: META(t) -> S(dx == 0 && ds == 0; dx = me;) :: else fi;
#if M==115
  S(true; L = key[DOCUMENT];)
#endif
  if :: APPENDS(t) -> look() :: else fi;
  if :: APPENDS(t) -> S(true; L = key[DOCUMENT];) :: else fi;
  if :: APPENDS(t) && L == 2 -> goto nothing :: else fi;
  k = 0;
  do
  :: k < 2 && IN(WS(t), k) && !SHRINKS(t) -> S(wx[k] == 0 && ws[k] == 0; wx[k] = me; k++;)
  :: k < 2 && !(IN(WS(t), k) && !SHRINKS(t)) -> k++
  :: else -> k = 0; break
  od;
  look();
#if M!=113 && M!=115
  S(true; L = key[DOCUMENT];)
#endif
  if :: CFG == 4 && t == 2 && L < 2 -> goto nothing :: else fi;  /* out of bounds: nothing is changed */
  do
  :: k < 2 && IN(WS(t), k) -> S(true; rv = rv|(key[k]<<(2*k)); k++;)
  :: k < 2 && !IN(WS(t), k) -> k++
  :: else -> k = 0; break
  od;
#if M==105
  S(true; if :: IN(DS(t), 0) -> key[0] = 0 :: else fi; if :: IN(DS(t), 1) -> key[1] = 0 :: else fi;)
#endif
  S(true; st[t-1] = WS(t)&(7-DS(t)); wk[t-1] = WS(t); dk[t-1] = DS(t);)
  atomic {
    if
    :: ncr < MAXC -> DIE
    :: d_step {
         rst[t-1] = COMMITTED;
         k = 0;
         do
         :: k < 2 -> if :: IN(WS(t), k) -> assert(GET(rv, k) == GET(hist[nver], k)) :: else fi; k++
         :: else -> break
         od;
         assert(L == GET(hist[nver], DOCUMENT));
         hist[nver+1] = 0; k = 0;
         do
         :: k < 3 ->
            hist[nver+1] = hist[nver+1]|((IN(WS(t), k) -> NEW(t, k) : GET(hist[nver], k))<<(2*k)); k++
         :: else -> break
         od;
         nver++; k = 0; rv = 0; L = 0
       }
    fi
  }
  bump((t-1));
#if M==103
  k = 0;
  do
  :: k < 3 && IN(WS(t), k) && !IN(DS(t), k) -> S(true; apply((t-1), k); k++;)
  :: k < 3 && !(IN(WS(t), k) && !IN(DS(t), k)) -> k++
  :: else -> k = 0; break
  od;
  S(true; rst[t-1] = FREE;)
  do
  :: k < 3 && IN(DS(t), k) -> S(true; apply((t-1), k); k++;)
  :: k < 3 && !IN(DS(t), k) -> k++
  :: else -> k = 0; break
  od;
#else
  applyall((t-1), 110);
  S(true; rst[t-1] = FREE;)
#endif
  S(true; st[t-1] = 0;)
  atomic { rel(me); goto fin }
nothing:
  S(true; rst[t-1] = FREE;)
  atomic { rel(me) }
fin:
  atomic { i = 0; k = 0; n = 0; x = 0; L = 0; rv = 0; ended++ }
}

/* The optimistic reader of the whole array.  It keeps the document from its first look on, as a handle does, as
 * long as the counter and the rows that name it stand; it resolves its chunks by it. */
#define CR(i) (rst[i]==COMMITTED -> 1 : 0)
#define BY(k) ((p[0]&&IN(wk[0],k)) -> 0 : ((p[1]&&IN(wk[1],k)) -> 1 : ((p[2]&&IN(wk[2],k)) -> 2 : 9)))
#if M==112
#define KEEP have
#define SAMEDOC true
#else
#define KEEP (have && docc==c1[DOCUMENT] && docb==BY(DOCUMENT))
#define SAMEDOC (c1[DOCUMENT]==ctr[DOCUMENT])
#endif
#if M==102
#define DELETED(k) false
#else
#define DELETED(k) IN(dk[i],k)
#endif
inline opn(k) {
  i = BY(k);
  if
  :: i == 9 -> v[k] = key[k]
  :: i != 9 && DELETED(k) -> v[k] = 0  /* fill, whatever stands under the key */
  :: else ->
     atomic { if :: IN(st[i], k) -> v[k] = NEW((i+1), k) :: else -> v[k] = 255 fi }
     if :: v[k] == 255 -> v[k] = key[k] :: else fi
  fi;
  i = 0
}

proctype R(byte me) {
  byte c1[3], v[3], docc, docb, vs, i, x; bool p[3], have, same, ok, lk;
again:
  atomic { vs = nver; c1[DOCUMENT] = ctr[DOCUMENT] }
  c1[0] = ctr[0]; c1[1] = ctr[1];
  p[0] = CR(0); p[1] = CR(1); p[2] = CR(2);
  if
  :: KEEP -> skip
  :: else -> atomic { have = true; docc = c1[DOCUMENT]; docb = BY(DOCUMENT) } opn(DOCUMENT)
  fi;
  opn(0);
  if :: v[DOCUMENT] == 2 -> opn(1) :: else -> v[1] = 0 fi;
  same = true;
  if :: p[0] != CR(0) -> same = false :: else fi;
  if :: p[1] != CR(1) -> same = false :: else fi;
  if :: p[2] != CR(2) -> same = false :: else fi;
  if :: !SAMEDOC -> same = false :: else fi;
  if :: c1[0] != ctr[0] -> same = false :: else fi;
  if :: v[DOCUMENT] == 2 && c1[1] != ctr[1] -> same = false :: else fi;
  if
  :: same ->
     d_step {
       ok = false;
       do
       :: vs <= nver ->
          if
          :: GET(hist[vs], DOCUMENT) == v[DOCUMENT] && GET(hist[vs], 0) == v[0] && GET(hist[vs], 1) == v[1] ->
             ok = true
          :: else
          fi;
          vs++
       :: else -> break
       od;
       assert(ok)
     }
  :: !same ->
     atomic { c1[0] = 0; c1[1] = 0; c1[2] = 0; p[0] = 0; p[1] = 0; p[2] = 0; v[0] = 0; v[1] = 0; vs = 0 }
     goto again
#ifdef FALLBACK
  :: !same && !lk ->
     atomic { c1[0] = 0; c1[1] = 0; c1[2] = 0; p[0] = 0; p[1] = 0; p[2] = 0; v[0] = 0; v[1] = 0; vs = 0; lk = true }
     atomic { mx == 0 -> ms = ms|(1<<me) }
     atomic { dx == 0 -> ds = ds|(1<<me) }
     atomic { wx[0] == 0 -> ws[0] = ws[0]|(1<<me) }
     atomic { wx[1] == 0 -> ws[1] = ws[1]|(1<<me) }
     goto again
#endif
  fi;
  atomic {
    rel(me); c1[0] = 0; c1[1] = 0; c1[2] = 0; p[0] = 0; p[1] = 0; p[2] = 0; v[0] = 0; v[1] = 0; v[2] = 0;
    docc = 0; docb = 0; vs = 0; have = 0; same = 0; ok = 0; lk = 0; ended++
  }
}

/* `azr recover`: SLOT only */
proctype J(byte me) {
  byte i, k, n, x;
  do
  :: i < NW -> atomic { if :: slot[i] == 0 && rst[i] != FREE -> TAKE :: else -> i++; goto nx fi }
     finish(i);
   nx:
     skip
  :: else -> break
  od;
fin:
  atomic { rel(me); i = 0; k = 0; n = 0; x = 0; ended++ }
}

init {
  byte i, k;
  key[0] = OLD; key[1] = OLD; key[DOCUMENT] = 2; hist[0] = OLD|(OLD<<2)|(2<<4);
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
#else
    ended++;
#endif
  }
  ended == NW+2;
  d_step {  /* what the next participant would do, and then the keys */
    i = 0;
    do
    :: i < NW ->
       assert(slot[i] == 0);
       if
       :: rst[i] == COMMITTED ->
          k = 0;
          do
          :: k < 3 ->
             if
             :: IN(wk[i], k) && IN(dk[i], k) -> key[k] = 0
             :: IN(wk[i], k) && !IN(dk[i], k) && IN(st[i], k) -> key[k] = NEW((i+1), k)
             :: else
             fi;
             k++
          :: else -> break
          od
       :: else
       fi;
       i++
    :: else -> break
    od;
    k = 0;
    do :: k < 3 -> assert(key[k] == GET(hist[nver], k)); k++ :: else -> break od;
    assert(mx == 0 && ms == 0 && dx == 0 && ds == 0 && wx[0] == 0 && wx[1] == 0 && ws[0] == 0 && ws[1] == 0)
  }
}
