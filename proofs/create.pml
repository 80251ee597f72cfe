/* SPDX-License-Identifier: Apache-2.0 */
/* Creating an array, and taking a plain array into use.  `.azr/state` is made complete under no name and linked
 * exclusively; the document is linked exclusively and is the commit point.  The header of `state` depends on the
 * document (rank, encoding, places of the W locks), so the two must come from the same creator, whoever dies when.
 *
 * Rule: the maker of `state` holds INIT on it before it has a name, until the document has one.  Who finds a `state`
 * waits for INIT; if there is a document then, the array exists.  If not, its maker died: the header is made anew, not
 * valid first, then valid, and then the document linked, all under INIT.
 * Who opens looks at the document first, at the header afterwards; a header that does not fit its document is treated
 * as one that is not valid (made anew under INIT; rebuild.pml).
 *
 * Creators 1 and 2 with different documents; O opens and uses the array; TWO: two of them.
 * PLAIN    a plain tool that knows nothing of us may create the array as well (document 3), at any time
 * ADOPT    instead: a plain array of two chunks, somebody makes its `state` and commits a write of both; a reader that
 *          finds no `state` reads plainly and looks again at the end
 * MAXC     crashes
 *
 * Checks: nobody uses an array whose header belongs to another document; a document that exists is never replaced;
 * who is told that he created the array did; a read is a snapshot.
 *
 * M=160 who finds a `state` without document links his own beside it, as it is     M=161 INIT not held by the maker
 * M=162 the reader without `state` does not look again    M=163 header looked at before the document
 * M=164 document before `state`    M=165 a header that does not fit is used as it is (PLAIN)
 * M=166 the document is renamed into place, replacing what is there (PLAIN)
 * M=167 a header that does not fit is made anew without INIT, or a second look under it (PLAIN) */
#ifndef M
#define M 0
#endif
#ifndef MAXC
#define MAXC 2
#endif

byte hdr;                                /* header of the linked state: 0 not valid, else the document it was made for */
bool linked;                             /* `state` has a name */
byte doc, ix, ncr, ended, made;          /* made: creators that were told that they succeeded */

#define DIE ncr++; if :: ix == me -> ix = 0 :: else fi; goto fin
#define S(A) atomic { if :: ncr<MAXC -> DIE :: d_step { A } fi }

proctype C(byte t) {
  byte me = t, r;
#if M==164
  S(true; if :: doc == 0 -> doc = t :: else -> r = 1 fi;)
  if :: r -> goto fin :: else fi;
  S(true; if :: !linked -> linked = true; hdr = t :: else fi;)
  goto fin;
#endif
  S(true;  /* [C-state] */
    if
    :: !linked -> linked = true; hdr = t; if :: M != 161 -> ix = me :: else fi
    :: else -> r = 1
    fi;)
  if
  :: r ->
     r = 0;
     S(ix == 0; ix = me;)
     S(true; r = doc;)
     if :: r != 0 -> goto lost :: else fi;
#if M!=160
     S(true; hdr = 0;)
     S(true; hdr = t;)
#endif
  :: else
  fi;
#if M==166
  S(true; assert(doc == 0); doc = t;)
#else
  S(true; if :: doc == 0 -> doc = t; made++ :: else -> r = doc fi;)  /* [C-document] */
#endif
lost:
  atomic { if :: ix == me -> ix = 0 :: else fi }
fin:
  atomic { r = 0; ended++ }
}

proctype O(byte me) {
  byte d, h;
open:
#if M==163
  S(true; h = hdr;)
#endif
  S(true; d = doc;)
  if :: d == 0 -> goto fin :: else fi;                   /* no such array */
#ifndef PLAIN
  assert(linked);                                        /* or it would be taken for a plain array */
#else
  if :: !linked -> S(true; if :: !linked -> linked = true; hdr = d :: else fi;) :: else fi;
#endif
#if M!=163
  S(true; h = hdr;)
#endif
  if
  :: h != d && M != 165 && M != 163 ->
#if M!=167
     S(ix == 0; ix = me;)
     S(true; d = doc; h = hdr;)
#endif
     if
     :: h != d ->
        S(true; hdr = 0;)
        S(true; hdr = d;)
     :: else
     fi;
     atomic { if :: ix == me -> ix = 0 :: else fi; goto open }
  :: else
  fi;
  assert(h == doc && hdr == h);                          /* and now it is used */
fin:
  atomic { d = 0; h = 0; ended++ }
}

#ifdef PLAIN
proctype Z() { if :: atomic { doc == 0 -> doc = 3 } :: skip fi; ended++ }
#define NZ 1
#else
#define NZ 0
#endif

#ifdef ADOPT
byte key[2]; byte row; byte nver;        /* row: 0 free, 1 committed; content 0 before, 1 after */
proctype A() {
  linked = true;
  atomic { row = 1; nver = 1 }
  key[0] = 1; key[1] = 1;
  row = 0; ended++
}
proctype R() {
  byte a, b, v; bool s;
again:
  atomic { v = nver; s = linked }
  if
  :: s -> a = nver; b = a                                /* by the protocol: a snapshot */
  :: else -> a = key[0]; b = key[1];
#if M!=162
     if :: linked -> goto again :: else fi
#endif
  fi;
  assert(a == b && a >= v); ended++
}
#endif

init {
#ifdef ADOPT
  atomic { run A(); run R() }
  ended == 2
#else
  atomic {
    run C(1); run C(2); run O(3);
#ifdef TWO
    run O(4);
#else
    ended++;
#endif
#ifdef PLAIN
    run Z();
#endif
  }
  ended == 4+NZ;
  assert(ix == 0 && made <= 1);
#ifndef PLAIN
  assert(doc == 0 || (linked && hdr == doc))
#endif
#endif
}
