/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a commit of others. A commit moves counters in `state` as it is, so
 * who waits looks at them now and then: writers do nothing for him, and do not
 * know of him. (inotify on `.azr` would make each of their renames look for
 * listeners, does not see what is written into a map, and is a resource of which
 * a user has few.)
 */
#include "base/checked.h"
#include "core/array.h"
#include "os/sys.h"

/* Sleeps between looks, in ns: as short as the last commit is young. */
#define SHORTEST 250000
#define LONGEST  4000000
/* Who removes `state` by other means than ours tells nobody: so often it is asked. */
#define ASK 50000000

/* [W5-commit] comes before the counters: who sees them moved reads what was
 * committed. 0 is kept for "not known". */
static int look(azr_array *a, uint64_t *version, azr_error *err)
{
    int rc = azri_domain_version(a->d, version, err);

    ++*version;
    return rc;
}

int azri_array_wait(azr_array *a, uint64_t *version, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    _Atomic uint32_t nothing = 0;
    int64_t pause = SHORTEST, slept = 0;

    for (;;) {
        struct timespec ts = {0, 0};
        uint64_t now;
        int rc = look(a, &now, err), end;

        if (rc < 0)
            return rc;
        if (now != *version) {
            *version = now;
            return AZR_OK;
        }
        end = azri_patience_check(&patience);
        slept += pause;
        if (end < 0 || slept > ASK) {
            rc = azri_domain_check(a->d, false, err);
            slept = 0;
        }
        if (rc == AZR_OK)
            rc = end;
        if (rc < 0 && rc != end)
            return rc;
        if (rc < 0)
            return azri_fail(err, rc, "'%s': %s while waiting for a change",
                             azri_domain_path(a->d),
                             rc == AZR_EBUSY ? "time-out" : "canceled");
        ts.tv_nsec = azri_patience_slice(&patience, pause);
        (void)azri_sys->futex_wait(&nothing, 0, &ts);
        pause = azri_min_i64(pause + pause / 4, LONGEST);
    }
}
