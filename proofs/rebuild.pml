/* SPDX-License-Identifier: Apache-2.0 */
/* Building `state` anew, in place, when its header is no longer valid.  Who finds that takes INIT, META, DOC and every
 * SLOT exclusively, all of them tried; looks at the header again; moves what is in tx/ to lost/; zeroes rows and
 * counters; writes the header last, with a new array id.
 *
 * hdr is the header: 0 not valid, else the array id.  A handle remembers the id with which it was opened (g).
 * The places of the W locks follow from the header (bits per dimension), and a header made anew may have others:
 * W locks of different ids do not meet.  This is why a handle must not go on with what it read before.
 *
 * LOSS     at first the header is gone (power loss), there is a row of before, half applied, and nobody is at work.
 *          Without LOSS, handles are open and at work, and something destroys the header (not rows and counters)
 *          at any time, MAXD times.
 * MAXC     crashes, all processes together (rebuilders, writers, recoverers)
 * NW       writers (2, or 1)   NX  processes that open and rebuild (1, or 2)   NOREADER
 *
 * T1, T2 write both keys; row t-1 is that of transaction t; row 2 is the one of before, of transaction 3.  X opens the
 * array and rebuilds if need be, then finishes dead rows (`azr recover`).  Without a valid header a reader reports an
 * error or waits for one.
 *
 * Checks: as in single.pml; what a rebuild finds under the keys becomes a version of the array only if it had to throw
 * away a committed row that nobody had finished (this is what it reports), else nothing is lost by it; nothing of a
 * live transaction is thrown away, and nothing committed while the header is valid; what was left of before is in lost/.
 *
 * M=140 writer: header looked at before the SLOT is taken, not after    M=141 the same for who finishes a row (needed?)
 * M=142 reader does not look at the header again   M=143 it does, but before p2 and c2
 * M=144 reader asks only whether the header is valid   M=145 as 144, and the counters begin at random stamps
 * M=146 header first   M=147 no second look at the header   M=148 no SLOTs   M=149 no INIT (needed?)
 * M=151 rebuilt with the old id (if it were known)   M=152 as 151, and the counters begin at random stamps
 * M=153 tx/ emptied after the header   M=154 neither META nor DOC (needed?) */
#ifndef M
#define M 0
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifdef LOSS
#define MAXD 0
#endif
#ifndef MAXD
#define MAXD 1
#endif
#ifndef NW
#define NW 2
#endif
#ifndef NX
#define NX 1
#endif
#define FREE 0
#define ACTIVE 1
#define COMMITTED 2
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
#define WX(k) wx[2*(g-1)+(k)]

byte hdr, gen, ndmg;
byte key[2], st[3], rst[3], slot[3], ctr[2], wx[6];
byte ix, mx, ms, dx;                     /* INIT, META (exclusive, set of sharers), DOC */
byte nver, hist[5], ncr, ended, fresh;
bool cut;                                /* a rebuild threw away a committed row */

