/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rows grows.  The number of rows (nr) stands in the header and is read with every look.  Writers on the
 * same two chunks, an optimistic reader, growth at any time by whoever wants it (META exclusive; first the room, then
 * the number; may die in between), crash and recovery.  Otherwise single.pml, CFG=3, in short.
 *
 * NW  writers   NG  growers   MAXC  crashes, of growers as well   NOREADER
 * M=80 reader reads nr once, when it opens the array   M=81 writer looks with the nr with which it took its row
 * M=82 number stored before the room is there          M=86 nr read before W, and growth without META
 * Not needed: M=83 growth without META (if nr is read after W)   M=84 nr once for p1 and p2
 * M=85 nr read before W, growth under META             M=87 two growers without a lock (not complete) */
#ifndef M
#define M 0
#endif
#ifndef MAXC
#define MAXC 1
#endif
#define NR 3
#define NK 2
#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
byte key[NK], st[4], rst[NR], rid[NR], slot[NR], wx[NK], ctr[NK], nver, hist[5], ncr, ended;
byte nr = 1, room = 1; byte ms; bool mx;  /* ms: set of holders */
#ifndef NW
#define NW 3
#endif
#ifndef NG
#define NG 1
#endif
inline rel(me) {
  x = 0;
  do :: x < NK -> if :: wx[x] == me -> wx[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0;
  do :: x < NR -> if :: slot[x] == me -> slot[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0; ms = ms&(255-(1<<me))
}

#define DIE ncr++; rel(me); goto fin
#define S(A) atomic { if :: ncr<MAXC -> DIE :: d_step { A } fi }
inline finish(i) {
  if
  :: rst[i] == COMMITTED ->
     S(true; d = rid[i];)
     S(true; ctr[0]++;)
     S(true; ctr[1]++;)
     S(true; if :: IN(st[d], 0) -> key[0] = d; st[d] = st[d]&2 :: else fi;)
     S(true; if :: IN(st[d], 1) -> key[1] = d; st[d] = st[d]&1 :: else fi;)
     S(true; rst[i] = FREE; rid[i] = 0;)
     S(true; st[d] = 0; d = 0; slot[i] = 0;)
  :: rst[i] == ACTIVE ->
     S(true; d = rid[i]; rst[i] = FREE; rid[i] = 0;)
     S(true; st[d] = 0; d = 0; slot[i] = 0;)
  :: else -> S(true; slot[i] = 0;)
  fi
}

proctype W(byte t) {
  byte me = t, i, r, d, x, rv, n, l;
claim:
  S(true; n = nr;)
  i = 0;
  do
  :: i < n ->
     atomic {
       if
       :: ncr < MAXC -> DIE
       :: d_step {
            slot[i] == 0 && rst[i] == FREE -> slot[i] = me; rst[i] = ACTIVE; rid[i] = t; r = i;
          }
          goto have
       :: slot[i] == 0 && rst[i] != FREE -> slot[i] = me; goto dead1
       :: slot[i] != 0 -> i++; goto nx1
       fi
     }
   dead1:
     finish(i);
   nx1:
     skip
  :: else -> break
  od;
  S(true; i = 0; n = 0;)
  atomic {
    l = nr;
    if
    :: (l < nr || slot[0] == 0 || (nr>1 && slot[1] == 0) || (nr>2 && slot[2] == 0)) ->
       l = 0; goto claim
    :: ncr < MAXC -> DIE
    fi
  }  /* wait, or somebody grows */
have:
  l = n;
#if M!=81
  n = 0;
#endif
  S(!mx; i = 0; ms = ms|(1<<me);)
#if M==85 || M==86
  S(true; n = nr;)
#endif
  S(wx[0] == 0; wx[0] = me;)
  S(wx[1] == 0; wx[1] = me;)
#if M!=81 && M!=85 && M!=86
  S(true; n = nr;)
#endif
  i = 0;
  do
  :: i < n ->
     atomic {
       if
       :: ncr < MAXC -> DIE
       :: d_step { rst[i] == FREE || i == r || (rst[i] == ACTIVE && slot[i] != 0) -> i++ }
       :: rst[i] != FREE && i != r && slot[i] == 0 -> slot[i] = me; goto dead2
       fi
     }
     goto nx2;
   dead2:
     finish(i);
   nx2:
     skip
  :: else -> i = 0; break
  od;
  S(true; rv = key[0];)
  S(true; rv = rv|(key[1]<<2);)
  S(true; st[t] = 3;)
  S(true; assert(rv == hist[nver]); rst[r] = COMMITTED; nver++; hist[nver] = t|(t<<2); rv = 0;)
  S(true; ctr[0]++;)
  S(true; ctr[1]++;)
  S(true; if :: IN(st[t], 0) -> key[0] = t; st[t] = st[t]&2 :: else fi;)
  S(true; if :: IN(st[t], 1) -> key[1] = t; st[t] = st[t]&1 :: else fi;)
  S(true; rst[r] = FREE; rid[r] = 0;)
  S(true; st[t] = 0;)
  atomic { rel(me); goto fin }
fin:
  atomic { i = 0; r = 0; d = 0; x = 0; rv = 0; n = 0; l = 0; ended++ }
}

proctype G(byte me) {
  byte x, n; bool g;
  if :: nr < NR :: skip fi;
#if M!=83 && M!=86 && M!=87
  /* [T-meta] */
  atomic { !mx && ms == 0 -> mx = 1 }
#endif
  n = nr;
  if
  :: n < NR ->
#if M==82
     nr = n+1;
     if :: room = n+1 :: atomic { ncr < MAXC -> ncr++ } fi  /* may die in between */
#else
     atomic { if :: room < n+1 -> room = n+1 :: else fi }  /* [T-room] */
     /* [T-number], or it dies */
     if :: nr = n+1 :: atomic { ncr < MAXC -> ncr++ } fi
#endif
  :: else
  fi;
#if M!=83 && M!=86 && M!=87
  mx = 0;
#endif
  atomic { n = 0; ended++ }
}

#define CROW(i) (rst[i]==COMMITTED -> rid[i] : 0)
inline row(i,q) {
  atomic { if :: i < n -> assert(i < room); q = CROW(i) :: else -> q = 0 fi }
}  /* i<room: no SIGBUS */

inline opn(k,v) {
  d_step {
    cand = 0; i = 0;
    do :: i < NR -> if :: p[i] != 0 -> cand = p[i] :: else fi; i++ :: else -> break od;
    i = 0
  }
  if
  :: cand != 0 ->
     atomic { if :: IN(st[cand], k) -> v = cand :: else -> v = 15 fi; cand = 0 }
     if :: v == 15 -> v = key[k] :: else fi
  :: else -> v = key[k]
  fi
}

proctype R() {
  byte p[NR], q, n, va, vb, c0, c1, vs, cand, i; bool same, ok;
#if M==80
  n = nr;
#endif
again:
  atomic { vs = nver; c0 = ctr[0] }
  c1 = ctr[1];
#if M!=80
  n = nr;
#endif
  row(0, p[0]); row(1, p[1]); row(2, p[2]); opn(0, va); opn(1, vb);
#if M!=80 && M!=84
  n = nr;
#endif
  same = true; row(0, q);
  atomic { if :: q != p[0] -> same = 0 :: else fi; q = 0 }
  row(1, q);
  atomic { if :: q != p[1] -> same = 0 :: else fi; q = 0 }
  row(2, q);
  atomic { if :: q != p[2] -> same = 0 :: else fi; q = 0 }
  if :: c0 != ctr[0] -> same = 0 :: else fi;
  if :: c1 != ctr[1] -> same = 0 :: else fi;
  if
  :: same ->
     d_step {
       ok = 0;
       do
       :: vs <= nver ->
          if :: GET(hist[vs], 0) == va && GET(hist[vs], 1) == vb -> ok = 1 :: else fi;
          vs++
       :: else -> break
       od;
       assert(ok)
     }
  :: !same ->
     atomic {
       p[0] = 0; p[1] = 0; p[2] = 0; va = 0; vb = 0; c0 = 0; c1 = 0; vs = 0; same = 0;
#if M!=80
       n = 0;
#endif
       goto again
     }
  fi;
  atomic {
    p[0] = 0; p[1] = 0; p[2] = 0; va = 0; vb = 0; c0 = 0; c1 = 0; vs = 0; same = 0; ok = 0; n = 0;
    ended++
  }
}

init {
  byte i, k, d;
  atomic {
    run W(1); run W(2);
#if NW>2
    run W(3);
#endif
    run G(5);
#if NG>1
    run G(6);
#endif
#ifndef NOREADER
    run R()
#else
    ended++
#endif
  }
  ended == NW+NG+1;
  d_step {
    i = 0;
    do
    :: i < nr ->
       assert(slot[i] == 0);
       if
       :: rst[i] == COMMITTED ->
          d = rid[i]; k = 0;
          do :: k < NK -> if :: IN(st[d], k) -> key[k] = d :: else fi; k++ :: else -> break od
       :: else
       fi;
       i++
    :: else -> break
    od;
    assert(nr <= room); assert(key[0] == GET(hist[nver], 0));
    assert(key[1] == GET(hist[nver], 1)); assert(wx[0] == 0 && wx[1] == 0 && ms == 0)
  }
}

