/* SPDX-License-Identifier: Apache-2.0 */
/* A table of system calls in which single calls fail, or somebody does something
 * just before one. */
#ifndef TEST_TXN_FAKE_H
#define TEST_TXN_FAKE_H

#include "os/sys.h"

#include <stdbool.h>

typedef enum fake_call {
    ON_OPENAT,
    ON_CLOSE,
    ON_PREAD,
    ON_PWRITE,
    ON_FSTAT,
    ON_FSTATAT,
    ON_FACCESSAT,
    ON_FSTATFS,
    ON_FSYNC,
    ON_FDATASYNC,
    ON_SYNCFS,
    ON_FALLOCATE,
    ON_RENAMEAT2,
    ON_LINKAT,
    ON_UNLINKAT,
    ON_MKDIRAT,
    ON_MMAP,
    ON_LOCK, /* "try META", "ask SLOT", "unlock W", … */
    ON_FLOCK,
    ON_FUTEX_WAIT,
    ON_GETRANDOM,
    ON_STORE, /* by the name of the place; of parts of rows, too */
    ON_BUMP
} fake_call;

void fake_install(void);
void fake_remove(void);
/* Of the calls whose path (or name, or the path of the descriptor) has `part` in it
 * (NULL: any), the first `skip` are made, the next `times` fail with `error`. */
void fake_fail(fake_call c, const char *part, unsigned skip, unsigned times,
               int error);
/* `fn` is called before the one after `skip` others; that one is then made. */
void fake_before(fake_call c, const char *part, unsigned skip,
                 void (*fn)(void));
/* Forget all of that; returns how many calls failed or were preceded. */
unsigned fake_clear(void);
/* What fstatfs tells instead of the truth; 0: the truth. */
extern uint64_t fake_magic;
/* futex_wait returns at once, as if time were up; what it is given must be what stands
 * there. */
extern bool fake_no_sleep;

#endif
