/* SPDX-License-Identifier: Apache-2.0 */
/* SLOT < MGATE < META < DOC < W, with rows that run out, DOC shared and exclusive, gates that are waited for only for a
 * while.
 *
 * 2 chunk writers, 2 appends (DOC exclusive, objects known only under DOC), 1 write whose box depends on the shape (DOC
 * shared), 2 reads under lock (META, DOC shared, GATE, W shared), 1 shrink (META exclusive).  NROW rows at first; if
 * none is free: growth (META exclusive, no row in hand).  A wait for a gate may end at any time without it.
 * STOP  somebody takes MGATE and GATE and never lets them go
 * Check: no deadlock; nobody holds META exclusively beside META shared; DOC and W likewise.
 *
 * M=40 a writer waits for GATE, without limit, with W in hand   M=42 gates without limit (STOP)
 * M=43 append takes its W before DOC   M=44 DOC before META   M=45 a chunk writer that finds that it must change the
 * document takes DOC with W in hand   M=46 the row after META (so it grows with META shared in hand)
 * M=47 DOC shared made exclusive (upgrade)   M=48 reader takes DOC after W   M=49 append keeps W of the likely place
 * and takes the right one below it */
#ifndef M
#define M 0
#endif
#ifndef NROW
#define NROW 2
#endif
#define NK 4
byte wx[NK], ws[NK]; bool gx, mgx; byte gs, mgs, ms, ds; bool mx, dx;
byte rows = NROW, used, done, grown;
#define WW(k) (wx[k]==0 && ws[k]==0)
#if M==42
#define PATIENCE false
#else
#define PATIENCE true
#endif
inline row() {
  do
  :: atomic { used < rows -> used++; break }
  :: atomic {
       used >= rows && grown < 1 ->  /* may also just wait (first branch) */
       grown++
     }
#if M!=46
     if :: atomic { !mgx && mgs == 0 -> mgx = 1; g = 1 } :: PATIENCE -> skip fi;
#endif
     atomic { !mx && ms == 0 -> mx = 1; if :: g -> mgx = 0; g = 0 :: else fi }
     atomic { rows++; mx = 0 }
  od
}

inline metash() {
  if :: atomic { !mgx -> mgs++ } atomic { mgs-- } :: PATIENCE -> skip fi;
  atomic { !mx -> ms++ }
}

inline lockw(k) {
  if
  :: atomic { WW(k) -> wx[k] = 1 }
  :: atomic { ws[k]>0 && wx[k] == 0 && !g && !gx && gs == 0 -> gx = 1; g = true }  /* tried */
     atomic { WW(k) -> wx[k] = 1; gx = 0; g = false }
#if M==40
  :: atomic { ws[k]>0 && wx[k] == 0 -> skip }
     atomic { !gx && gs == 0 -> gx = 1 }
     atomic { WW(k) -> wx[k] = 1; gx = 0 }
#endif
  fi
}

proctype W(byte a; byte b) {
  bool g;
#if M==46
  metash(); row();
#else
  row(); metash();
#endif
  lockw(a); lockw(b);
#if M==45
  atomic { !dx && ds == 0 -> dx = 1 }
  dx = 0;
#endif
  atomic { wx[a] = 0; wx[b] = 0; ms--; used--; done++ }
}

proctype A(byte lik; byte tru) {
  bool g; row();
#if M==44
  atomic { !dx && ds == 0 -> dx = 1 }
  metash();
#else
  metash();
#if M==43
  lockw(tru);
#endif
  atomic { !dx && ds == 0 -> dx = 1 }
#endif
#if M==49
  lockw(lik);
#endif
#if M!=43
  lockw(tru);
#endif
  atomic {
    wx[tru] = 0;
#if M==49
    wx[lik] = 0;
#endif
    dx = 0; ms--; used--; done++
  }
}

proctype REL(byte a; byte b) {
  bool g; row(); metash();
  atomic { !dx -> ds++ }
#if M==47
  atomic { !dx && ds == 1 -> dx = 1; ds-- }
#endif
  lockw(a); lockw(b);
#if M==47
  dx = 0; ds++;
#endif
  atomic { wx[a] = 0; wx[b] = 0; ds--; ms--; used--; done++ }
}

proctype R(byte a; byte b) {
  bool g; metash();
#if M!=48
  atomic { !dx -> ds++ }
#endif
  if :: atomic { !gx -> gs++ } atomic { gs-- } :: PATIENCE -> skip fi;
  atomic { wx[a] == 0 -> ws[a]++ }
  atomic { wx[b] == 0 -> ws[b]++ }
#if M==48
  atomic { !dx -> ds++ }
#endif
  atomic { ws[a]--; ws[b]--; ds--; ms--; done++ }
}

proctype Z() {
  bool g; row();
  if :: atomic { !mgx && mgs == 0 -> mgx = 1; g = 1 } :: PATIENCE -> skip fi;
  atomic { !mx && ms == 0 -> mx = 1; if :: g -> mgx = 0; g = 0 :: else fi }
  assert(ms == 0 && !dx && ds == 0);
  atomic { WW(3) -> wx[3] = 1 }
  atomic { wx[3] = 0; mx = 0; used--; done++ }
}

proctype Stop() {
  if :: atomic { !mgx && mgs == 0 -> mgx = 1 } :: skip fi;
  if :: atomic { !gx && gs == 0 -> gx = 1 } :: skip fi;
  done++
}

init {
  atomic {
    run W(0, 1); run W(2, 3); run A(3, 2);
#if M==47
    run REL(1, 2);
#else
    run A(3, 2);
#endif
    run REL(0, 3); run R(0, 2); run Z();
#ifndef STOP
    run R(1, 3)
#else
    run Stop()
#endif
  }
  done == 8
}