inline rel(me) {
  x = 0;
  do :: x < 6 -> if :: wx[x] == me -> wx[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0;
  do :: x < 3 -> if :: slot[x] == me -> slot[x] = 0 :: else fi; x++ :: else -> break od;
  x = 0;
  if :: ix == me -> ix = 0 :: else fi;
  if :: mx == me -> mx = 0 :: else fi;
  if :: dx == me -> dx = 0 :: else fi;
  ms = ms&(255-(1<<me))
}
#define DIE ncr++; rel(me); goto fin
#define S(A) atomic { if :: ncr<MAXC -> DIE :: d_step { A } fi }

/* what a rebuilt counter begins with */
#if M==145 || M==152
#define BEGIN(k) fresh++; ctr[k] = 100+fresh
#else
#define BEGIN(k) ctr[k] = 0
#endif
#define SLOTSFREE (slot[0]==0 && slot[1]==0 && slot[2]==0)
#define ALLFREE (ix==0 && mx==0 && ms==0 && dx==0 && SLOTSFREE)
#define NEWID if :: (M==151 || M==152) && gen != 0 -> hdr = gen :: else -> gen++; hdr = gen fi

/* Opens a handle: g is the id of a valid header.  On the way the header may have to be made. */
inline opening() {
  i = 0;
again:
  S(true; g = hdr;)
  if :: g != 0 -> goto opened :: else fi;
  /* [B-locks] all tried, in the global order after INIT; given back if one is busy */
#if M!=149
  S(true; if :: ix == 0 -> ix = me :: else -> x = 1 fi;)
  if :: x -> goto busy :: else fi;
#endif
#if M!=154
  S(true; if :: mx == 0 && ms == 0 -> mx = me :: else -> x = 1 fi;)
  if :: x -> goto busy :: else fi;
  S(true; if :: dx == 0 -> dx = me :: else -> x = 1 fi;)
  if :: x -> goto busy :: else fi;
#endif
#if M!=148
  S(true; if :: SLOTSFREE -> slot[0] = me; slot[1] = me; slot[2] = me :: else -> x = 1 fi;)
  if :: x -> goto busy :: else fi;
#endif
#if M!=147
  S(true; g = hdr;)  /* [B-recheck] */
  if :: g != 0 -> atomic { rel(me); goto opened } :: else fi;
#endif
#if M==146
  S(true; NEWID;)
#endif
#if M!=153
  do :: i < 3 -> S(true; st[i] = 0; i++;) :: else -> i = 0; break od;  /* [B-lost] renamed into lost/ */
#endif
  do
  :: i < 3 -> S(true;
       if :: rst[i] == COMMITTED -> assert(M == 146 || hdr == 0); cut = true :: else fi;
       rst[i] = FREE; i++;)  /* [B-build] */
  :: else -> i = 0; break
  od;
  S(true; BEGIN(0);)
  S(true; BEGIN(1);)
#if M!=146
  S(true;
    NEWID;  /* [B-header] */
    if
    :: key[0] != GET(hist[nver], 0) || key[1] != GET(hist[nver], 1) ->
       assert(cut); nver++; hist[nver] = key[0]|(key[1]<<2)
    :: else
    fi;
    cut = false;)
#endif
#if M==153
  do :: i < 3 -> S(true; st[i] = 0; i++;) :: else -> i = 0; break od;
#endif
  atomic { rel(me); goto again }
busy:
  atomic { rel(me); x = 0 }
  atomic {  /* it waits, or gives up with an error */
    if
    :: hdr != 0 || ALLFREE -> goto again
    :: true -> goto fin
    fi
  }
opened:
  skip
}

/* Finish or clear row i; slot[i] is ours. */
inline finish(i) {
  if
  :: rst[i] == COMMITTED ->
     S(true; ctr[0]++;)
     S(true; ctr[1]++;)
     S(true; if :: IN(st[i], 0) -> key[0] = i+1; st[i] = st[i]&2 :: else fi;)
     S(true; if :: IN(st[i], 1) -> key[1] = i+1; st[i] = st[i]&1 :: else fi;)
     S(true; rst[i] = FREE;)
     S(true; st[i] = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: rst[i] == ACTIVE ->
     S(true; rst[i] = FREE;)
     S(true; st[i] = 0; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  :: else -> S(true; if :: slot[i] == me -> slot[i] = 0 :: else fi;)
  fi
}

proctype W(byte t) {
  byte me = t, g, i, x, rv;
open:
  opening();
  S(slot[t-1] == 0; slot[t-1] = me;)
#if M!=140
  S(true; x = (hdr == g);)
  if :: x == 0 -> atomic { rel(me); goto open } :: else -> x = 0 fi;
#endif
  if  /* left by somebody who died: finished first */
  :: rst[t-1] != FREE -> finish(t-1); goto open
  :: else
  fi;
  S(true; rst[t-1] = ACTIVE;)
  S(mx == 0; ms = ms|(1<<me);)
  S(WX(0) == 0; WX(0) = me;)
  S(WX(1) == 0; WX(1) = me;)
  i = 0;
  do
  :: i < 3 ->
     atomic {
       if
       :: ncr < MAXC -> DIE
       :: d_step { rst[i] == FREE || i == t-1 || (rst[i] == ACTIVE && slot[i] != 0) -> i++ } goto nx
       :: rst[i] != FREE && i != t-1 && slot[i] == 0 -> slot[i] = me
       fi
     }
     finish(i);
   nx:
     skip
  :: else -> i = 0; break
  od;
  S(true; rv = key[0];)
  S(true; rv = rv|(key[1]<<2);)
  S(true; st[t-1] = 3;)
  S(true;
    assert(rst[t-1] == ACTIVE);                          /* nobody threw our row away */
    assert(rv == hist[nver]); rst[t-1] = COMMITTED; nver++; hist[nver] = t|(t<<2); rv = 0;)
  S(true; ctr[0]++;)
  S(true; ctr[1]++;)
  S(true; assert(IN(st[t-1], 0)); key[0] = t; st[t-1] = st[t-1]&2;)
  S(true; assert(IN(st[t-1], 1)); key[1] = t; st[t-1] = st[t-1]&1;)
  S(true; assert(rst[t-1] == COMMITTED); rst[t-1] = FREE;)
  atomic { rel(me) }
fin:
  atomic { g = 0; i = 0; x = 0; rv = 0; ended++ }
}

proctype X(byte me) {
  byte g, i, x;
open:
  opening();
  do
  :: i < 3 ->
     atomic { if :: slot[i] == 0 && rst[i] != FREE -> slot[i] = me :: else -> i++; goto nx fi }
#if M!=141
     S(true; x = (hdr == g);)
     if :: x == 0 -> atomic { rel(me); i = 0; goto open } :: else -> x = 0 fi;
#endif
     finish(i);
   nx:
     skip
  :: else -> break
  od;
  atomic { rel(me) }
fin:
  atomic { g = 0; i = 0; x = 0; ended++ }
}

#define CR(i) (rst[i]==COMMITTED -> 1 : 0)
#define BY(k) (p[0] -> 0 : (p[1] -> 1 : (p[2] -> 2 : 9)))
inline opn(k,v) {
  i = BY(k);
  if
  :: i != 9 ->
     atomic { if :: IN(st[i], k) -> v = i+1 :: else -> v = 255 fi }
     if :: v == 255 -> v = key[k] :: else fi
  :: else -> v = key[k]
  fi;
  i = 0
}

proctype R() {
  byte g, c1[2], va, vb, vs, i; bool p[3], same, ok;
open:
  g = hdr;
  if :: g == 0 -> if :: hdr != 0 -> goto open :: hdr == 0 -> goto fin fi :: else fi;
again:
  atomic { vs = nver; c1[0] = ctr[0] }
  c1[1] = ctr[1]; p[0] = CR(0); p[1] = CR(1); p[2] = CR(2);
  opn(0, va); opn(1, vb);
  same = true;
#if M==143
  if :: hdr != g -> same = false :: else fi;
#endif
  if :: p[0] != CR(0) -> same = false :: else fi;
  if :: p[1] != CR(1) -> same = false :: else fi;
  if :: p[2] != CR(2) -> same = false :: else fi;
  if :: c1[0] != ctr[0] -> same = false :: else fi;
  if :: c1[1] != ctr[1] -> same = false :: else fi;
#if M==144 || M==145
  if :: hdr == 0 -> same = false :: else fi;
#elif M!=142 && M!=143
  if :: hdr != g -> same = false :: else fi;  /* last, after c2: the header is the one that c1 was read under */
#endif
  if
  :: same ->
     d_step {
       ok = false;
       do
       :: vs <= nver -> if :: GET(hist[vs], 0) == va && GET(hist[vs], 1) == vb -> ok = true :: else fi; vs++
       :: else -> break
       od;
       assert(ok)
     }
  :: !same -> atomic { c1[0] = 0; c1[1] = 0; va = 0; vb = 0; vs = 0; p[0] = 0; p[1] = 0; p[2] = 0 }
     if :: hdr == g -> goto again :: hdr != g -> goto open fi
  fi;
fin:
  atomic { g = 0; c1[0] = 0; c1[1] = 0; va = 0; vb = 0; vs = 0; p[0] = 0; p[1] = 0; p[2] = 0; same = 0; ok = 0; ended++ }
}

#ifndef LOSS
proctype Damage() {
  do
  :: ndmg < MAXD -> atomic { ndmg++; hdr = 0 }
  :: break
  od
}
#endif

init {
  atomic {
#ifdef LOSS
    if  /* what is left of transaction 3: nothing, a committed row half applied, one that was staging */
    :: skip
    :: rst[2] = COMMITTED; st[2] = 2; key[0] = 3
    :: rst[2] = ACTIVE; st[2] = 3
    :: st[2] = 3
    fi;
    if :: ctr[0] = 0 :: ctr[0] = 1 fi;
    hist[0] = key[0]|(key[1]<<2);
#else
    gen = 1; hdr = 1; run Damage();
#endif
    run W(1);
#if NW>1
    run W(2);
#endif
    run X(5);
#if NX>1
    run X(6);
#endif
#ifndef NOREADER
    run R()
#else
    ended++
#endif
  }
  ended == NW+NX+1;
  d_step {
    assert(SLOTSFREE && ix == 0 && mx == 0 && ms == 0 && dx == 0);
    assert(hdr == 0 || st[2] == 0);                      /* what was left of before is in lost/ */
    if
    :: hdr != 0 || !(rst[0] == COMMITTED || rst[1] == COMMITTED || rst[2] == COMMITTED) ->
       if :: rst[0] == COMMITTED && IN(st[0], 0) -> key[0] = 1 :: rst[1] == COMMITTED && IN(st[1], 0) -> key[0] = 2 :: else fi;
       if :: rst[0] == COMMITTED && IN(st[0], 1) -> key[1] = 1 :: rst[1] == COMMITTED && IN(st[1], 1) -> key[1] = 2 :: else fi;
       assert(key[0] == GET(hist[nver], 0)); assert(key[1] == GET(hist[nver], 1))
    :: else
    fi
  }
}
