/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/trial.h"

#include "base/alloc.h"
#include "os/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------- which --- */

bool sample_is_late(const sample *s)
{
    return azri_now_ns() > s->until;
}

bool sample_has(sample *s, uint64_t salt, uint64_t k)
{
    uint64_t h = (s->seed * 1000003 + salt) * UINT64_C(0x9E3779B97F4A7C15);

    h = (h ^ (k * UINT64_C(0xD6E8FEB86659FD93))) * UINT64_C(0xFF51AFD7ED558CCD);
    if (sample_is_late(s)) {
        s->late++;
        return false;
    }
    return (h >> 33) % s->every == s->part - 1;
}

/* What was tried, in an open hash table; 0: free. */
#define TRIED_MOST (UINT64_C(1) << 18)
static uint64_t g_tried[TRIED_MOST];

bool place_is_new(uint64_t site, int error, way w)
{
    uint64_t how = (uint64_t)(error + 8) << 2 | (uint64_t)w;
    uint64_t h = (site ^ how) * UINT64_C(0x9E3779B97F4A7C15);

    h |= (uint64_t)1 << 63;
    for (uint64_t k = 0; k < TRIED_MOST; k++) {
        uint64_t *at = &g_tried[(h + k) % TRIED_MOST];

        if (*at == h)
            return false;
        if (*at == 0) {
            *at = h;
            return true;
        }
    }
    return true;
}

bool error_tells(int error)
{
    switch (error) {
    case EAGAIN:
    case EEXIST:
    case EINTR:
    case EINVAL:
    case EMLINK:
    case ENOENT:
    case ENOSYS:
    case ENOTDIR:
    case EOPNOTSUPP:
    case EPERM:
    case EXDEV:
    case SHORT_ZERO:
    case SHORT_HALF:
        return true;
    default:
        return false;
    }
}

/* -------------------------------------------------------- before and after --- */

void trial_lay_out(const act *a, const char *from, const char *at)
{
    tree_remove(at);
    tree_copy(from, at);
    if (a->parts & PART_SHARED)
        world_share(at);
}

int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = -1; /* its own */

    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

bool leaves_nothing(int before, uint64_t heap)
{
    int now = descriptors();

    if (now != before)
        return complain("%d descriptors left", now - before);
    if (inject_maps() != 0)
        return complain("%ld maps left", inject_maps());
    if (azri_heap_nbytes() > heap)
        return complain("%llu bytes left, %llu when nothing fails",
                        (unsigned long long)azri_heap_nbytes(),
                        (unsigned long long)heap);
    return true;
}

bool is_honest(const act *a, const pictures *p, int rc, const azr_error *err)
{
    bool is_new = strcmp(p->seen, p->new) == 0;

    /* built anew, and then not opened; or only begun, and then nothing is there */
    if (a->parts & PART_TORN)
        return true;
    if (!is_new && strcmp(p->seen, p->old) != 0)
        return (a->by_steps && rc < 0) ||
               complain("neither old nor new: %.900s", p->seen);
    if (rc == AZR_OK)
        return is_new || complain("success, but nothing happened");
    if (rc > 0)
        return complain("answer %d", rc);
    if (is_new && a->changes && rc != AZR_EUNKNOWN)
        return complain("it failed, but it happened: %s", err->message);
    return true;
}

const char *plan_text(char out[200], const inject_plan *p, call first,
                      call second)
{
    int n = 0;

    if (p->alloc != ~0UL)
        n = snprintf(out, 200, "%s allocation %lu%s", p->libc ? "libc" : "our",
                     p->alloc, p->alloc_for_ever ? " and all after it" : "");
    if (p->then_alloc != ~0UL)
        n += snprintf(out + n, 200 - (size_t)n, ", then allocation %lu",
                      p->then_alloc);
    if (p->at != UINT32_MAX)
        n += snprintf(out + n, 200 - (size_t)n, "%spoint %u (%s) %s%s",
                      n > 0 ? " and " : "", p->at, call_name(first),
                      error_text(p->error), p->for_ever ? " for ever" : "");
    if (p->then != UINT32_MAX)
        (void)snprintf(out + n, 200 - (size_t)n, ", then point %u (%s) %s",
                       p->then, call_name(second), error_text(p->then_error));
    return out;
}
