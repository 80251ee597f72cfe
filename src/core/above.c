/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups above a node hold consolidated metadata. Asked before and after
 * each commit of a document, so it is cheap: an fstatat per document, which is
 * read again only if it has changed. */
#include "core/upkeep.h"

#include "core/group.h"
#include "model/consolidated.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef enum answer { UNKNOWN, NO_GROUP, PLAIN, CONSOLIDATED } answer;

const char *azri_above_key(int format)
{
    return format == 2 ? ".zmetadata" : "zarr.json";
}

void azri_above_path(char out[AZRI_UP_MAX], int levels, const char *name)
{
    size_t at = 0;

    for (int k = 0; k < levels; k++) {
        out[at++] = '.';
        out[at++] = '.';
        out[at++] = '/';
    }
    (void)snprintf(out + at, 32, "%s", name);
}

/* false: there is none, or it is not for us to see. */
static int identify(azri_identity *out, bool *there, int dir, const char *path,
                    azr_error *err)
{
    struct stat st;

    *there = azri_sys->fstatat(dir, path, &st, 0) == 0;
    if (*there)
        *out = azri_identity_of(&st);
    else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES &&
             errno != ELOOP)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", path);
    return AZR_OK;
}

/* A zarr.json: is it a group's, with consolidated metadata? */
static int judge(answer *out, azri_identity *id, int dir, const char *path,
                 azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_buf text = AZRI_BUF_INIT;
    azri_span object;
    int kind = AZR_NODE_NONE;
    int rc = azri_read_file(&text, id, dir, path, AZRI_JSON_MAX_NBYTES, &why);

    *out = PLAIN;
    if (rc == AZR_OK)
        rc = azri_node_kind(&kind, azri_buf_span(&text), &why);
    if (rc == AZR_OK && kind == AZR_NODE_GROUP) {
        rc = azri_consolidated_object(&object, 3, azri_buf_span(&text), &why);
        *out = rc == AZR_OK ? CONSOLIDATED : PLAIN;
        if (rc == AZR_ENOTFOUND)
            rc = AZR_OK;
    } else if (rc == AZR_OK || rc == AZR_ENOTFOUND) {
        *out = NO_GROUP;
        rc = AZR_OK;
    }
    azri_buf_dispose(&text);
    if (rc < 0)
        return azri_fail_why(err, rc, &why,
                             "'%.*s' above the array, which may hold a copy of "
                             "its metadata: %s",
                             (int)strlen(path), path, why.message);
    return AZR_OK;
}

/* What was consolidated is taken for consolidated still: it changes with each
 * commit below, and who takes its lock reads it, and says if it is no more. */
static answer recall(const azri_above *cache, int k, const azri_identity *id,
                     azri_domain *hold)
{
    answer a = UNKNOWN;

    if (!cache || k >= AZRI_ABOVE_CACHED)
        return a;
    azri_domain_hold(hold);
    if (cache->answer[k] == CONSOLIDATED ||
        azri_identity_same(&cache->id[k], id))
        a = (answer)cache->answer[k];
    azri_domain_release(hold);
    return a;
}

static void remember(azri_above *cache, int k, const azri_identity *id,
                     answer a, azri_domain *hold)
{
    if (!cache || k >= AZRI_ABOVE_CACHED)
        return;
    azri_domain_hold(hold);
    cache->id[k] = *id;
    cache->answer[k] = (uint8_t)a;
    azri_domain_release(hold);
}

static int look_v3(answer *out, int dir, int k, azri_above *cache,
                   azri_domain *hold, azr_error *err)
{
    char path[AZRI_UP_MAX];
    azri_identity id;
    bool there;
    int rc;

    azri_above_path(path, k, "zarr.json");
    rc = identify(&id, &there, dir, path, err);
    *out = NO_GROUP;
    if (rc < 0 || !there)
        return rc;
    *out = recall(cache, k, &id, hold);
    if (*out != UNKNOWN)
        return AZR_OK;
    rc = judge(out, &id, dir, path, err);
    if (rc == AZR_OK)
        remember(cache, k, &id, *out, hold);
    return rc;
}

static int look_v2(answer *out, int dir, int k, azr_error *err)
{
    char path[AZRI_UP_MAX];
    azri_identity id;
    bool there;
    int rc;

    azri_above_path(path, k, ".zgroup");
    rc = identify(&id, &there, dir, path, err);
    *out = NO_GROUP;
    if (rc < 0 || !there)
        return rc;
    azri_above_path(path, k, ".zmetadata");
    rc = identify(&id, &there, dir, path, err);
    *out = there ? CONSOLIDATED : PLAIN;
    return rc;
}

int azri_above_look(uint64_t *out, int dir, int first, int format,
                    azri_above *cache, azri_domain *hold, azr_error *err)
{
    answer a = PLAIN;
    int rc = AZR_OK;

    *out = 0;
    for (int k = first; k < AZRI_ABOVE_LEVELS; k++) {
        rc = format == 2 ? look_v2(&a, dir, k, err)
                         : look_v3(&a, dir, k, cache, hold, err);
        if (rc < 0 || a == NO_GROUP)
            break;
        if (a == CONSOLIDATED)
            *out |= UINT64_C(1) << k;
    }
    return rc;
}
