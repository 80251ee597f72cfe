/* SPDX-License-Identifier: Apache-2.0 */
/* durability = power.  One array, T1 and T2 before, T3 after the first power loss; power loss at any step, MAXP times.
 *
 * What is not synced yet (each row word, each directory entry, each staged file) comes back in any version since its
 * last sync, each for itself; a rename never loses both names (WORST: the source name may come back, too).
 * After each loss: `azr recover`, and a reader that does not recover, at any time.
 * Check: what was visible as committed is never lost; a read is the committed state; after recovery keys == hist[nver].
 *
 * CFG  the sets of keys   MAXP  power losses   WORST   DEL  T2 deletes by unlink   NOREADER
 * ANYVERSION  weaker check for the reader: any version will do, but no mix (to show what M=39 is)
 * M=30 staged objects not synced   M=31 COMMITTED before it is durable   M=32 target directories not synced
 * M=34 a bitmap of rows in use   M=36 no fdatasync at the commit   M=37 (DEL), M=38 (WORST) `state` not synced in
 * step 4   M=39 a reader passes over every SEALED row
 * Not needed: M=33 no sync of tx/ after the renames   M=35 is a sync more, after the clear */
#ifndef MAXP
#define MAXP 2
#endif
#ifndef M
#define M 0
#endif
#ifndef CFG
#define CFG 1
#endif
#define NK 2
#define NR 2
#if CFG==1
#define WS(t) (t==1 -> 3 : (t==2 -> 1 : 3))
#elif CFG==2
#define WS(t) (t==1 -> 1 : (t==2 -> 3 : 2))
#elif CFG==3
#define WS(t) (t==1 -> 1 : (t==2 -> 2 : 3))
#endif
#ifdef DEL                       /* T2 deletes (unlink under W) instead of staging */
#define ISDEL(t) (t==2)
#else
#define ISDEL(t) 0
#endif
#define FREE 0
#define ACTIVE 1
#define SEALED 2
#define COMMITTED 3
#define IN(s,k) (((s)>>(k))&1)
#define GET(v,k) (((v)>>((k)*2))&3)
#define CODE(s,t) (s==FREE -> 0 : (s-1)*3+t)       /* 0..9 */
byte key[NK]; byte kq[8]; byte kc[NK]; byte km[NK];  /* kq[4*k+j]: j-th value of key k; kc current index, km synced index */
byte st[4]; byte rj[8];  /* staged bits; rj[2*t+k]: index of key k at which (t,k) was renamed (0: not) */
byte gb; byte sy[4];  /* staged data, record, directories synced */
byte ts[4];  /* tx directory synced after the renames */
byte rec; byte recp;  /* record exists; may have vanished */
byte rst[NR]; byte rid[NR]; byte slot[NR]; short pr[NR]; bool bt[NR]; byte pb[NR]; byte wx[NK];
byte vd; byte nver; byte hist[8]; bool ob[NR]; byte epoch, ended, started; byte np;

#define ST(i,s,t) rst[i]=s; rid[i]=(s==FREE -> 0 : t); pr[i]=pr[i]|(1<<CODE(s,t))
#define SYNCSTATE x=0; do :: x<NR -> pr[x]=(1<<CODE(rst[x],rid[x])); pb[x]=(1<<bt[x]); x++ :: else -> break od; x=0
#define S(A) atomic { if :: epoch!=e -> goto fin :: d_step { epoch==e && A } fi }
inline vis(t) {
  if
  :: !IN(vd, t) ->
     vd = vd|(1<<t); hist[nver+1] = 0; x = 0;
     do
     :: x < NK ->
        hist[nver+1] = hist[nver+1]|((IN(WS(t), x) -> (ISDEL(t) -> 0 : t) : GET(hist[nver], x))<<(2*x));
        x++
     :: else -> break
     od;
     nver++; x = 0
  :: else
  fi
}

inline setkey(k,v) { key[k] = v; kc[k]++; kq[4*k+kc[k]] = v }
inline apply(d) {
  k = 0;
  do
  :: k < NK && IN(WS(d), k) ->
     S(true;
       if
       :: ISDEL(d) && IN(rec, d) -> if :: key[k] != 0 -> setkey(k, 0) :: else fi
       :: !ISDEL(d) && IN(st[d], k) ->
          assert(!IN(gb, d)); st[d] = st[d]&(255-(1<<k)); setkey(k, d); rj[2*d+k] = kc[k]
       :: else
       fi;
       k++;)
  :: k < NK && !IN(WS(d), k) -> k++
  :: else -> k = 0; break
  od;
#if M!=32
  /* [W8-sync], [F-sync] */
  S(true; x = 0;
    do :: x < NK -> if :: IN(WS(d), x) -> km[x] = kc[x] :: else fi; x++ :: else -> break od;
    x = 0;)  /* sync directories renamed into */
#endif
#if M!=33 && M!=38
  S(true; ts[d] = 1;)
#endif
}

