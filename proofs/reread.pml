/* SPDX-License-Identifier: Apache-2.0 */
/* As single.pml, with a reader that, after a failed try, opens anew only the keys whose counter or row moved.
 *
 * It keeps for each key the counter and the rows that named it at the look before *its* open (bc, bp), compares those
 * with every later look, and opens anew what differs; each try begins with a fresh look (c, then p).  A read must equal
 * hist[v] for a v current between the first and the last step of its *last* try (WIDE: of the whole read).
 *
 * M=70 what moved between c1/p1 and c2/p2 of the failed try is opened anew, and the next try compares only its own looks
 * M=71 nothing is opened anew   M=72 only what a counter moved   M=73 only what a row moved
 * M=74 the base is the look after the open   M=75 p2, c2 of the failed try are the first look of the next (wrong order)
 * M=76 a row counts as moved only when it appears, not when it goes (is it needed? no)
 * M=78 a chunk that a row says is deleted is looked for under its key (DEL)
 * M=77 a read under lock that does not take the locks (LOOSE)
 * FALLBACK  a disturbed reader takes the chunks' locks and compares as ever; with LOOSE, as the library: it opens all
 *          anew, and compares nothing but the SEALED rows of before, since no commit can begin
 * and those of array.inc */
#include "array.inc"

#ifdef WIDE
#define VS0
#else
#define VS0 vs=0;
#endif
#define SEL ((1<<a)|(1<<b))
#define BP(j,i) bp[(j)*NR+(i)]
#define CROW(i) ((rst[i]==COMMITTED && (WSI(rid[i])&SEL)!=0) -> rid[i] : 0)
#define BROW(q,k) ((q!=0 && IN(WSI(q),k)) -> q : 0)       /* the word of a row, as far as it concerns key k */
#if NR>2
#define NAMED(j,k) (BP(j,0)==BROW(p[0],k) && BP(j,1)==BROW(p[1],k) && BP(j,2)==BROW(p[2],k))
#else
#define NAMED(j,k) (BP(j,0)==BROW(p[0],k) && BP(j,1)==BROW(p[1],k))
#endif
#if M==71
#define KEEP(j,k) have[j]
#elif M==72
#define KEEP(j,k) (have[j] && bc[j]==c1[j])
#elif M==73
#define KEEP(j,k) (have[j] && NAMED(j,k))
#elif M==70
#define KEEP(j,k) (have[j] && !mv[j])
#elif M==76
#define KEEP(j,k) (have[j] && bc[j]==c1[j] && (BROW(p[0],k)==0 || BP(j,0)==BROW(p[0],k)) && (BROW(p[1],k)==0 || BP(j,1)==BROW(p[1],k)))
#else
#define KEEP(j,k) (have[j] && bc[j]==c1[j] && NAMED(j,k))
#endif
#if defined(FALLBACK) && defined(LOOSE)
#define SROW(i) ((rst[i]==SEALED && (WSI(rid[i])&SEL)!=0) -> rid[i] : 0)
#define SAMEROW(i) (u[i] == 0 || SROW(i) == u[i])
#if NR>2
#define STILL (lk && SAMEROW(0) && SAMEROW(1) && SAMEROW(2))
#else
#define STILL (lk && SAMEROW(0) && SAMEROW(1))
#endif
#endif
#ifdef REPLAY
#define READ(k,A) d_step { MARK(R2_key, k, key[k]) A }
#else
#define READ(k,A) A
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
#if defined(DEL) && M!=78
     :: cand != 0 && GONE(cand, k) -> atomic { v[j] = ABSENT; cand = 0 }  /* whatever stands under the key */
#endif
     :: cand != 0 && !GONE(cand, k) ->
        atomic {
          MARK(R2_staged, k, IN(st[cand], k))
          if :: IN(st[cand], k) -> v[j] = cand :: else -> v[j] = 15 fi;
          cand = 0
        }
        if :: v[j] == 15 -> READ(k, v[j] = key[k]) :: else fi
     :: else -> READ(k, v[j] = key[k])
     fi;
#if M==74
     BP(j, 0) = BROW(CROW(0), k); BP(j, 1) = BROW(CROW(1), k);
     atomic { bc[j] = cnt[k]; have[j] = 1 }
