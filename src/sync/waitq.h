/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a kernel lock that another process holds, without polling.
 *
 * Every transaction has a slot in memory that all participants share. Who is
 * refused a lock writes there what it waits for, since when, and sleeps on a
 * futex in the slot. Who releases wakes the longest waiter that its release can
 * help, and each further one that does not stand against those. Others may
 * overtake, but not who has waited for 0.2 s. (Reserving every release for the
 * longest waiter would leave the lock idle until that one is scheduled.)
 *
 * This takes the place of the gates of file systems without shared memory; why
 * that is as good, and the numbers, stand in docs/locking.md; proofs/waitq.pml
 * is the model. All of it is courtesy: correctness rests on kernel locks alone.
 * A waiter says every 50 ms that it is alive, and is believed for 0.2 s after
 * that; and nobody yields a free lock to the same waiter for more than a second.
 */
#ifndef AZRI_SYNC_WAITQ_H
#define AZRI_SYNC_WAITQ_H

#include "os/host.h"
#include "sync/lock_ofd.h"

#include <stdatomic.h>

#define AZRI_WAIT_EXCLUSIVE (UINT64_C(1) << 63)

/* 64 bytes, a cache line of its own in each row. Unchecked: for courtesy and
 * for people. `last` 0: not waiting. */
typedef struct azri_wait_slot {
    _Atomic uint64_t first;
    _Atomic uint64_t last;     /* | AZRI_WAIT_EXCLUSIVE */
    _Atomic uint64_t ticket;   /* CLOCK_MONOTONIC ns: smaller waits longer;
                                  the owner may set 0 between two waits */
    _Atomic uint64_t since_ns; /* CLOCK_REALTIME, for status */
    _Atomic uint64_t holds_first;
    _Atomic uint64_t holds_last; /* | EXCLUSIVE; hull of the W ranges held */
    _Atomic uint32_t holds_flags;
    _Atomic uint32_t wake; /* futex */
    _Atomic uint64_t
        alive_ns; /* CLOCK_MONOTONIC of its last look at the lock */
} azri_wait_slot;

#define AZRI_HOLDS_META           1u
#define AZRI_HOLDS_META_EXCLUSIVE 2u
#define AZRI_HOLDS_DOC            4u
#define AZRI_HOLDS_DOC_EXCLUSIVE  8u
#define AZRI_WAIT_POLLS           65536u /* looks by itself: need not be woken */

/* A view of all slots: slot i stands at base + i * stride, the last one (of
 * `count`) at `spare`. */
typedef struct azri_waitq {
    uint8_t *base;
    size_t stride;
    azri_wait_slot *spare;
    uint32_t count;
    _Atomic uint64_t
        *waiting; /* hint: slots that wait; too high does no harm */
} azri_waitq;

/* Has its owner looked at a lock in the last 0.2 s? Only a hint. */
bool azri_waitq_alive(const azri_wait_slot *slot);
azri_wait_slot *azri_waitq_slot(const azri_waitq *q, uint32_t i);

/* Lock `r` on `fd` with slot `me`, whose ticket, if it has one from an earlier
 * wait, keeps its age. `held`: what the caller holds already (a
 * waiter for any of it is not waited for). AZR_OK, AZR_EBUSY and AZR_ECANCELED
 * without a message, or an error. */
AZR_CHECKED int azri_waitq_lock(const azri_waitq *q, azri_wait_slot *me, int fd,
                                const azri_range *r, const azri_range *held,
                                size_t held_count,
                                const azri_patience *patience, azr_error *err);
/* After an unlock of `released`: wake whom it may concern. `me` is passed over. */
void azri_waitq_wake(const azri_waitq *q, const azri_wait_slot *me,
                     const azri_range *released, size_t n);
/* Forget a dead owner's wait. */
void azri_waitq_forget(const azri_waitq *q, azri_wait_slot *slot);

#endif
