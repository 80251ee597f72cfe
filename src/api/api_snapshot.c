/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of snapshots and copies: arguments are checked here, the
 * work is the core's. */
#include "api/arguments.h"
#include "core/array.h"

static int take_options(azr_snapshot_options *out,
                        const azr_snapshot_options *in, azr_error *err)
{
    azr_snapshot_options defaults = AZR_SNAPSHOT_OPTIONS_INIT;

    *out = in ? *in : defaults;
    if (out->struct_size != sizeof *out || (out->flags & ~AZR_SNAPSHOT_COPY))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_snapshot_options: struct_size %u, need %zu; "
                             "flags %x",
                             out->struct_size, sizeof *out, out->flags);
    return AZR_OK;
}

int azr_snapshot_take(azr_snapshot **out, azr_array *const *arrays, size_t n,
                      const azr_snapshot_options *options, azr_error *err)
{
    azr_snapshot_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(arrays);
    if (n == 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "a snapshot of no array");
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_snapshot_take(out, arrays, n, &o, err);
}

azr_array *azr_snapshot_array(const azr_snapshot *snapshot, size_t i)
{
    return snapshot ? azri_snapshot_array(snapshot, i) : NULL;
}

const char *azr_snapshot_path(const azr_snapshot *snapshot, size_t i)
{
    return snapshot ? azri_snapshot_path(snapshot, i) : NULL;
}

void azr_snapshot_close(azr_snapshot *snapshot)
{
    azri_snapshot_close(snapshot);
}

int azr_array_snapshots(azr_array *array, azr_snapshot_fn fn, void *arg,
                        azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(fn);
    return azri_domain_snaps(array->d, fn, arg, err);
}

/* -------------------------------------------------------------- copies --- */

int azr_copy(const char *from, const char *to, const azr_copy_options *options,
             azr_copied *out, azr_error *err)
{
    azr_copied copied = {.struct_size = (uint32_t)sizeof copied};
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(from);
    NEED(to);
    if (options)
        o = *options;
    if (o.struct_size != sizeof o || (o.flags & ~AZR_COPY_LEAVE_STALE))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_copy_options: struct_size %u, need %zu; "
                             "flags %x, known: %x",
                             o.struct_size, sizeof o, o.flags,
                             AZR_COPY_LEAVE_STALE);
    if (out && out->struct_size != sizeof *out)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_copied.struct_size is %u, need %zu",
                             out->struct_size, sizeof *out);
    rc = azri_tree_copy(from, to, &o, &copied, err);
    if (out)
        *out = copied;
    return rc;
}
