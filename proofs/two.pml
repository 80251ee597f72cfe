/* SPDX-License-Identifier: Apache-2.0 */
/* Two arrays (0: home, 1: other), one key each; transactions over both; a dying process closes its two descriptors one
 * after the other; (network) revocation of locks per array.  Checks as in single.pml.
 *
 * CFG  who writes which arrays   NR  rows of each array (3 for three writers: that somebody finishes a dead row because
 * the *other* array's table is full is not modelled)   MAXC, MAXZ, FALLBACK, JANITOR, NOREADER as in single.pml
 * M=4, 5, 10 as in single.pml   M=20 a home row recovered alone   M=21 home cleared before the renames
 * M=22 PREPARED decided without the home's SLOT   M=24 no PREPARED   M=26 the home's SLOT wanted although its row
 * carries another id (deadlock)
 * Not needed: M=25 home cleared first   M=23 PREPARED with a busy SLOT passed over (not distinguished) */
#ifndef NR
#define NR 2
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef MAXZ
#define MAXZ 0
#endif
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#if CFG==1
#define NW 2
#define WS(t) (t==1 -> 3 : 2)
#elif CFG==2
#define NW 2
#define WS(t) (t==1 -> 3 : 1)
#elif CFG==3
#define NW 2
#define WS(t) 3
#elif CFG==4
#define NW 3
#define WS(t) (t==1 -> 3 : (t==2 -> 1 : 2))
#elif CFG==5
#define NW 3
#define WS(t) (t==3 -> 2 : 3)
#endif
#define FREE 0
#define ACTIVE 1
#define PREPARED 2
#define COMMITTED 3
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
#define R_(a,i) ((a)*NR+(i))
byte key[2]; byte st[4]; byte rst[2*NR]; byte rid[2*NR]; byte slot[2*NR]; byte wx[2]; byte ws[2];
byte cnt[2]; byte nver; byte hist[4]; byte ncr, nz, ended; byte fen[8];  /* bit a: locks in array a were lost */
byte rdy[4];  /* home row index of transaction t (part of the other row's body) */

inline rel1(me,a) {
  wx[a] = (wx[a] == me -> 0 : wx[a]); ws[a] = ws[a]&(255-(1<<me)); x = 0;
  do
  :: x < NR -> slot[R_(a, x)] = (slot[R_(a, x)] == me -> 0 : slot[R_(a, x)]); x++
  :: else -> break
  od;
  x = 0
}

#define DIE(me) ncr++; goto dying
#define S(A) atomic { if :: (ncr<MAXC) -> DIE(me) :: d_step { A } fi }
#define F(a) IN(fen[me],a)

/* apply array a's part of d, row index q (absolute), slot[q] held; then clear the row */
inline part(a,q) {
#if M!=5
  S(true; cnt[a] = (F(a) -> cnt[a] : cnt[a]+1);)
  if :: F(a) -> goto give :: else fi;
#endif
  S(true; if :: IN(st[d], a) -> key[a] = d; st[d] = st[d]&(255-(1<<a)) :: else fi;)
}

#define CLEAR(a,q) d_step { if :: !F(a) -> rst[q]=FREE; rid[q]=0 :: else fi }