#else
     atomic {
       have[j] = 1; bc[j] = c1[j]; BP(j, 0) = BROW(p[0], k); BP(j, 1) = BROW(p[1], k);
#if NR>2
       BP(j, 2) = BROW(p[2], k);
#endif
     }
#endif
  fi
}

/* [R3-keep] is KEEP above: what is kept is compared with the look before its own open. */
proctype R(byte me) {
  byte a, b, c1[2], p[NR], v[2], bc[2], bp[2*NR], vs, vs2, cand, i, x, q[NR], c2[2];
  bool have[2], ok, same, lk;
#if defined(FALLBACK) && defined(LOOSE)
  byte u[NR];
#endif
#if M==70
  bool mv[2];
#endif
#ifdef REPLAY
  atomic { MARK(begin, 0, 0) }
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
#if NR>2
  p[2] = CROW(2);
#endif
#if defined(FALLBACK) && defined(LOOSE)
  if
  :: lk ->
     d_step {
       u[0] = SROW(0); u[1] = SROW(1);
#if NR>2
       u[2] = SROW(2);
#endif
     }
  :: else
  fi;
#endif
look:
  opn(0, a); opn(1, b);
  atomic { vs2 = nver; q[0] = CROW(0) }
  q[1] = CROW(1);
#if NR>2
  q[2] = CROW(2);
#endif
  c2[0] = cnt[a];
  atomic {
    c2[1] = cnt[b]; same = (p[0] == q[0] && p[1] == q[1] && c1[0] == c2[0] && c1[1] == c2[1]);
#if NR>2
    same = same && p[2] == q[2];
#endif
#if defined(FALLBACK) && defined(LOOSE)
    same = same || STILL;
#endif
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
#ifdef REPLAY
     if :: lk -> atomic { MARK(R4_unlock, 0, 0) rel(me) } :: else fi;
#endif
     atomic { MARK(read, 0, v[0]+8*v[1]) rel(me); goto fin }
#if M==75
  :: !same ->
     atomic {
       vs = vs2; p[0] = q[0]; p[1] = q[1]; c1[0] = c2[0]; c1[1] = c2[1]; q[0] = 0; q[1] = 0;
       c2[0] = 0; c2[1] = 0; vs2 = 0; same = 0; goto look
     }
#else
  :: !same ->
     atomic {
#if NR>2
       p[2] = 0; q[2] = 0;
#endif
       p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0; c2[1] = 0;
       VS0 vs2 = 0; same = 0; goto again
     }
#endif
#ifdef FALLBACK
#ifdef REPLAY
  :: atomic {
       EV(R4_meta, 0, 1, !same && !lk && mx == 0) ms = ms|(1<<me);
#else
  :: !same && !lk ->
     atomic {
#endif
       p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0; c2[1] = 0;
       VS0 vs2 = 0; same = 0; lk = 1;
#ifdef LOOSE
       have[0] = 0; have[1] = 0;
#if NR>2
       p[2] = 0; q[2] = 0;
#endif
#endif
     }
#if M!=77
     atomic { EV(R4_lock, a, 1, wx[a] == 0) ws[a] = ws[a]|(1<<me) }
     atomic { EV(R4_lock, b, 1, wx[b] == 0) ws[b] = ws[b]|(1<<me); goto again }
#else
     goto again
#endif
#endif
  fi;
fin:
  atomic {
    a = 0; b = 0; p[0] = 0; p[1] = 0; c1[0] = 0; c1[1] = 0; q[0] = 0; q[1] = 0; c2[0] = 0;
    c2[1] = 0; v[0] = 0; v[1] = 0; vs = 0; vs2 = 0; same = 0; ok = 0; lk = 0; bc[0] = 0;
    bc[1] = 0; bp[0] = 0; bp[1] = 0; bp[2] = 0; bp[3] = 0; have[0] = 0; have[1] = 0;
#if NR>2
    p[2] = 0; q[2] = 0; bp[4] = 0; bp[5] = 0;
#endif
#if M==70
    mv[0] = 0; mv[1] = 0;
#endif
#if defined(FALLBACK) && defined(LOOSE)
    u[0] = 0; u[1] = 0;
#if NR>2
    u[2] = 0;
#endif
#endif
    ended++
  }
}
