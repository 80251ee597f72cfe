/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards that a test can take away. In the library AZRI_GUARD(x) is the constant
 * true; in the sabotage build (AZRI_SABOTAGE, tests only) it is false for the one
 * guard that the test has chosen, to show that the test would notice.
 */
#ifndef AZRI_BASE_GUARD_H
#define AZRI_BASE_GUARD_H

/* New ones at the end: shell scripts know them by number. */
typedef enum azri_guard {
    AZRI_GUARD_NONE = 0,
    AZRI_GUARD_ROW,  /* commit through the row (else: rename at once) */
    AZRI_GUARD_BUMP, /* step 6: bump the counters */
    AZRI_GUARD_RECOVERY_BUMP, /* recovery bumps them again */
    AZRI_GUARD_RENAME_FIRST,  /* clear the row only after the renames */
    AZRI_GUARD_CHUNK_LOCKS,   /* W locks */
    AZRI_GUARD_LOOK,          /* step 2: look at the rows */
    AZRI_GUARD_BUSY_ROW,      /* wait for a committed row that is busy */
    AZRI_GUARD_P2,            /* reader: rows again */
    AZRI_GUARD_C2,            /* reader: counters again */
    AZRI_GUARD_READ_THROUGH,  /* reader: staged objects of committed rows */
    AZRI_GUARD_HOLD_LOCKS,    /* locks held until the row is clear */
    AZRI_GUARD_SLOT,          /* finish a row only with its SLOT byte */
    AZRI_GUARD_FOREIGN,       /* compare what was read before replacing it */
    AZRI_GUARD_SYNC_STAGED, /* power: staged objects synced before the commit */
    AZRI_GUARD_FINISH,      /* a dead committed row is rolled forward */
    AZRI_GUARD_PREPARED,  /* several arrays: PREPARED before the home commits */
    AZRI_GUARD_HOME_NO,   /* a PREPARED row waits for its home's word */
    AZRI_GUARD_HOME_YES,  /* and counts from then on */
    AZRI_GUARD_HOME_SLOT, /* … which it asks with its lock in hand */
    AZRI_GUARD_OTHERS,    /* the home row is cleared after the others */
    AZRI_GUARD_TOLD,      /* it notes that they know */
    AZRI_GUARD_ABOVE_OWNER, /* copies above are renewed before a row is cleared */
    AZRI_GUARD_ABOVE_ROW,   /* … by recovery, since the row says so */
    AZRI_GUARD_ABOVE_LOCK,   /* … with the locks of their directories */
    AZRI_GUARD_ABOVE_MARKER, /* group: a file tells what may be stale */
    AZRI_GUARD_ABOVE_REREAD, /* consolidate: read again after the put */
    AZRI_GUARD_DIR_LOCK,     /* who changes a directory's documents locks it */
    AZRI_GUARD_DOUBT,        /* the mark before a tree is taken away */
    AZRI_GUARD_CONDEMN,      /* `state` and documents go before chunks */
    AZRI_GUARD_DRAIN,      /* writers are drained before a rename of the tree */
    AZRI_GUARD_EXCHANGE,   /* replaced by one exchange */
    AZRI_GUARD_CLAIM,      /* what is being built is no rubbish */
    AZRI_GUARD_SNAP_LOOK,  /* snapshot: the second look */
    AZRI_GUARD_SNAP_OWNER, /* … is removed only if nobody holds it */
    AZRI_GUARD_SNAP_LINKS, /* … its links are no foreign change */
    AZRI_GUARD_DOC, /* a transaction changes documents under DOC exclusive */
    AZRI_GUARD_META_EXCLUSIVE, /* and cuts off chunks under META exclusive */
    AZRI_GUARD_SHRINK_FIRST,   /* and then the document goes first */
    AZRI_GUARD_FIND_IN_ROW, /* an array that is created is found in its row */
    AZRI_GUARD_TAKEN_AGAIN, /* a committed row with the next one's parts is over */
    AZRI_GUARD_SYNC_ERROR,   /* a sync that fails is told */
    AZRI_GUARD_UNTOLD,       /* an untold home that is busy is waited for */
    AZRI_GUARD_LOOK_AGAIN,   /* who gave a row up reads the document again */
    AZRI_GUARD_MARKER_STAYS, /* what is above an unknown change is left to it */
    AZRI_GUARD_ASTRAY,       /* opened in the trash: what is at the path now? */
    AZRI_GUARD_DELETED, /* reader: a deleted chunk of a committed row is gone */
    AZRI_GUARD_READ_LOCKS, /* a read under lock takes the chunks' locks */
    AZRI_GUARD_SEAL,       /* power: SEALED before COMMITTED */
    AZRI_GUARD_GROW_META   /* more rows: META exclusive */
} azri_guard;

#ifdef AZRI_SABOTAGE
extern azri_guard azri_sabotage;
#    define AZRI_GUARD(name) (azri_sabotage != AZRI_GUARD_##name)
#else
#    define AZRI_GUARD(name) 1
#endif

#endif
