/* One array: writers, optimistic and locked readers, crashes, recovery, (NET) lock revocation.
 * Transaction ids 1..3; a chunk's content is the id of the transaction that wrote it (0 = initial).
 * hist[v] = array after v commits (2 bits per key).  The commit point appends to hist.
 * Checks: commit reads what is committed (no lost update, no write skew); a read equals hist[v] for some v
 * current between the first and the last step of its successful try; at the end the keys equal hist[nver]. */
#ifndef NR
#define NR 2
#endif
#ifndef MAXC
#define MAXC 1            /* crashes, all processes together */
#endif
#ifndef MAXZ
#define MAXZ 0            /* revocations (network) */
#endif
#ifndef M
#define M 0               /* mutant */
#endif
#ifndef CFG
#define CFG 1
#endif
#if CFG==1                /* overlapping sets; T3 reads chunk 2 under a shared lock */
#define NK 3
#define WS(t) (t==1 -> 3 : (t==2 -> 6 : 1))
#define RS(t) (t==3 -> 4 : 0)
#define NW 3
#elif CFG==2              /* disjoint writers, then one over both */
#define NK 2
#define WS(t) (t==1 -> 1 : (t==2 -> 2 : 3))
#define RS(t) 0
#define NW 3
#elif CFG==3              /* two writers on the same two chunks */
#define NK 2
#define WS(t) 3
#define RS(t) 0
#define NW 2
#elif CFG==4              /* write skew shape: 1 reads 1 writes 0, 2 reads 0 writes 1, 3 writes both */
#define NK 2
#define WS(t) (t==1 -> 1 : (t==2 -> 2 : 3))
#define RS(t) (t==1 -> 2 : (t==2 -> 1 : 0))
#define NW 3
#endif
#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
#define SEALED 3
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)

byte key[NK]; byte st[4]; byte rec = 0; byte rst[NR]; byte rid[NR]; byte slot[NR]; byte wx[NK];
byte ws[NK]; byte cnt[NK]; byte nver; byte hist[4]; byte ncr, nz, ended; bool fenced[6];
#if M==9
#define ID(t) (t==3 -> 1 : t)        /* ids re-used */
#else
#define ID(t) t
#endif
#define WSI(d) WS(d)

