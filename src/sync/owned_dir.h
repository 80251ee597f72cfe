/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory that lives as long as somebody holds it: `prefix` and 32 hexadecimal
 * digits, with an flock of the directory itself that its maker keeps. The kernel
 * drops that when the last copy of its descriptor is closed, however the process
 * ends. Who finds such a directory without a holder may remove it.
 */
#ifndef AZRI_SYNC_OWNED_DIR_H
#define AZRI_SYNC_OWNED_DIR_H

#include "os/file.h"

#define AZRI_OWNED_NAME_MAX 64
/* In it: who made it, for people. Never trusted. */
#define AZRI_OWNED_WHO ".azr-owner"

typedef struct azri_owned {
    int above; /* the directory that it stands in */
    int dir;   /* itself; carries the lock */
    char name[AZRI_OWNED_NAME_MAX];
} azri_owned;

#define AZRI_OWNED_INIT                                                        \
    {                                                                          \
        -1, -1, ""                                                             \
    }

/* Make one in `above`, with these permission bits and group. Rivals that collect at
 * the same time do no harm. */
AZR_CHECKED int azri_owned_make(azri_owned *out, int above, const char *prefix,
                                mode_t mode, gid_t gid, azr_error *err);
/* Let go. Who is the last one to do so (a child of a fork has a copy) removes it. */
void azri_owned_close(azri_owned *o);
/* Is it the name of one? */
bool azri_owned_is_name(const char *name, const char *prefix);
/* Remove those in `above` that nobody holds. What may not be removed is left. */
AZR_CHECKED int azri_owned_collect(int above, const char *prefix,
                                   uint32_t *count, azr_error *err);
/* Does somebody hold `name` in `above`? */
bool azri_owned_is_held(int above, const char *name);

typedef struct azri_owner {
    int32_t pid; /* 0: not known */
    uint32_t uid;
    int64_t start_ns; /* CLOCK_REALTIME */
    char host[64];
} azri_owner;
/* What AZRI_OWNED_WHO of the open directory says, as far as it can be read. */
void azri_owned_who(azri_owner *out, int dir);

#endif
