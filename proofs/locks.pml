/* SPDX-License-Identifier: Apache-2.0 */
/* MGATE, META, GATE, W: deadlock and order.  3 writers over ranges, 3 reads under lock, 1 resize.
 *
 * GATE is only tried by writers, never waited for; readers hold no W while they wait for it.  A resize takes MGATE
 * exclusively, then META exclusively, then lets MGATE go; everybody else passes MGATE shared.
 * M=40 a writer waits for GATE while it holds part of W
 * Not needed: M=41 reader lets GATE go before W (with it there is no deadlock, but writers starve) */
#ifndef M
#define M 0
#endif
#define NK 4
byte wx[NK], ws[NK]; byte gx, gs, mgx, mgs; byte mx, ms; byte done;
#define WW(k) (wx[k]==0 && ws[k]==0)
inline metash() {
  atomic { mgx == 0 -> mgs++ }
  atomic { mgs-- }
  atomic { mx == 0 -> ms++ }
}

inline lockw(k) {
  if
  :: atomic { WW(k) -> wx[k] = 1 }
  :: atomic { ws[k]>0 && wx[k] == 0 && !mygate && gx == 0 && gs == 0 -> gx = 1; mygate = true }  /* try */
     atomic { WW(k) -> wx[k] = 1; gx = 0; mygate = false }
#if M==40
  :: atomic { ws[k]>0 && wx[k] == 0 -> skip }
     atomic { gx == 0 && gs == 0 -> gx = 1 }
     atomic { WW(k) -> wx[k] = 1; gx = 0 }
#endif
  fi
}

proctype W(byte a; byte b; byte c) {
  bool mygate; metash(); lockw(a); lockw(b);
  if :: c < NK -> lockw(c) :: else fi;
  atomic { wx[a] = 0; wx[b] = 0; if :: c < NK -> wx[c] = 0 :: else fi; ms--; done++ }
}

proctype R(byte a; byte b) {
  metash();
  atomic { gx == 0 -> gs++ }
#if M!=41
  atomic { gs-- }
#endif
  atomic { wx[a] == 0 -> ws[a]++ }
  atomic { wx[b] == 0 -> ws[b]++ }
#if M==41
  atomic { gs-- }
#endif
  atomic { ws[a]--; ws[b]--; ms--; done++ }
}

proctype Z() {
  atomic { mgx == 0 && mgs == 0 -> mgx = 1 }
  atomic { mx == 0 && ms == 0 -> mx = 1 }
  atomic { mgx = 0 }
  atomic { WW(3) -> wx[3] = 1 }
  atomic { wx[3] = 0; mx = 0; done++ }
}

init {
  atomic {
    run W(0, 1, 4); run W(2, 3, 4); run W(0, 2, 3); run R(1, 2); run R(0, 3); run R(1, 3);
    run Z()
  }
  done == 7
}