inline rel(me) {
  /* the kernel / server drops every lock of the descriptor at once */
  x = 0;
  do
  :: x < NK ->
     if :: wx[x] == me -> wx[x] = 0 :: else fi;
     if :: IN(ws[x], me) -> ws[x] = ws[x] & (255-(1<<me)) :: else fi;
     x++
  :: else -> break
  od;
  x = 0;
  do :: x < NR -> if :: slot[x] == me -> slot[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0
}

/* a step: either the process dies here, or the step happens */
#define S(A) atomic { if :: (ncr<MAXC) -> ncr++; rel(me); goto fin :: d_step { A } fi }

inline app(z) {
  x = 0; hist[nver+1] = 0;
  do
  :: x < NK ->
     hist[nver+1] = hist[nver+1] | ((IN(WS(z), x) -> z : GET(hist[nver], x)) << (2*x)); x++
  :: else -> break
  od;
  nver++; x = 0
}

/* finish or clear row i; we hold slot[i]; works for owner=other (dead) */
inline finish(i) {
#ifdef SEAL
  if
  :: rst[i] == SEALED && !fenced[me] ->
     S(true; if :: !fenced[me] -> rst[i] = COMMITTED; app(rid[i]) :: else fi;)
  :: else
  fi;
  if :: fenced[me] -> goto give :: else fi;
#endif
  if
  :: rst[i] == COMMITTED ->
     S(true; d = rid[i];)
#if M!=5
     k = 0;
     do
     :: k < NK && IN(WSI(d), k) -> S(true; if :: !fenced[me] -> cnt[k]++ :: else fi; k++;)
     :: k < NK && !IN(WSI(d), k) -> k++
     :: k == NK -> break
     od;
#endif
     if :: fenced[me] -> goto give :: else fi;
     k = 0;
     do
     :: k < NK && IN(WSI(d), k) ->
        S(true; if :: IN(st[d], k) -> key[k] = d; st[d] = st[d]&(255-(1<<k)) :: else fi; k++;)
     :: k < NK && !IN(WSI(d), k) -> k++
     :: k == NK -> break
     od;
     S(true; k = 0; if :: !fenced[me] -> rst[i] = FREE; rid[i] = 0 :: else fi;)
     S(true; st[d] = 0; d = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == ACTIVE ->
     S(true; d = rid[i]; if :: !fenced[me] -> rst[i] = FREE; rid[i] = 0 :: else -> d = 0 fi;)
     S(true;
       if :: d != 0 -> st[d] = 0 :: else fi;
       d = 0;
       if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: else ->
     S(true; if :: slot[i] == me -> slot[i] = 0 :: else fi;)  /* FREE, or (zombie) not ours any more */
  fi
}

proctype W(byte t) {
  byte me = t, k, i, r, d, x, rv;
  /* 1. a row, then W ascending */
claim:
  atomic {
    if
    :: (ncr < MAXC) -> ncr++; rel(me); goto fin
    :: d_step {
         slot[0] == 0 && rst[0] == FREE -> slot[0] = me; rst[0] = ACTIVE; rid[0] = ID(t); r = 0;
       }
    :: d_step {
         !(slot[0] == 0 && rst[0] == FREE) && slot[1] == 0 && rst[1] == FREE -> slot[1] = me;
         rst[1] = ACTIVE; rid[1] = ID(t); r = 1;
       }
#if NR>2
    :: d_step {
         !(slot[0] == 0 && rst[0] == FREE) && !(slot[1] == 0 && rst[1] == FREE) && slot[2] == 0 && rst[2] == FREE ->
         slot[2] = me; rst[2] = ACTIVE; rid[2] = ID(t); r = 2;
       }
#endif
    :: slot[0] == 0 && rst[0] != FREE && !(slot[1] == 0 && rst[1] == FREE) ->
       slot[0] = me; i = 0; goto dead1
    :: slot[1] == 0 && rst[1] != FREE && !(slot[0] == 0 && rst[0] == FREE) ->
       slot[1] = me; i = 1; goto dead1
    fi
  }
  goto locks;
dead1:
  finish(i); i = 0; goto claim;
locks:
  k = 0;
  do
  :: k < NK && IN(WS(t), k) -> S(wx[k] == 0 && ws[k] == 0; wx[k] = me; k++;)
  :: k < NK && IN(RS(t), k) -> S(wx[k] == 0; ws[k] = ws[k]|(1<<me); k++;)
  :: k < NK && !IN(WS(t)|RS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
  /* 2. look at the rows */
  i = 0;
  do
  :: i < NR ->
     atomic {
       if
       :: (ncr < MAXC) -> ncr++; rel(me); goto fin
       :: d_step {
            rst[i] == FREE || rid[i] == ID(t) || (WSI(rid[i]) & (WS(t)|RS(t))) == 0 -> i++;
          }
#if M==8
       :: rst[i] == ACTIVE && rid[i] != ID(t) && (WSI(rid[i]) & (WS(t)|RS(t))) != 0 ->
          goto dead2  /* cleared without SLOT */
#else
       :: d_step {
            rst[i] == ACTIVE && rid[i] != ID(t) && slot[i] != 0 && (WSI(rid[i]) & (WS(t)|RS(t))) != 0 ->
            i++;
          }
#endif
#if M==11
       :: d_step {
            rst[i] == COMMITTED && rid[i] != ID(t) && slot[i] != 0 && (WSI(rid[i]) & (WS(t)|RS(t))) != 0 ->
            i++;
          }  /* ignore a busy committed row */
#endif
       :: rst[i] != FREE && rid[i] != ID(t) && slot[i] == 0 && (WSI(rid[i]) & (WS(t)|RS(t))) != 0 ->
          slot[i] = me; goto dead2
       fi
     }
     goto nxt;
   dead2:
     finish(i);
   nxt:
     skip
  :: i == NR -> i = 0; break
  od;
  /* 3. read, merge, stage */
  k = 0;
  do
  :: k < NK && IN(WS(t)|RS(t), k) -> S(true; rv = rv | (key[k]<<(2*k)); k++;)
  :: k < NK && !IN(WS(t)|RS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
  S(true; st[ID(t)] = WS(t);)
#if M==7
  S(true; k = 0;
    do :: k < NK -> if :: wx[k] == me -> wx[k] = 0 :: else fi; k++ :: else -> break od;
    k = 0;)  /* W released before the commit */
#endif
  /* 5. commit */
#ifdef SEAL
  atomic {
    if
    :: (ncr < MAXC) -> ncr++; rel(me); goto fin
    :: fenced[me] -> goto give
    :: d_step { !fenced[me] -> rst[r] = SEALED }
    fi
  }
#endif
  atomic {
    if
    :: (ncr < MAXC) -> ncr++; rel(me); goto fin
    :: fenced[me] ->
       goto give  /* pwrite refused: nothing changed */
    :: d_step {
         !fenced[me] -> rst[r] = COMMITTED; k = 0;
         do
         :: k < NK ->
            if :: IN(WS(t)|RS(t), k) -> assert(GET(rv, k) == GET(hist[nver], k)) :: else fi;
            k++
         :: else -> break
         od;
         hist[nver+1] = 0; k = 0;
         do
         :: k < NK ->
            hist[nver+1] = hist[nver+1] | ((IN(WS(t), k) -> t : GET(hist[nver], k)) << (2*k));
            k++
         :: else -> break
         od;
         nver++; k = 0; rv = 0;
       }
#if MAXZ>0
    :: !fenced[me] && nz < MAXZ ->  /* took effect, but the reply says EIO: locks lost in between */
       rst[r] = COMMITTED; k = 0;
       do
       :: k < NK ->
          if :: IN(WS(t)|RS(t), k) -> assert(GET(rv, k) == GET(hist[nver], k)) :: else fi;
          k++
       :: else -> break
       od;
       hist[nver+1] = 0; k = 0;
       do
       :: k < NK ->
          hist[nver+1] = hist[nver+1] | ((IN(WS(t), k) -> t : GET(hist[nver], k)) << (2*k)); k++
       :: else -> break
       od;
       nver++; k = 0; rv = 0; nz++; fenced[me] = true; rel(me); goto give
#endif
    fi
  }
#if M==6
  S(true; rel(me);)  /* all locks released before the renames */
#endif
#if M==12
  S(true; k = 0;
    do :: k < NK -> if :: wx[k] == me -> wx[k] = 0 :: else fi; k++ :: else -> break od;
    k = 0;)  /* only W released before the renames */
#endif
#if M==3
  S(true; rst[r] = FREE; rid[r] = 0;)
#endif
  /* 6. counters */
#if M!=1 && M!=2 && M!=17
  k = 0;
  do
  :: k < NK && IN(WS(t), k) -> S(true; if :: !fenced[me] -> cnt[k]++ :: else fi; k++;)
  :: k < NK && !IN(WS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
#if M!=13
  if :: fenced[me] -> goto give :: else fi;
#endif
#endif
  /* 7. renames: not fenced */
  k = 0;
  do
  :: k < NK && IN(WS(t), k) ->
     S(true;
       if :: IN(st[ID(t)], k) -> key[k] = t; st[ID(t)] = st[ID(t)]&(255-(1<<k)) :: else fi;
       k++;)
  :: k < NK && !IN(WS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
#if M==17                        /* counters after the renames, before the row is cleared: equivalent */
  k = 0;
  do
  :: k < NK && IN(WS(t), k) -> S(true; cnt[k]++; k++;)
  :: k < NK && !IN(WS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
#endif
  /* 8. */
  S(true; if :: !fenced[me] -> rst[r] = FREE; rid[r] = 0 :: else fi;)
#if M==2                         /* counters after the row is cleared */
  k = 0;
  do
  :: k < NK && IN(WS(t), k) -> S(true; cnt[k]++; k++;)
  :: k < NK && !IN(WS(t), k) -> k++
  :: k == NK -> k = 0; break
  od;
#endif
  S(true; st[ID(t)] = 0;)
  atomic { rel(me); goto fin }
give:
  skip;  /* locks lost: touch nothing any more */
#if M==14
  atomic { st[ID(t)] = 0 }  /* mutant: removes tx/<id> although the commit may have happened */
#endif
  atomic { rel(me) }
fin:
  atomic { k = 0; i = 0; r = 0; d = 0; x = 0; rv = 0; ended++ }
}

/* optimistic reader of two keys */
inline opn(k,v) {
  d_step {
    cand = 0; i = 0;
    do
    :: i < NR -> if :: p[i] != 0 && IN(WSI(p[i]), k) -> cand = p[i] :: else fi; i++
    :: else -> break
    od;
    i = 0
  }
  if
  :: cand != 0 ->
     atomic { if :: IN(st[cand], k) -> v = cand :: else -> v = 15 fi; cand = 0 }
     if :: v == 15 -> v = key[k] :: else fi
  :: else -> v = key[k]
  fi
}

#define SEL ((1<<a)|(1<<b))
#define CROW(i) ((rst[i]==COMMITTED && (WSI(rid[i])&SEL)!=0) -> rid[i] : 0)
inline check() {
  d_step {
    ok = false;
    do
    :: vs <= nver ->
       if :: GET(hist[vs], a) == va && GET(hist[vs], b) == vb -> ok = true :: else fi;
       vs++
    :: else -> break
    od;
    assert(ok)
  }
}

proctype R(byte me) {
  byte a, b, c1a, c1b, p[NR], va, vb, vs, cand, i; bool ok, same; byte x;
  if
  :: a = 0; b = 1
#if NK>2
  :: a = 1; b = 2
  :: a = 0; b = 2
#endif
  fi;
again:
  atomic { vs = nver; c1a = cnt[a] }
  c1b = cnt[b]; p[0] = CROW(0); p[1] = CROW(1);
#if NR>2
  p[2] = CROW(2);
#endif
  opn(a, va); opn(b, vb); same = true;
#if M==10
  if :: cnt[a] != c1a -> same = false :: else fi;
  if :: cnt[b] != c1b -> same = false :: else fi;
#endif
#if M!=4
  if :: p[0] != CROW(0) -> same = false :: else fi;
  if :: p[1] != CROW(1) -> same = false :: else fi;
#if NR>2
  if :: p[2] != CROW(2) -> same = false :: else fi;
#endif
#endif
#if M!=10
  if :: cnt[a] != c1a -> same = false :: else fi;
  if :: cnt[b] != c1b -> same = false :: else fi;
#endif
  if
  :: same -> check(); goto fin
  :: !same ->
     atomic {
       c1a = 0; c1b = 0; p[0] = 0; p[1] = 0; va = 0; vb = 0; vs = 0; same = false;
#if NR>2
       p[2] = 0;
#endif
       goto again
     }
#ifdef FALLBACK
  :: !same ->
     atomic {
       c1a = 0; c1b = 0; p[0] = 0; p[1] = 0; va = 0; vb = 0; vs = 0; same = false; goto locked
     }
#endif
  fi;
locked:
#ifdef FALLBACK
  vs = nver;
  atomic { wx[a] == 0 -> ws[a] = ws[a]|(1<<me) }
  atomic { wx[b] == 0 -> ws[b] = ws[b]|(1<<me) }
#if MAXZ>0 || defined(SEAL)
relook:
  atomic { vs = nver; c1a = cnt[a] }
  c1b = cnt[b];
#endif
  p[0] = CROW(0); p[1] = CROW(1);
#if NR>2
  p[2] = CROW(2);
#endif
  opn(a, va); opn(b, vb);
#if (MAXZ>0 || defined(SEAL)) && M!=15
  /* network: the lock may be lost meanwhile without the reader knowing: validate as an optimistic reader does */
  same = true;
  if :: p[0] != CROW(0) -> same = false :: else fi;
  if :: p[1] != CROW(1) -> same = false :: else fi;
  if :: cnt[a] != c1a -> same = false :: else fi;
  if :: cnt[b] != c1b -> same = false :: else fi;
#if MAXZ>0
  if :: !same -> goto lost :: else fi;
#else
  if :: !same -> goto relook :: else fi;
#endif
#endif
  check();
lost:
  atomic { rel(me) }
#endif
fin:
  atomic {
    a = 0; b = 0; c1a = 0; c1b = 0; p[0] = 0; p[1] = 0; va = 0; vb = 0; vs = 0; same = false;
    ok = false; cand = 0; x = 0;
#if NR>2
    p[2] = 0;
#endif
    ended++
  }
}

#ifdef JANITOR
proctype J(byte me) {
  /* azr recover: no W at all, SLOT only */
  byte k, i, d, x; i = 0;
  do
  :: i < NR ->
     atomic { if :: slot[i] == 0 && rst[i] != FREE -> slot[i] = me :: else -> i++; goto nx fi }
     finish(i);
     if :: fenced[me] -> goto give :: else fi;
   nx:
     skip
  :: i == NR -> break
  od;
give:
  atomic { rel(me) }
fin:
  atomic { k = 0; i = 0; d = 0; x = 0; ended++ }
}

#define NJ 1
#else
#define NJ 0
#endif
#ifndef NRD
#define NRD 1
#endif

#if MAXZ>0
proctype Srv() {
  byte x;
  do
  :: nz < MAXZ && ended < NW+NRD+NJ ->
     atomic {
       if
       :: !fenced[1] -> nz++; fenced[1] = true; rel(1)
       :: !fenced[2] ->
          nz++; fenced[2] = true; rel(2)
#if NW>2
       :: !fenced[3] ->
          nz++; fenced[3] = true; rel(3)
#endif
#ifdef FALLBACK
       :: !fenced[4] ->
          nz++; fenced[4] = true; rel(4)
#endif
#ifdef JANITOR
       :: !fenced[5] ->
          nz++; fenced[5] = true; rel(5)
#endif
       :: else -> break
       fi
     }
  :: ended == NW+NRD+NJ || nz == MAXZ -> break
  od
}

#endif
init {
  byte i, k, d;
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
#if NRD>1
    run R(6);
#endif
#ifdef JANITOR
    run J(5);
#endif
#if MAXZ>0
    run Srv();
#endif
  }
  ended == NW+NRD+NJ;
  /* final recovery and comparison */
  d_step {
    i = 0;
    do
    :: i < NR ->
       assert(slot[i] == 0);
       if
       :: rst[i] == COMMITTED ->
          d = rid[i]; k = 0;
          do
          :: k < NK -> if :: IN(st[d], k) -> key[k] = d; st[d] = st[d]&(255-(1<<k)) :: else fi; k++
          :: else -> break
          od
       :: else
       fi;
       rst[i] = FREE; i++
    :: else -> break
    od;
    k = 0;
    do
    :: k < NK -> assert(key[k] == GET(hist[nver], k)); assert(wx[k] == 0 && ws[k] == 0); k++
    :: else -> break
    od
  }
}

