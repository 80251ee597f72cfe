/* SPDX-License-Identifier: Apache-2.0 */
/* Who and when: clocks, boot id, host name; and what kind of file system. */
#ifndef AZRI_OS_HOST_H
#define AZRI_OS_HOST_H

#include "base/error.h"

#include <stdbool.h>

int64_t azri_now_ns(void);  /* CLOCK_MONOTONIC: for waiting */
int64_t azri_wall_ns(void); /* CLOCK_REALTIME: for people */

/* This boot's id (Linux: /proc/sys/kernel/random/boot_id); zeros if unknown. */
void azri_boot_id(uint8_t out[16]);
void azri_host_name(char out[64]);
uint32_t azri_process_id(void); /* asked anew: a fork changes it */
uint32_t azri_user_id(void);    /* effective */

/* When to stop waiting. */
typedef struct azri_patience {
    int64_t deadline_ns; /* of azri_now_ns; INT64_MAX: never */
    const azr_cancel *cancel;
} azri_patience;

azri_patience azri_patience_from(int64_t timeout_ms, const azr_cancel *cancel);
/* 0: go on; AZR_EBUSY: time is up; AZR_ECANCELED. Writes no message. */
int azri_patience_check(const azri_patience *p);
/* Nanoseconds to sleep at most: to the deadline, `net_ns` at most, at least 0. */
int64_t azri_patience_slice(const azri_patience *p, int64_t net_ns);

/* azr_fs_class of the file system that `fd` is on; name_out (32 bytes). */
AZR_CHECKED int azri_fs_classify(int *class_out, uint64_t *magic_out,
                                 char name_out[32], int fd, azr_error *err);

#endif