inline finish0(i) {
  /* home row i, slot held */
  if
  :: rst[i] == COMMITTED ->
     S(true; d = rid[i];)
#if M!=20
     if
     :: IN(WS(d), 1) ->  /* the other arrays first [F-others] */
        j = 0;
        do
        :: j < NR ->
           atomic {
             if
             :: (ncr < MAXC) -> DIE(me)
             :: d_step { rst[R_(1, j)] == FREE || rid[R_(1, j)] != d -> j++ }
             :: rst[R_(1, j)] != FREE && rid[R_(1, j)] == d && slot[R_(1, j)] == 0 ->
                slot[R_(1, j)] = me;
                if
                :: rst[R_(1, j)] == FREE || rid[R_(1, j)] != d -> slot[R_(1, j)] = 0; goto again0
                :: else
                fi
             fi
           }
           if
           :: j < NR && slot[R_(1, j)] == me && rid[R_(1, j)] == d ->
              part(1, R_(1, j));
              S(true; if :: !F(1) -> rst[R_(1, j)] = FREE; rid[R_(1, j)] = 0 :: else fi;)
              if :: F(1) -> goto give :: else fi;
              S(true; slot[R_(1, j)] = 0; j++;)
           :: else
           fi;
         again0:
           skip
        :: j == NR -> j = 0; break
        od
     :: else
     fi;
#endif
     part(0, i);
     S(true; if :: !F(0) -> rst[i] = FREE; rid[i] = 0 :: else fi;)
     S(true; st[d] = st[d]&2; d = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == ACTIVE ->
     S(true; d = rid[i]; if :: !F(0) -> rst[i] = FREE; rid[i] = 0 :: else -> d = 0 fi;)
     S(true;
       if :: d != 0 -> st[d] = st[d]&2 :: else fi;
       d = 0;
       if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: else -> S(true; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  fi
}

inline finish1(i) {
  /* row i of the other array (absolute index), slot held; PREPARED: home slot h held too (fix) */
  if
  :: rst[i] == COMMITTED || (rst[i] == PREPARED && rst[h] == COMMITTED && rid[h] == rid[i]) ->
     S(true; d = rid[i];)
     part(1, i);
     S(true; if :: !F(1) -> rst[i] = FREE; rid[i] = 0 :: else fi;)
     S(true; st[d] = st[d]&1; d = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == ACTIVE || (rst[i] == PREPARED && !(rst[h] == COMMITTED && rid[h] == rid[i])) ->
     S(true; d = rid[i]; if :: !F(1) -> rst[i] = FREE; rid[i] = 0 :: else -> d = 0 fi;)
     S(true;
       if :: d != 0 -> st[d] = st[d]&1 :: else fi;
       d = 0;
       if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == FREE -> S(true; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  fi;
  S(true; if :: h < NR && slot[h] == me && h != r0 -> slot[h] = 0 :: else fi; h = 0;)
}

#define MYI(i) (rid[i]==t)
inline look0() {
  i = 0;
  do
  :: i < NR ->
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: d_step { rst[i] == FREE || MYI(i) -> i++ }
       :: d_step { rst[i] == ACTIVE && !MYI(i) && slot[i] != 0 -> i++ }
       :: rst[i] != FREE && !MYI(i) && slot[i] == 0 -> slot[i] = me; goto dead0
       fi
     }
     goto nxt0;
   dead0:
     finish0(i);
     if :: F(0) -> goto give :: else fi;
   nxt0:
     skip
  :: i == NR -> i = 0; break
  od;
}

inline look1() {
  i = NR;
  do
  :: i < 2*NR ->
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: d_step { rst[i] == FREE || MYI(i) -> i++ }
       :: d_step { rst[i] == ACTIVE && !MYI(i) && slot[i] != 0 -> i++ }
#if M==23
       :: d_step { rst[i] == PREPARED && !MYI(i) && slot[i] != 0 -> i++ }
#endif
       :: (rst[i] == ACTIVE || rst[i] == COMMITTED) && !MYI(i) && slot[i] == 0 ->
          slot[i] = me; h = NR; goto dead1
#if M==22
       :: rst[i] == PREPARED && !MYI(i) && slot[i] == 0 ->
          slot[i] = me; h = rdy[rid[i]]; goto dead1
#else
#if M==26
       :: rst[i] == PREPARED && !MYI(i) && slot[i] == 0 && (slot[rdy[rid[i]]] == 0) ->
          h = rdy[rid[i]]; slot[h] = me; goto try1
#else
          /* PREPARED, and the home row still carries the id: its SLOT first, then ours, both or none.  Otherwise it is decided: ours only */
       :: rst[i] == PREPARED && !MYI(i) && slot[i] == 0 && rst[rdy[rid[i]]] != FREE && rid[rdy[rid[i]]] == rid[i] && slot[rdy[rid[i]]] == 0 ->
          h = rdy[rid[i]]; slot[h] = me; goto try1           /* [F-home] */
       :: rst[i] == PREPARED && !MYI(i) && slot[i] == 0 && !(rst[rdy[rid[i]]] != FREE && rid[rdy[rid[i]]] == rid[i]) ->
          h = rdy[rid[i]]; slot[i] = me; goto dead1
#endif
#endif
       fi
     }
     goto nxt1;
#if M!=22
   try1:
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: slot[i] == 0 && rst[i] == PREPARED && rdy[rid[i]] == h -> slot[i] = me; goto dead1
       :: !(slot[i] == 0 && rst[i] == PREPARED && rdy[rid[i]] == h) ->
          if :: slot[h] == me && h != r0 -> slot[h] = 0 :: else fi;
          h = 0; goto nxt1
       fi
     }
#endif
   dead1:
     finish1(i);
     if :: F(1) -> goto give :: else fi;
   nxt1:
     skip
  :: i == 2*NR -> i = 0; break
  od;
}

inline docommit() {
  k = 0;
  do
  :: k < 2 -> if :: IN(WS(t), k) -> assert(GET(rv, k) == GET(hist[nver], k)) :: else fi; k++
  :: else -> break
  od;
  hist[nver+1] = 0; k = 0;
  do
  :: k < 2 -> hist[nver+1] = hist[nver+1] | ((IN(WS(t), k) -> t : GET(hist[nver], k)) << (2*k)); k++
  :: else -> break
  od;
  nver++; k = 0; rv = 0
}

proctype W(byte t) {
  byte me = t, k, i, j, r0 = 99, r1 = 99, d, x, rv, h;
  if :: !IN(WS(t), 0) -> r0 = 98; goto c1 :: else fi;
c0:
  atomic {
    if
    :: (ncr < MAXC) -> DIE(me)
    :: d_step {
         slot[0] == 0 && rst[0] == FREE -> slot[0] = me; rst[0] = ACTIVE; rid[0] = t; r0 = 0;
         rdy[t] = 0;
       }
    :: d_step {
         !(slot[0] == 0 && rst[0] == FREE) && slot[1] == 0 && rst[1] == FREE -> slot[1] = me;
         rst[1] = ACTIVE; rid[1] = t; r0 = 1; rdy[t] = 1;
       }
    :: slot[0] == 0 && rst[0] != FREE && rst[1] != FREE -> slot[0] = me; i = 0; goto full0
    :: slot[1] == 0 && rst[1] != FREE && rst[0] != FREE -> slot[1] = me; i = 1; goto full0
    fi
  }
  goto c1;
full0:
  finish0(i); i = 0;
  if :: F(0) -> goto give :: else goto c0 fi;
c1:
  if :: !IN(WS(t), 1) -> goto lk :: else fi;
  atomic {
    if
    :: (ncr < MAXC) -> DIE(me)
    :: d_step {
         slot[NR] == 0 && rst[NR] == FREE -> slot[NR] = me; rst[NR] = ACTIVE; rid[NR] = t;
         r1 = NR;
       }
    :: d_step {
         !(slot[NR] == 0 && rst[NR] == FREE) && slot[NR+1] == 0 && rst[NR+1] == FREE ->
         slot[NR+1] = me; rst[NR+1] = ACTIVE; rid[NR+1] = t; r1 = NR+1;
       }
#if NR==3
    :: d_step {
         !(slot[NR] == 0 && rst[NR] == FREE) && !(slot[NR+1] == 0 && rst[NR+1] == FREE) && slot[NR+2] == 0 && rst[NR+2] == FREE ->
         slot[NR+2] = me; rst[NR+2] = ACTIVE; rid[NR+2] = t; r1 = NR+2;
       }
#endif
    fi
  }
lk:
  if :: IN(WS(t), 0) -> S(wx[0] == 0 && ws[0] == 0; wx[0] = me;) :: else fi;
  if :: IN(WS(t), 1) -> S(wx[1] == 0 && ws[1] == 0; wx[1] = me;) :: else fi;
  if :: IN(WS(t), 0) -> look0() :: else fi;
  if :: IN(WS(t), 1) -> look1() :: else fi;
  if :: IN(WS(t), 0) -> S(true; rv = rv|key[0];) :: else fi;
  if :: IN(WS(t), 1) -> S(true; rv = rv|(key[1]<<2);) :: else fi;
  S(true; st[t] = WS(t);)
  if
  :: WS(t) == 3 ->
#if M!=24
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: F(1) -> goto give
       :: d_step { !F(1) -> rst[r1] = PREPARED }            /* [W5-prepare] */
       fi
     }
#endif
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: F(0) -> goto give
       :: d_step { !F(0) -> rst[r0] = COMMITTED; docommit() }
       fi
     }
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: F(1) -> goto give
       :: d_step { !F(1) -> rst[r1] = COMMITTED }           /* [W5-others] */
       fi
     }
  :: WS(t) == 1 ->
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: F(0) -> goto give
       :: d_step { !F(0) -> rst[r0] = COMMITTED; docommit() }
       fi
     }
  :: WS(t) == 2 ->
     atomic {
       if
       :: (ncr < MAXC) -> DIE(me)
       :: F(1) -> goto give
       :: d_step { !F(1) -> rst[r1] = COMMITTED; docommit() }
       fi
     }
  fi;
  if
  :: IN(WS(t), 0) ->
     S(true; cnt[0] = (F(0) -> cnt[0] : cnt[0]+1);)
     if :: F(0) -> goto give :: else fi
  :: else
  fi;
  if
  :: IN(WS(t), 1) ->
     S(true; cnt[1] = (F(1) -> cnt[1] : cnt[1]+1);)
     if :: F(1) -> goto give :: else fi
  :: else
  fi;
