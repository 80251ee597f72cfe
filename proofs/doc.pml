/* SPDX-License-Identifier: Apache-2.0 */
/* append, grow and attributes under DOC, beside chunk writers, readers, recovery and the collector of rubbish.
 *
 * Elements 0..3 in two chunks of two (keys 0, 1); key 2 is the document, its content the number of elements L.  At first
 * L=1: the first append fills up the edge chunk (key 0), the next creates key 1.  The content of an element (two bits)
 * is the transaction that wrote it.  Row t-1 belongs to transaction t.
 *
 * T1, T2 append one element; T3 writes element 0, or with KIND=1 `[:]`, every element that the array has.
 * CFG=2: T2 is `grow` (document only), T3 writes element 1 after it has seen that there is one.
 * NOT3   READER   FALLBACK  the reader may go on under lock   QUIET  the first try under lock must do   MAXC  crashes
 * JAN    `azr recover` with the collector of rubbish
 *
 * Checks: at each commit the staged objects are what the operation makes of the committed state (strict serializability
 * in the order of the commits); a read equals hist[v] for a v current during its last try; at the end keys = hist[nver].
 *
 * M=88 no bump of `meta`   M=89 collector looks at the rows before it lists   M=90 an append stages before it has a row
 * M=91 document read before the rows are looked at   M=92 no second look after W   M=93 no DOC
 * M=94 a write whose box depends on the shape takes no DOC (KIND=1)   M=95 a read under lock takes no DOC (CFG=2 QUIET)
 * M=97 a row that touches metadata overlaps only what it names   M=98 reader keeps the document though its counter moved
 * M=99 reader resolves its keys once, by the first document
 * Not needed: M=96 DOC kept until the end */
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#ifndef KIND
#define KIND 0
#endif
#ifndef MAXC
#define MAXC 1
#endif
#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
#define IN(s,k) (((s)>>(k))&1)
#define EL(c,e) (((c)>>(2*(e)))&3)
#define NIB(c,k) (((c)>>(4*(k)))&15)
#define AROW(t) (t!=3)                                  /* touches metadata */
#define HULL(t) (AROW(t) -> 7 : 1)                     /* T3 only ever covers key 0 when absolute */
byte key[3];  /* key 0, 1: contents; 2: L */
byte sc[9], st[3], wk[3];  /* staged contents [3*(t-1)+k], which exist, what (set of keys) */
byte rst[3], slot[3];  /* row t-1 belongs to T t */
byte wx[2], ws[2], dx, ds;  /* W, DOC */
byte ctr[3], nver, hc[5], hl[5], ncr, ended;
#define NE 3
inline rel(me) {
  x = 0;
  do
  :: x < 2 -> if :: wx[x] == me -> wx[x] = 0 :: else fi; ws[x] = ws[x]&(255-(1<<me)); x++
  :: else -> break
  od;
  x = 0;
  do :: x < 3 -> if :: slot[x] == me -> slot[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0;
  if :: dx == me -> dx = 0 :: else fi;
  ds = ds&(255-(1<<me))
}

#define DIE ncr++; rel(me); goto fin
#define S(A) atomic { if :: ncr<MAXC -> DIE :: d_step { A } fi }
inline finish(i) {
  /* slot[i] held */
  if
  :: rst[i] == COMMITTED ->
     k = 0;
     do :: k < 3 -> if :: IN(wk[i], k) -> S(true; ctr[k]++;) :: else fi; k++ :: else -> break od;
     k = 0;
     do
     :: k < 3 ->
        if
        :: IN(wk[i], k) ->
           S(true;
             if :: IN(st[i], k) -> key[k] = sc[3*i+k]; st[i] = st[i]&(255-(1<<k)) :: else fi;)
        :: else
        fi;
        k++
     :: else -> break
     od;
     S(true; k = 0; rst[i] = FREE;)
     S(true; st[i] = 0; slot[i] = 0;)
  :: rst[i] == ACTIVE -> S(true; rst[i] = FREE;) S(true; st[i] = 0; slot[i] = 0;)
  :: else -> S(true; slot[i] = 0;)
  fi
}

/* M=97: by keys only.  Before its W an append looks at what touches the document */
#if M==97
#define OV(i) ((AROW(t) && AROW(i+1)) || (wk[i]&mine)!=0)
#else
#define OV(i) (AROW(t) || AROW(i+1) || (wk[i]&mine)!=0)
#endif
inline look() {
  i = 0;
  do
  :: i < 3 ->
     atomic {
       if
       :: ncr < MAXC -> DIE
       :: d_step {
            rst[i] == FREE || i == t-1 || !OV(i) || (rst[i] == ACTIVE && slot[i] != 0) -> i++;
          }
       :: rst[i] != FREE && i != t-1 && OV(i) && slot[i] == 0 -> slot[i] = me; goto dead
       fi
     }
     goto nx;
   dead:
     finish(i);
   nx:
     skip
  :: else -> i = 0; break
  od
}

inline stage() {
  S(true; sc[3*(t-1)] = (IN(mine, 0) -> n[0] : 0); sc[3*(t-1)+1] = (IN(mine, 1) -> n[1] : 0);
    sc[3*(t-1)+2] = (IN(mine, 2) -> L+1 : 0); st[t-1] = mine;)
}

proctype W(byte t) {
  byte me = t, i, k, x, L, mine, n[2], c, q, l0; bool ok;
#if CFG==2
  if :: t == 3 -> if :: hl[nver] >= 2 :: ncr>0 -> goto fin fi :: else fi;  /* it has seen a second element */
#endif
#if M==90
  if :: t == 1 -> S(true; st[t-1] = 7;) :: else fi;
#endif
  S(true; slot[t-1] = me; rst[t-1] = ACTIVE; wk[t-1] = 0;)
  if
  :: AROW(t) || (KIND == 1 && M != 94) ->
#if M!=93
     /* [A-doc] exclusive for who rewrites the document, shared for who uses it as data */
     S(AROW(t) && dx == 0 && ds == 0 || !AROW(t) && dx == 0;
       if :: AROW(t) -> dx = me :: else -> ds = ds|(1<<me) fi;)
#endif
#if M==91
     S(true; L = key[2];)
     look();
#else
     look();  /* [A-look] what touches metadata */
     S(true; L = key[2];)  /* [A-read] */
#endif
  :: else -> S(true; L = key[2];)
  fi;
  /* [A-lock] only now its objects are known */
  S(true;
    if
    :: CFG == 2 && t == 2 -> mine = 4
    :: t == 3 -> mine = ((KIND == 1 && L>2) -> 3 : 1)
    :: else -> mine = (1<<(L/2))|4
    fi;)
  k = 0;
  do
  :: k < 2 -> if :: IN(mine, k) -> S(wx[k] == 0 && ws[k] == 0; wx[k] = me;) :: else fi; k++
  :: else -> break
  od;
  k = 0;
#if M!=92
  look();  /* [A-look2] what lies on its objects */
#else
  if :: t == 3 -> look() :: else fi;
#endif
  if :: t == 3 && CFG == 2 -> S(true; L = key[2]; assert(L >= 2);) :: else fi;  /* no spurious "out of bounds" */
  k = 0;
  do :: k < 2 -> if :: IN(mine, k) -> S(true; n[k] = key[k];) :: else fi; k++ :: else -> break od;
  k = 0;
  S(true;
    if
    :: t == 3 && CFG == 2 -> n[0] = (n[0]&3)|(t<<2)
    :: t == 3 && CFG != 2 && KIND == 0 -> n[0] = (n[0]&12)|t
    :: t == 3 && CFG != 2 && KIND == 1 ->
       q = 0;
       do
       :: q < L -> n[q/2] = (n[q/2]&(15-(3<<(2*(q%2)))))|(t<<(2*(q%2))); q++
       :: else -> break
       od
    :: t != 3 && !(CFG == 2 && t == 2) -> n[L/2] = (n[L/2]&(15-(3<<(2*(L%2)))))|(t<<(2*(L%2)))
    :: else
    fi;
    q = 0; wk[t-1] = mine;)  /* [W4-what] */
#if M==90
  if
  :: t == 1 ->
     S(true; sc[3*(t-1)] = n[0]; sc[3*(t-1)+1] = n[1]; sc[3*(t-1)+2] = L+1;
       st[t-1] = st[t-1]&mine;)
  :: else -> stage()
  fi;
#else
  stage();
#endif
  atomic {
    if
    :: ncr < MAXC -> DIE
    :: d_step {
         rst[t-1] = COMMITTED; assert(st[t-1] == mine);  /* nothing that it names was taken for rubbish */
         l0 = hl[nver]; c = hc[nver];  /* the operation, done on the committed state */
         q = 0;
         if
         :: t == 3 && CFG == 2 -> c = (c&(255-12))|(t<<2)
         :: t == 3 && CFG != 2 ->
            do
            :: q < (KIND == 1 -> l0 : 1) -> c = (c&(255-(3<<(2*q))))|(t<<(2*q)); q++
            :: else -> break
            od
         :: t != 3 ->
            if :: !(CFG == 2 && t == 2) -> c = (c&(255-(3<<(2*l0))))|(t<<(2*l0)) :: else fi;
            l0++
         fi;
         q = 0; nver++; hc[nver] = c; hl[nver] = l0;
         do
         :: q < 2 -> assert((IN(mine, q) -> n[q] : NIB(hc[nver-1], q)) == NIB(c, q)); q++
         :: else -> break
         od;
         q = 0; assert((IN(mine, 2) -> L+1 : hl[nver-1]) == l0); c = 0; l0 = 0;
       }
    fi
  }
#if M==96
  S(true; if :: dx == me -> dx = 0 :: else fi;)
#endif
#if M==88
#define NB 2
#else
#define NB 3
#endif
  k = 0;
  do :: k < NB -> if :: IN(mine, k) -> S(true; ctr[k]++;) :: else fi; k++ :: else -> break od;
  k = 0;
  do
  :: k < 3 ->
     if
     :: IN(mine, k) ->
        S(true;
          if
          :: IN(st[t-1], k) -> key[k] = sc[3*(t-1)+k]; st[t-1] = st[t-1]&(255-(1<<k))
          :: else
          fi;)
     :: else
     fi;
     k++
  :: else -> break
  od;
  S(true; k = 0; rst[t-1] = FREE;)
  S(true; st[t-1] = 0;)
  atomic { rel(me); goto fin }
fin:
  atomic {
    i = 0; k = 0; x = 0; L = 0; mine = 0; n[0] = 0; n[1] = 0; c = 0; q = 0; l0 = 0; ended++
  }
}

#ifdef READER
/* optimistic, keeps what did not move; the document is part of every selection; reads every element below L */
#define CR(i) (rst[i]==COMMITTED -> 1 : 0)
#define NAMED(k) ((p0&&IN(wk[0],k)) || (p1&&IN(wk[1],k)) || (p2&&IN(wk[2],k)))
#define BP(k) ((p0&&IN(wk[0],k) -> 1 : 0)|(p1&&IN(wk[1],k) -> 2 : 0)|(p2&&IN(wk[2],k) -> 4 : 0))
inline opn(k) {
  if
#if M==98
  :: IN(have, k) && bp[k] == BP(k) && (k == 2 || bc[k] == c1[k]) ->
     skip
#elif M==99
  :: IN(have, k) && k == 2 -> skip
  :: IN(have, k) && k != 2 && bc[k] == c1[k] && bp[k] == BP(k) ->
     skip
#else
  :: IN(have, k) && bc[k] == c1[k] && bp[k] == BP(k) ->
     skip
#endif
  :: else ->
     d_step {
       i = 9;
       if
       :: p0 && IN(wk[0], k) -> i = 0
       :: p1 && IN(wk[1], k) -> i = 1
       :: p2 && IN(wk[2], k) -> i = 2
       :: else
       fi;
     }
     atomic { bp[k] = BP(k); bc[k] = c1[k]; have = have|(1<<k) }
     if
     :: i != 9 ->
        atomic { if :: IN(st[i], k) -> v[k] = sc[3*i+k] :: else -> v[k] = 255 fi; i = 0 }
        if :: v[k] == 255 -> v[k] = key[k] :: else fi
     :: else -> v[k] = key[k]; i = 0
     fi
  fi
}

proctype R(byte me) {
  byte c1[3], bc[3], bp[3], v[3], have, vs, i, x; bool p0, p1, p2, same, ok, lk;
again:
  atomic { vs = nver; c1[2] = ctr[2] }
  c1[0] = ctr[0]; c1[1] = ctr[1]; p0 = CR(0); p1 = CR(1); p2 = CR(2); opn(2); opn(0);
  if :: v[2]>2 -> opn(1) :: else -> atomic { have = have&5; bc[1] = 0; bp[1] = 0; v[1] = 0 } fi;
  same = true;
  if :: p0 != CR(0) -> same = 0 :: else fi;
  if :: p1 != CR(1) -> same = 0 :: else fi;
  if :: p2 != CR(2) -> same = 0 :: else fi;
  if :: c1[2] != ctr[2] -> same = 0 :: else fi;
  if :: c1[0] != ctr[0] -> same = 0 :: else fi;
  if :: v[2]>2 && c1[1] != ctr[1] -> same = 0 :: else fi;
  if
  :: same ->
     d_step {
       ok = false;
       do
       :: vs <= nver ->
          if
          :: hl[vs] == v[2] && NIB(hc[vs], 0) == v[0] && (v[2] <= 2 || NIB(hc[vs], 1) == v[1]) ->
             ok = true
          :: else
          fi;
          vs++
       :: else -> break
       od;
       assert(ok)
     }
     atomic { rel(me); goto fin }
  :: !same ->
#ifdef FALLBACK
     if
     :: lk ->
#ifdef QUIET                   /* no crash, no recoverer: under the lock the first try must do */
        assert(false);
#endif
        skip
     :: !lk ->
        lk = 1;
#if M!=95
        atomic { dx == 0 -> ds = ds|(1<<me) }
#endif
        atomic { wx[0] == 0 -> ws[0] = ws[0]|(1<<me) }
        atomic { wx[1] == 0 -> ws[1] = ws[1]|(1<<me) }
     :: !lk -> skip
     fi;
#endif
     atomic {
       c1[0] = 0; c1[1] = 0; c1[2] = 0; p0 = 0; p1 = 0; p2 = 0; same = 0; vs = 0; goto again
     }
  fi;
fin:
  atomic {
    c1[0] = 0; c1[1] = 0; c1[2] = 0; bc[0] = 0; bc[1] = 0; bc[2] = 0; bp[0] = 0; bp[1] = 0;
    bp[2] = 0; v[0] = 0; v[1] = 0; v[2] = 0; have = 0; vs = 0; i = 0; x = 0; p0 = 0; p1 = 0;
    p2 = 0; same = 0; ok = 0; lk = 0; ended++
  }
}

#define NRD 1
#else
#define NRD 0
#endif
#ifdef JAN
proctype J(byte me) {
  /* azr recover: dead rows by SLOT alone, then rubbish */
  byte i, k, x, lst; i = 0;
  do
  :: i < 3 ->
     atomic { if :: slot[i] == 0 && rst[i] != FREE -> slot[i] = me :: else -> i++; goto nx fi }
     finish(i);
   nx:
     skip
  :: else -> i = 0; break
  od;
#if M==89
  S(true; lst = (rst[0] == FREE -> 1 : 0)|(rst[1] == FREE -> 2 : 0)|(rst[2] == FREE -> 4 : 0);)
  do
  :: i < 3 -> S(true; if :: IN(lst, i) -> st[i] = 0 :: else fi; i++;)
  :: else -> i = 0; break
  od;
#else
  /* [G-list] */
  S(true; lst = (st[0] != 0 -> 1 : 0)|(st[1] != 0 -> 2 : 0)|(st[2] != 0 -> 4 : 0);)
  /* [G-rows] afterwards; the removal is later than the look */
  do
  :: i < 3 -> S(true; if :: rst[i] != FREE -> lst = lst&(255-(1<<i)) :: else fi; i++;)
  :: else -> i = 0; break
  od;
  /* [G-remove] */
  do
  :: i < 3 -> S(true; if :: IN(lst, i) -> st[i] = 0 :: else fi; i++;)
  :: else -> i = 0; break
  od;
#endif
fin:
  atomic { i = 0; k = 0; x = 0; lst = 0; ended++ }
}

#define NJ 1
#else
#define NJ 0
#endif
init {
  byte i, k; key[2] = 1; hl[0] = 1;
  atomic {
    run W(1); run W(2);
#ifndef NOT3
    run W(3);
#else
    ended++;
#endif
#ifdef READER
    run R(4);
#endif
#ifdef JAN
    run J(5);
#endif
  }
#if CFG==2
  ended == NE+NRD+NJ;
#else
  ended == NE+NRD+NJ;
#endif
  d_step {
    i = 0;
    do
    :: i < 3 ->
       assert(slot[i] == 0);
       if
       :: rst[i] == COMMITTED ->
          k = 0;
          do
          :: k < 3 -> if :: IN(wk[i], k) && IN(st[i], k) -> key[k] = sc[3*i+k] :: else fi; k++
          :: else -> break
          od
       :: else
       fi;
       i++
    :: else -> break
    od;
    assert(key[0] == NIB(hc[nver], 0)); assert(key[1] == NIB(hc[nver], 1));
    assert(key[2] == hl[nver]);
    assert(wx[0] == 0 && wx[1] == 0 && ws[0] == 0 && ws[1] == 0 && dx == 0 && ds == 0)
  }
}