inline done(d,i) {
  S(true; ST(i, FREE, d);)
#if M==34
  S(true; bt[i] = 0; pb[i] = pb[i]|1;)
#endif
#if M==35
  S(true; SYNCSTATE;)
#endif
  S(true; rec = rec&(255-(1<<d));)
}

inline finish(i) {
  if
  :: rst[i] >= SEALED ->
     S(true; d = rid[i];)
     if  /* [F-seal]: stored again and synced before it becomes COMMITTED */
     :: rst[i] == SEALED -> S(true; SYNCSTATE;) S(true; ST(i, COMMITTED, d); vis(d);)
     :: else
     fi;
     apply(d); done(d, i)
  :: rst[i] == ACTIVE ->
     S(true; d = rid[i]; ST(i, FREE, d);)
     S(true; st[d] = 0; rec = rec&(255-(1<<d));)
  :: else
  fi;
  S(true; d = 0; slot[i] = 0;)
}

proctype W(byte t; byte e) {
  byte i, k, d, x, r, me = t, rv;
  atomic {
    if
    :: epoch != e -> goto fin
    :: d_step {
         epoch == e && slot[0] == 0 && rst[0] == FREE -> slot[0] = me; r = 0; ST(r, ACTIVE, t);
         ob[r] = 0; bt[0] = 1; pb[0] = pb[0]|2;
       }
    :: d_step {
         epoch == e && !(slot[0] == 0 && rst[0] == FREE) && slot[1] == 0 && rst[1] == FREE ->
         slot[1] = me; r = 1; ST(r, ACTIVE, t); ob[r] = 0; bt[1] = 1; pb[1] = pb[1]|2;
       }
    :: epoch == e && slot[0] == 0 && rst[0] != FREE && rst[1] != FREE ->
       slot[0] = me; i = 0; goto fulltab
    fi
  }
  goto lk;
fulltab:
  finish(0);
  S(slot[0] == 0 && rst[0] == FREE; slot[0] = me; r = 0; ST(r, ACTIVE, t); ob[r] = 0; bt[0] = 1;
    pb[0] = pb[0]|2;)
lk:
  k = 0;
  do
  :: k < NK && IN(WS(t), k) -> S(wx[k] == 0; wx[k] = me; k++;)
  :: k < NK && !IN(WS(t), k) -> k++
  :: else -> k = 0; break
  od;
  i = 0;
  do
  :: i < NR ->
     atomic {
       if
       :: epoch != e ->
          goto fin
#if M==34
       :: epoch == e && bt[i] == 0 -> i++; goto nx
       :: epoch == e && bt[i] == 1 && (rst[i] == FREE || rid[i] == t || (rst[i] == ACTIVE && slot[i] != 0) || (WS(rid[i])&WS(t)) == 0) ->
          i++; goto nx
       :: epoch == e && bt[i] == 1 && rst[i] != FREE && rid[i] != t && slot[i] == 0 && (WS(rid[i])&WS(t)) != 0 ->
          slot[i] = me
#else
       :: epoch == e && (rst[i] == FREE || rid[i] == t || (rst[i] == ACTIVE && slot[i] != 0) || (WS(rid[i])&WS(t)) == 0) ->
          i++; goto nx
       :: epoch == e && rst[i] != FREE && rid[i] != t && slot[i] == 0 && (WS(rid[i])&WS(t)) != 0 ->
          slot[i] = me
#endif
       fi
     }
     finish(i);
   nx:
     skip
  :: else -> i = 0; break
  od;
  S(true; x = 0;
    do
    :: x < NK -> if :: IN(WS(t), x) -> assert(key[x] == GET(hist[nver], x)) :: else fi; x++
    :: else -> break
    od;
    x = 0;)
  S(true; st[t] = (ISDEL(t) -> 0 : WS(t)); rec = rec|(1<<t); recp = recp|(1<<t);)
#if M!=30
  /* [W4-sync] staged objects, record, directories; then `state` */
  S(true; sy[t] = 1; recp = recp&(255-(1<<t));)
#endif
#if M!=37 && M!=38
  S(true; SYNCSTATE;)  /* rows cleared earlier cannot come back beside ours */
#endif
#if M==31
  S(true; ST(r, COMMITTED, t); vis(t);)
  S(true; SYNCSTATE;)
#else
  S(true; ST(r, SEALED, t);)  /* [W5-seal] */
#if M!=36
  S(true; SYNCSTATE;)  /* [W5-sync] */
#endif
  S(true; ST(r, COMMITTED, t); vis(t);)  /* [W5-commit]: visible from here on */
#endif
  apply(t); done(t, r);
  S(true; x = 0;
    do :: x < NK -> if :: wx[x] == me -> wx[x] = 0 :: else fi; x++ :: else -> break od;
    slot[r] = 0; x = 0;)
fin:
  atomic { i = 0; k = 0; d = 0; x = 0; r = 0; rv = 0; ended++ }
}