#if M==21
  if :: WS(t) == 3 -> S(true; if :: !F(0) -> rst[r0] = FREE; rid[r0] = 0 :: else fi;) :: else fi;
#endif
  if
  :: IN(WS(t), 0) -> S(true; if :: IN(st[t], 0) -> key[0] = t; st[t] = st[t]&2 :: else fi;)
  :: else
  fi;
  if
  :: IN(WS(t), 1) -> S(true; if :: IN(st[t], 1) -> key[1] = t; st[t] = st[t]&1 :: else fi;)
  :: else
  fi;
#if M==25
  if
  :: IN(WS(t), 0) ->
     S(true; if :: !F(0) -> rst[r0] = FREE; rid[r0] = 0 :: else fi;)
     if :: F(0) -> goto give :: else fi
  :: else
  fi;
  if
  :: IN(WS(t), 1) ->
     S(true; if :: !F(1) -> rst[r1] = FREE; rid[r1] = 0 :: else fi;)
     if :: F(1) -> goto give :: else fi
  :: else
  fi;
#else
  if
  :: IN(WS(t), 1) ->
     S(true; if :: !F(1) -> rst[r1] = FREE; rid[r1] = 0 :: else fi;)
     if :: F(1) -> goto give :: else fi
  :: else
  fi;
