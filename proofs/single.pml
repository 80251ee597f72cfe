/* SPDX-License-Identifier: Apache-2.0 */
/* One array: 2 or 3 writers (array.inc) and a reader of two chunks, step by step.
 *
 * Checks: a commit reads what is committed (no lost update, no write skew); a read equals hist[v] for a v current
 * between the first and the last step of its successful try; at the end the keys equal hist[nver].
 *
 * FALLBACK  the reader may go on under lock      NRD=2  two readers
 * M=4 rows are not looked at again   M=10 c2 before p2   M=15 a read under lock is not validated (network, SEAL)
 * and those of array.inc */
#include "array.inc"

/* The optimistic reader of two keys. */
inline opn(k,v) {
  d_step {
    cand = 0; i = 0;
    do
    :: i < NR -> if :: p[i] != 0 && IN(WSI(p[i]), k) -> cand = p[i] :: else fi; i++
    :: else -> break
    od;
    i = 0
  }
  if  /* [R2-staged] through the committed row that names the key; [R2-key] else, or if it is renamed by now */
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
  /* [R1-counters], [R1-rows]: in this order */
  atomic { vs = nver; c1a = cnt[a] }
  c1b = cnt[b]; p[0] = CROW(0); p[1] = CROW(1);
#if NR>2
  p[2] = CROW(2);
#endif
  opn(a, va); opn(b, vb); same = true;
  /* [R3-rows], then [R3-counters]: a row that came and went between the looks is seen by its counter */
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
  /* [R4-lock] */
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
