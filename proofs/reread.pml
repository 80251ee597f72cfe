/* Readers that, after a failed try, open anew only the keys whose counter or row moved.  Writers, recovery: as in single.pml.
 * The reader keeps for each key the counter and the rows that named it at the look before ITS open (bc, bp), compares those with
 * every later look, and opens anew what differs; each try begins with a fresh look (c, then p).  A read must equal hist[v] for a v current between the first and last step of its LAST try (-DWIDE: of the whole read).
 * M=70: what moved between c1/p1 and c2/p2 of the failed try is opened anew, and the next try compares only with its own fresh look
 * M=71: nothing is opened anew   M=72: only what a counter moved   M=73: only what a row moved
 * M=74: the base is the look after the open   M=75: p2, c2 of the failed try serve as the first look of the next (wrong order)
 * M=76: a row counts as moved only when it appears, not when it goes (is it needed?)
 * 1-17 are the mutants of single.pml */
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

#ifdef WIDE
#define VS0
#else
#define VS0 vs=0;
#endif
#define SEL ((1<<a)|(1<<b))
#define CROW(i) ((rst[i]==COMMITTED && (WSI(rid[i])&SEL)!=0) -> rid[i] : 0)
#define BROW(q,k) ((q!=0 && IN(WSI(q),k)) -> q : 0)       /* the word of a row, as far as it concerns key k */
#if M==71
#define KEEP(j,k) have[j]
#elif M==72
#define KEEP(j,k) (have[j] && bc[j]==c1[j])
#elif M==73
#define KEEP(j,k) (have[j] && bp[2*j]==BROW(p[0],k) && bp[2*j+1]==BROW(p[1],k))
#elif M==70
#define KEEP(j,k) (have[j] && !mv[j])
#elif M==76
#define KEEP(j,k) (have[j] && bc[j]==c1[j] && (BROW(p[0],k)==0 || bp[2*j]==BROW(p[0],k)) && (BROW(p[1],k)==0 || bp[2*j+1]==BROW(p[1],k)))
#else
#define KEEP(j,k) (have[j] && bc[j]==c1[j] && bp[2*j]==BROW(p[0],k) && bp[2*j+1]==BROW(p[1],k))
#endif
inline opn(j,k) {
  if
  :: KEEP(j, k) -> skip
  :: else ->
     d_step {
       cand = 0; i = 0;
       do
       :: i < NR -> if :: BROW(p[i], k) != 0 -> cand = p[i] :: else fi; i++
       :: else -> break
       od;
       i = 0
     }
     if
     :: cand != 0 ->
        atomic { if :: IN(st[cand], k) -> v[j] = cand :: else -> v[j] = 15 fi; cand = 0 }
        if :: v[j] == 15 -> v[j] = key[k] :: else fi
     :: else -> v[j] = key[k]
     fi;
#if M==74
     bp[2*j] = BROW(CROW(0), k); bp[2*j+1] = BROW(CROW(1), k);
     atomic { bc[j] = cnt[k]; have[j] = 1 }
#else
     atomic { have[j] = 1; bc[j] = c1[j]; bp[2*j] = BROW(p[0], k); bp[2*j+1] = BROW(p[1], k) }
#endif
  fi
}

proctype R(byte me) {
  byte a, b, c1[2], p[NR], v[2], bc[2], bp[4], vs, vs2, cand, i, x, q[2], c2[2];
  bool have[2], ok, same, lk;
#if M==70
  bool mv[2];
#endif
  if
  :: a = 0; b = 1
#if NK>2
  :: a = 1; b = 2
  :: a = 0; b = 2
#endif
  fi;
again:
#ifdef WIDE                     /* weaker check: any instant of the whole read, not only of its last try */
  atomic { if :: !have[0] -> vs = nver :: else fi; c1[0] = cnt[a] }
  c1[1] = cnt[b];
#else
  atomic { vs = nver; c1[0] = cnt[a] }
  c1[1] = cnt[b];
#endif
  p[0] = CROW(0); p[1] = CROW(1);
look:
  opn(0, a); opn(1, b);
  atomic { vs2 = nver; q[0] = CROW(0) }
  q[1] = CROW(1); c2[0] = cnt[a];
  atomic {
    c2[1] = cnt[b]; same = (p[0] == q[0] && p[1] == q[1] && c1[0] == c2[0] && c1[1] == c2[1]);
#if M==70
    mv[0] = (c1[0] != c2[0] || BROW(p[0], a) != BROW(q[0], a) || BROW(p[1], a) != BROW(q[1], a));
    mv[1] = (c1[1] != c2[1] || BROW(p[0], b) != BROW(q[0], b) || BROW(p[1], b) != BROW(q[1], b));
#endif
  }
  if
  :: same ->
     d_step {
       ok = false;
       do
       :: vs <= nver ->
          if :: GET(hist[vs], a) == v[0] && GET(hist[vs], b) == v[1] -> ok = true :: else fi;
          vs++
       :: else -> break
       od;
       assert(ok)
     }
     atomic { rel(me); goto fin }
#if M==75
  :: !same ->
     atomic {
       vs = vs2; p[0] = q[0]; p[1] = q[1]; c1[0] = c2[0]; c1[1] = c2[1]; q[0] = 0; q[1] = 0;
       c2[0] = 0; c2[1] = 0; vs2 = 0; same = 0; goto look
     }
#else
  :: !same ->
     atomic {
       p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0; c2[1] = 0;
       VS0 vs2 = 0; same = 0; goto again
     }
#endif
#ifdef FALLBACK
  :: !same && !lk ->
     atomic {
       p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0; c2[1] = 0;
       VS0 vs2 = 0; same = 0; lk = 1
     }
     atomic { wx[a] == 0 -> ws[a] = ws[a]|(1<<me) }
     atomic { wx[b] == 0 -> ws[b] = ws[b]|(1<<me); goto again }
#endif
  fi;
fin:
  atomic {
    a = 0; b = 0; p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0;
    c2[1] = 0; v[0] = 0; v[1] = 0; vs = 0; vs2 = 0; same = 0; ok = 0; lk = 0; bc[0] = 0;
    bc[1] = 0; bp[0] = 0; bp[1] = 0; bp[2] = 0; bp[3] = 0; have[0] = 0; have[1] = 0;
#if M==70
    mv[0] = 0; mv[1] = 0;
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