#if M!=21
  if
  :: IN(WS(t), 0) ->
     S(true; if :: !F(0) -> rst[r0] = FREE; rid[r0] = 0 :: else fi;)
     if :: F(0) -> goto give :: else fi
  :: else
  fi;
#endif
#endif
  S(true; st[t] = 0;)
give:
dying:
  if
  :: atomic { rel1(me, 0) } atomic { rel1(me, 1); goto fin }
  :: atomic { rel1(me, 1) } atomic { rel1(me, 0); goto fin }
  fi;
fin:
#ifdef JANITOR                    /* azr recover on the home array may come by at once */
  atomic {
    if
    :: skip
    :: (r0 < NR && rst[r0] == ACTIVE && rid[r0] == t && slot[r0] == 0) ->
       rst[r0] = FREE; rid[r0] = 0; st[t] = st[t]&2
    fi
  }
#endif
  atomic { k = 0; i = 0; j = 0; r0 = 0; r1 = 0; d = 0; x = 0; rv = 0; h = 0; ended++ }
}

inline opn(k,v) {
  d_step {
    cand = 0; i = 0;
    do
    :: i < NR ->
       if :: p[R_(k, i)] != 0 && IN(WS(p[R_(k, i)]), k) -> cand = p[R_(k, i)] :: else fi;
       i++
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

/* effective state of row i: COMMITTED, or PREPARED and the home row (read afterwards) COMMITTED with the same id [R1-home] */
inline row(i,res) {
  atomic {
    if
    :: rst[i] == COMMITTED -> res = rid[i]; cand = 0
    :: rst[i] == PREPARED -> cand = rid[i]
    :: else -> res = 0; cand = 0
    fi
  }
  if
  :: cand != 0 ->
     atomic {
       res = ((rst[rdy[cand]] == COMMITTED && rid[rdy[cand]] == cand) -> cand : 0); cand = 0
     }
  :: else
  fi
}

inline rows(a) {
  if :: a < 2 -> row(R_(a, 0), p[R_(a, 0)]); row(R_(a, 1), p[R_(a, 1)]) :: else fi
}

inline cmp(a) {
  row(R_(a, 0), q);
  atomic { if :: q != p[R_(a, 0)] -> same = false :: else fi; q = 0 }
  row(R_(a, 1), q);
  atomic { if :: q != p[R_(a, 1)] -> same = false :: else fi; q = 0 }
}

inline check() {
  d_step {
    ok = false;
    do
    :: vs <= nver ->
       if :: (!s0 || GET(hist[vs], 0) == va) && GET(hist[vs], 1) == vb -> ok = true :: else fi;
       vs++
    :: else -> break
    od;
    assert(ok)
  }
}

proctype R(byte me) {
  byte c1a, c1b, p[2*NR], va, vb, vs, cand, i, q, x; bool ok, same, s0;
  if :: s0 = true :: s0 = false fi;
again:
  atomic { vs = nver; c1b = cnt[1] }
  if :: s0 -> c1a = cnt[0] :: else fi;
  if :: s0 -> rows(0) :: else fi;
  rows(1);
  if :: s0 -> opn(0, va) :: else fi;
  opn(1, vb); same = true;
#if M==10
  if :: cnt[1] != c1b -> same = false :: else fi;
  if :: s0 -> if :: cnt[0] != c1a -> same = false :: else fi :: else fi;
#endif
#if M!=4
  if :: s0 -> cmp(0) :: else fi;
  cmp(1);
#endif
#if M!=10
  if :: cnt[1] != c1b -> same = false :: else fi;
  if :: s0 -> if :: cnt[0] != c1a -> same = false :: else fi :: else fi;
#endif
  if :: same -> check(); goto fin :: else fi;
#ifdef FALLBACK
  atomic {
    c1a = 0; c1b = 0; p[0] = 0; p[1] = 0; p[2] = 0; p[3] = 0; va = 0; vb = 0; same = false;
    vs = nver;
  }
  if :: s0 -> atomic { wx[0] == 0 -> ws[0] = ws[0]|(1<<me) } :: else fi;
  atomic { wx[1] == 0 -> ws[1] = ws[1]|(1<<me) }
  if :: s0 -> rows(0) :: else fi;
  rows(1);
  if :: s0 -> opn(0, va) :: else fi;
  opn(1, vb); check();
  atomic { rel1(me, 0); rel1(me, 1) }
#endif
fin:
  atomic {
    c1a = 0; c1b = 0; p[0] = 0; p[1] = 0; p[2] = 0; p[3] = 0; va = 0; vb = 0; vs = 0;
    same = false; ok = false; cand = 0; q = 0; s0 = 0; ended++
  }
}

#if MAXZ>0
proctype Srv() {
  byte x;
  do
  :: nz < MAXZ && ended < NW+1 ->
     atomic {
       if
       :: !IN(fen[1], 0) -> nz++; fen[1] = fen[1]|1; rel1(1, 0)
       :: !IN(fen[1], 1) -> nz++; fen[1] = fen[1]|2; rel1(1, 1)
       :: !IN(fen[2], 0) -> nz++; fen[2] = fen[2]|1; rel1(2, 0)
       :: !IN(fen[2], 1) -> nz++; fen[2] = fen[2]|2; rel1(2, 1)
       fi
     }
  :: ended == NW+1 || nz == MAXZ -> break
  od
}

#endif
init {
  byte i, d;
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
#if MAXZ>0
    run Srv();
#endif
  }
  ended == NW+1;
  d_step {
    i = NR;
    do
    :: i < 2*NR ->
       assert(slot[i] == 0); d = rid[i];
       if
       :: rst[i] == COMMITTED || (rst[i] == PREPARED && rst[rdy[d]] == COMMITTED && rid[rdy[d]] == d) ->
          if :: IN(st[d], 1) -> key[1] = d :: else fi
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NR ->
       assert(slot[i] == 0); d = rid[i];
       if :: rst[i] == COMMITTED -> if :: IN(st[d], 0) -> key[0] = d :: else fi :: else fi;
       i++
    :: else -> break
    od;
    assert(key[0] == GET(hist[nver], 0)); assert(key[1] == GET(hist[nver], 1));
    assert(wx[0] == 0 && ws[0] == 0 && wx[1] == 0 && ws[1] == 0)
  }
}

