/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions that take nodes as wholes. */
#include "api/arguments.h"
#include "core/tree.h"

static int take_options(azr_tree_options *out, const azr_tree_options *in,
                        azr_error *err)
{
    const uint32_t known = AZR_TREE_RECURSIVE | AZR_TREE_FORCE |
                           AZR_TREE_INSIST | AZR_TREE_LEAVE_STALE;
    azr_tree_options defaults = AZR_TREE_OPTIONS_INIT;
    int rc;

    *out = defaults;
    if (!in)
        return AZR_OK;
    rc = azri_check_size("azr_tree_options", in->struct_size, sizeof *in, err);
    if (rc < 0)
        return rc;
    if (in->flags & ~known)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "unknown tree flags %x", in->flags & ~known);
    *out = *in;
    return AZR_OK;
}

int azr_remove(const char *path, const azr_tree_options *options,
               azr_error *err)
{
    azr_tree_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(path);
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_tree_remove(path, &o, err);
}

int azr_move(const char *from, const char *to, const azr_tree_options *options,
             azr_error *err)
{
    azr_tree_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(from);
    NEED(to);
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_tree_move(from, to, &o, err);
}

int azr_replace(const char *from, const char *to,
                const azr_tree_options *options, azr_error *err)
{
    azr_tree_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(from);
    NEED(to);
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_tree_replace(from, to, &o, err);
}

int azr_collect(const char *path, uint64_t *removed_out,
                const azr_tree_options *options, azr_error *err)
{
    azr_tree_options o;
    uint64_t removed = 0;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(path);
    rc = take_options(&o, options, err);
    if (rc == AZR_OK)
        rc = azri_tree_collect(path, &removed, &o, err);
    if (rc == AZR_OK && removed_out)
        *removed_out = removed;
    return rc;
}
