/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: a table of system calls that makes one of them fail, once or for ever,
 * or transfer less than it was asked; an allocator that does the same; and a
 * watch on what a sceptic would ask about afterwards: descriptors and maps that
 * are left, syncs that are repeated after they failed.
 */
#ifndef TEST_FAULT_INJECT_H
#define TEST_FAULT_INJECT_H

#include "os/sys.h"

#include <stdbool.h>

/* Calls that can fail. readdir is none of the table's: it is replaced where the
 * test program is linked. */
typedef enum call {
    C_OPENAT,
    C_CLOSE,
    C_PREAD,
    C_PWRITE,
    C_FSTAT,
    C_FSTATAT,
    C_FACCESSAT,
    C_FSTATFS,
    C_FCHMOD,
    C_FCHOWN,
    C_FALLOCATE,
    C_FSYNC,
    C_FDATASYNC,
    C_SYNCFS,
    C_RENAMEAT2,
    C_LINKAT,
    C_UNLINKAT,
    C_MKDIRAT,
    C_CLONE,
    C_COPY_RANGE,
    C_MMAP,
    C_MUNMAP,
    C_LOCK,
    C_FLOCK,
    C_FUTEX_WAIT,
    C_FUTEX_WAKE,
    C_GETRANDOM,
    C_READDIR,
    CALLS
} call;

/* What happens at the point. Below 0: a short transfer, no error. */
#define SHORT_ZERO (-1)
#define SHORT_ONE  (-2)
#define SHORT_HALF (-3)
#define ERRNO_MOST 160

const char *call_name(call c);
/* Errnos that the call can return by its manual page, or by what file systems are
 * known to do; 0-terminated. Also SHORT_… where it transfers. */
const int *call_errors(call c);
/* "EIO", "half". */
const char *error_text(int error);

typedef struct inject_plan {
    unsigned at;   /* the point, counted from 0; UINT32_MAX: none */
    int error;     /* an errno or SHORT_… */
    bool for_ever; /* that call, from there on */
    unsigned
        then; /* a second point, or UINT32_MAX: it fails with `then_error` */
    int then_error;
    unsigned long alloc; /* allocation that fails, counted from 0; ULONG_MAX */
    bool alloc_for_ever;
    bool libc;        /* … of malloc itself, not of our allocator */
    const char *kill; /* SIGKILL after the store of this name, or NULL */
    bool sites;       /* note who calls */
    unsigned long then_alloc; /* a second allocation that fails, or ULONG_MAX */
} inject_plan;

#define INJECT_NONE                                                            \
    {                                                                          \
        UINT32_MAX, 0, false, UINT32_MAX, 0, ~0UL, false, false, NULL, false,  \
            ~0UL                                                               \
    }
#define POINTS_MOST 8192
/* So many callers are a place: a call that is made elsewhere is another one. */
#define SITE_DEPTH 8

/* In memory that children share with their parent. */
typedef struct inject_seen {
    unsigned points;            /* calls since inject_arm */
    uint8_t calls[POINTS_MOST]; /* which */
    unsigned long allocs;
    uint64_t sites[POINTS_MOST];       /* hash of the callers of each call */
    uint64_t alloc_sites[POINTS_MOST]; /* and of each allocation */
    bool fired;                        /* the fault has happened */
    unsigned met;          /* so many failures of the plan, for ever is one */
    unsigned first_points; /* calls before and with the first one … */
    unsigned long first_allocs; /* … and allocations */
    bool sync_failed;           /* … and it was of a sync */
    bool synced_again;          /* the same file was synced after that */
} inject_seen;

inject_seen *inject_told(void);
/* Before any handle is opened, in each child. */
void inject_install(void);
void inject_arm(const inject_plan *p);
/* Nothing fails and nothing is counted in between; they may be nested. */
void inject_pause(void);
void inject_resume(void);
/* Has nothing of the plan failed in this process, since inject_arm? What an act
 * asks that no longer holds when something has. */
bool inject_is_undisturbed(void);
/* Made less given back, since inject_install. */
long inject_maps(void);
/* Called before each futex_wait, until set to NULL. */
extern void (*inject_on_wait)(void);
/* Callers from this return address on are none of a place; NULL: all are. */
extern const void *inject_base;
/* The table, for tests that fake a call. */
extern struct azri_sys inject_sys;

#endif
