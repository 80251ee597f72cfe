/* SPDX-License-Identifier: Apache-2.0 */
/* Counters on a network file system, where there is no atomic add.  Two writers of different chunks of one stripe, each
 * of which may be finished by somebody else (a second bump).  An explicit transaction remembers the counter when it
 * reads chunk 1 and compares it at its commit, under the lock of chunk 1.
 *
 * M=0 a bump stores a fresh random stamp   M=50 it reads, adds one, writes   M=51 it stores the transaction's id */
#ifndef M
#define M 0
#endif
byte c = 0; byte fresh = 1; byte v1; byte w1; byte d;
inline bump(id,me) {
#if M==50
  l = c; c = l+1
#elif M==51
  c = id+10
#else
  atomic { c = fresh; fresh++ }
#endif
}

proctype A() { byte l; bump(0, 0); if :: bump(0, 0) :: skip fi; d++ }  /* chunk 0: only its bumps matter; the second one: recovery */
proctype B() { byte l; atomic { w1 == 0 -> w1 = 1 } v1++; bump(1, 1); w1 = 0; d++ }
proctype B2() { byte l; atomic { w1 == 0 -> w1 = 1 } v1++; bump(2, 2); w1 = 0; d++ }
proctype T() {
  byte s, v, s2;  /* network: every read under the lock, held shared */
  atomic { w1 == 0 -> w1 = 2 }
  s = c; v = v1; w1 = 0;
  atomic { w1 == 0 -> w1 = 2 }
  s2 = c;
  if :: s2 == s -> assert(v == v1) :: else fi;
  w1 = 0; d++
}

init { atomic { run A(); run B(); run B2(); run T() } d == 4 }