proctype Rec(byte e) {
  /* azr recover after reboot */
  byte i, k, d, x, me = 7; i = 0;
  do
  :: i < NR ->
     atomic {
       if
       :: epoch != e -> goto fin
       :: epoch == e && slot[i] == 0 && rst[i] != FREE -> slot[i] = me
       :: epoch == e && (slot[i] != 0 || rst[i] == FREE) -> i++; goto nx
       fi
     }
     finish(i);
   nx:
     skip
  :: else -> break
  od;
fin:
  atomic { i = 0; k = 0; d = 0; x = 0; ended++ }
}

/* What a reader reads through, who does not recover: COMMITTED rows, and SEALED rows of another boot (ob).
 * M=39: no SEALED row (torn: one rename was on the disk, the other was not). */
#if M==39
#define RT(i) (rst[i]==COMMITTED)
#else
#define RT(i) (rst[i]==COMMITTED || (rst[i]==SEALED && ob[i]))
#endif

proctype RD(byte e) {
  byte k, i, v; byte o;
  atomic {
    if :: epoch != e -> goto fin :: epoch == e -> skip fi;
    d_step {
      k = 0;
      do
      :: k < NK ->
         v = key[k]; i = 0;
         do
         :: i < NR ->
            if :: RT(i) && IN(WS(rid[i]), k) && IN(st[rid[i]], k) -> v = rid[i] :: else fi;
            i++
         :: else -> break
         od;
#ifdef ANYVERSION
         o = o|(v<<(2*k));
#else
         assert(v == GET(hist[nver], k));
#endif
         k++
      :: else -> break
      od;
#ifdef ANYVERSION   /* weaker: any historic version will do, but not a mix */
      v = 0; i = 0;
      do :: i <= nver -> if :: hist[i] == o -> v = 1 :: else fi; i++ :: else -> break od;
      assert(v);
#endif
    }
  }
fin:
  atomic { k = 0; i = 0; v = 0; o = 0; ended++ }
}

init {
  byte i, k, t, q; short c; byte x; pr[0] = 1; pr[1] = 1; pb[0] = 1; pb[1] = 1;
  atomic { started = 2; run W(1, 0); run W(2, 0) }
  do
  :: np < MAXP ->
     atomic {
       /* power loss, any time */
       np++; epoch++; i = 0;
       do
       :: i < NR ->  /* rows */
          c = 0;
          do :: (pr[i]>>c)&1 -> break :: c < 9 && (pr[i]>>c)>1 -> c++ od;
          if
          :: c == 0 -> rst[i] = FREE; rid[i] = 0
          :: else -> rst[i] = (c-1)/3+1; rid[i] = ((c-1)%3)+1
          fi;
          pr[i] = 1<<c;
          if
          :: pb[i] == 3 -> if :: bt[i] = 0 :: bt[i] = 1 fi
          :: pb[i] == 1 -> bt[i] = 0
          :: else -> bt[i] = 1
          fi;
          pb[i] = 1<<bt[i]; slot[i] = 0; ob[i] = 1;
#if M!=39
          if :: rst[i] == SEALED -> t = rid[i]; vis(t); t = 0 :: else fi;  /* visible from now on */
#endif
          i++
       :: else -> break
       od;
       k = 0;
       do
       :: k < NK ->  /* keys, staged names */
          q = km[k];
          do :: q < kc[k] -> q++ :: break od;
          t = 1;
          do
          :: t < 4 ->
             if
             :: rj[2*t+k] != 0 ->
                if
                :: q < rj[2*t+k] -> st[t] = st[t]|(1<<k)
                :: q >= rj[2*t+k] ->
                   if
                   :: true
#ifdef WORST
                   :: ts[t] == 0 ->
                      st[t] = st[t]|(1<<k)
#endif
                   fi
                fi;
                rj[2*t+k] = 0
             :: else ->
                if
                :: IN(st[t], k) && !IN(sy[t], 0) ->
                   if :: st[t] = st[t]&(255-(1<<k)) :: gb = gb|(1<<t) fi
                :: else
                fi
             fi;
             t++
          :: else -> break
          od;
          key[k] = kq[4*k+q]; kq[4*k] = key[k]; x = 1;
          do :: x < 4 -> kq[4*k+x] = 0; x++ :: else -> break od;
          kc[k] = 0; km[k] = 0; wx[k] = 0; k++
       :: else -> break
       od;
       t = 1;
       do
       :: t < 4 ->
          if
          :: IN(recp, t) -> rec = rec&(255-(1<<t))
          :: !IN(rec, t) && sy[t] -> if :: rec = rec|(1<<t) :: skip fi
          :: else
          fi;
          t++
       :: else -> break
       od;
       i = 0; k = 0; t = 0; q = 0; c = 0; x = 0;
       if :: np == 1 -> started++; run W(3, epoch) :: else fi;
       started++; run Rec(epoch);
#ifndef NOREADER
       started++; run RD(epoch);
#endif
     }
  :: ended == started && np == MAXP -> break
  :: np < MAXP && ended == started && started == 2 -> break
  od;
  skip;
  d_step {
    assert(rst[0] == FREE && rst[1] == FREE); k = 0;
    do :: k < NK -> assert(key[k] == GET(hist[nver], k)); k++ :: else -> break od
  }
}

