/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of arrays: arguments and versions of options are checked
 * here, the work is the core's. */
#include "api/arguments.h"
#include "core/array.h"

#include <string.h>

int azri_fail_null(azr_error *err, const char *what)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT, "%s is NULL", what);
}

int azri_check_size(const char *type, uint32_t found, size_t needed,
                    azr_error *err)
{
    if (found == needed)
        return AZR_OK;
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "%s.struct_size is %u, need %zu", type, found, needed);
}

int azri_take_options(azr_open_options *out, const azr_open_options *in,
                      uint32_t known, azr_error *err)
{
    azr_open_options defaults = AZR_OPEN_OPTIONS_INIT;
    int rc;

    *out = defaults;
    if (!in)
        return AZR_OK;
    rc = azri_check_size("azr_open_options", in->struct_size, sizeof *in, err);
    if (rc < 0)
        return rc;
    *out = *in;
    if (in->flags & ~known)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "unknown open flags %x", in->flags & ~known);
    if (in->sync > AZR_SYNC_NONE)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "unknown sync mode %u", in->sync);
    if (in->threads < 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT, "%d threads",
                             in->threads);
    return AZR_OK;
}

static int take_options(azr_open_options *out, const azr_open_options *in,
                        uint32_t more, azr_error *err)
{
    return azri_take_options(out, in, AZRI_ARRAY_FLAGS | more, err);
}

int azri_check_create_flags(uint32_t flags, azr_error *err)
{
    if ((flags & AZR_CREATE_REPLACE) && (flags & AZR_CREATE_OR_OPEN))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "AZR_CREATE_REPLACE and AZR_CREATE_OR_OPEN "
                             "exclude each other");
    return AZR_OK;
}

int azr_array_create(azr_array **out, const char *path,
                     const azr_array_spec *spec,
                     const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(path);
    NEED(spec);
    rc =
        take_options(&o, options, AZR_CREATE_REPLACE | AZR_CREATE_OR_OPEN, err);
    if (rc == AZR_OK)
        rc = azri_check_create_flags(o.flags, err);
    return rc < 0 ? rc : azri_array_create(out, path, spec, &o, err);
}

int azr_array_open(azr_array **out, const char *path,
                   const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(path);
    rc = take_options(&o, options, 0, err);
    return rc < 0 ? rc : azri_array_open(out, path, &o, err);
}

int azr_array_share(azr_array **out, azr_array *array,
                    const azr_share_options *options, azr_error *err)
{
    const azr_share_options defaults = AZR_SHARE_OPTIONS_INIT;
    const azr_share_options *o = options ? options : &defaults;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(array);
    rc = azri_check_size("azr_share_options", o->struct_size, sizeof *o, err);
    if (rc == AZR_OK && o->flags)
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                           "unknown share flags %x", o->flags);
    return rc < 0 ? rc : azri_array_share(out, array, o, err);
}

void azr_array_close(azr_array *array)
{
    azri_array_close(array);
}

int azr_array_info_get(azr_array *array, azr_array_info *out, azr_error *err)
{
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(out);
    rc = azri_check_size("azr_array_info", out->struct_size, sizeof *out, err);
    return rc < 0 ? rc : azri_array_info(array, out, err);
}

int azr_array_usage(azr_array *array, uint64_t *chunks_out,
                    uint64_t *nbytes_out, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(chunks_out);
    NEED(nbytes_out);
    return azri_array_usage(array, chunks_out, nbytes_out, err);
}

/* ---------------------------------------------------------- read, write --- */

static azri_caller_memory dense_source(const void *data, size_t nbytes)
{
    union {
        const void *in;
        void *out; /* a source is only read */
    } p = {.in = data};
    azri_caller_memory m = {NULL, p.out, nbytes};

    return m;
}

int azri_check_memory(const azr_memory *m, azr_error *err)
{
    NEED(m);
    return azri_check_size("azr_memory", m->struct_size, sizeof *m, err);
}

int azr_array_read(azr_array *array, const azr_selection *sel, void *dst,
                   size_t dst_nbytes, azr_error *err)
{
    azri_caller_memory m = {NULL, dst, dst_nbytes};
    azri_patience patience;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    if (dst_nbytes > 0)
        NEED(dst);
    patience = azri_array_patience(array);
    return azri_array_read(array, sel, &m, NULL, &patience, err);
}

int azr_array_read_into(azr_array *array, const azr_selection *sel,
                        const azr_memory *dst, azr_error *err)
{
    azri_caller_memory m = {dst, NULL, 0};
    azri_patience patience;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    rc = azri_check_memory(dst, err);
    if (rc < 0)
        return rc;
    patience = azri_array_patience(array);
    return azri_array_read(array, sel, &m, NULL, &patience, err);
}

int azr_array_read_shape(azr_array *array, const azr_selection *sel,
                         const azr_memory *dst, int64_t *shape_out,
                         azr_error *err)
{
    azri_read_hooks hooks = {.shape_out = NULL};
    azri_caller_memory m = {dst, NULL, 0};
    azri_patience patience;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    NEED(shape_out);
    hooks.shape_out = shape_out;
    rc = azri_check_memory(dst, err);
    if (rc < 0)
        return rc;
    patience = azri_array_patience(array);
    return azri_array_read(array, sel, &m, &hooks, &patience, err);
}

int azr_array_write(azr_array *array, const azr_selection *sel, const void *src,
                    size_t src_nbytes, azr_error *err)
{
    azri_caller_memory m = dense_source(src, src_nbytes);

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    if (src_nbytes > 0)
        NEED(src);
    return azri_array_write(array, sel, &m, NULL, err);
}

int azr_array_write_from(azr_array *array, const azr_selection *sel,
                         const azr_memory *src, azr_error *err)
{
    azri_caller_memory m = {src, NULL, 0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    rc = azri_check_memory(src, err);
    return rc < 0 ? rc : azri_array_write(array, sel, &m, NULL, err);
}

int azr_array_write_shape(azr_array *array, const azr_selection *sel,
                          const azr_memory *src, const int64_t *shape,
                          azr_error *err)
{
    azri_caller_memory m = {src, NULL, 0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    NEED(shape);
    rc = azri_check_memory(src, err);
    return rc < 0 ? rc : azri_array_write(array, sel, &m, shape, err);
}

int azr_array_fill(azr_array *array, const azr_selection *sel,
                   const void *value, size_t value_nbytes, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    NEED(value);
    return azri_array_fill(array, sel, value, value_nbytes, err);
}

int azr_array_update(azr_array *array, const azr_selection *sel,
                     azr_update_fn fn, void *arg, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    NEED(fn);
    return azri_array_update(array, sel, NULL, fn, arg, err);
}

int azr_array_update_shape(azr_array *array, const azr_selection *sel,
                           const int64_t *shape, azr_update_fn fn, void *arg,
                           azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(sel);
    NEED(shape);
    NEED(fn);
    return azri_array_update(array, sel, shape, fn, arg, err);
}

int azr_array_resize(azr_array *array, int rank, const int64_t *shape,
                     azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    if (rank > 0)
        NEED(shape);
    return azri_array_resize(array, rank, shape, err);
}

int azr_array_append(azr_array *array, int axis, int64_t length,
                     const void *src, size_t src_nbytes, int64_t *offset_out,
                     azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    if (src_nbytes > 0)
        NEED(src);
    return azri_array_append(array, axis, length, src, src_nbytes, offset_out,
                             err);
}

int azr_array_attributes(azr_array *array, char **out, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(out);
    return azri_array_attributes(array, out, err);
}

int azr_array_dimension_name(azr_array *array, int dimension, char **out,
                             azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(out);
    return azri_array_dimension_name(array, dimension, out, err);
}

int azr_array_attribute_set(azr_array *array, const char *name,
                            const char *json, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(name);
    return azri_array_attribute_set(array, name, json, err);
}

int azr_array_wait(azr_array *array, uint64_t *version, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(version);
    return azri_array_wait(array, version, err);
}

/* ----------------------------------------------------------- inspection --- */

int azr_array_set_durability(azr_array *array, int durability, azr_error *err)
{
    azri_patience patience;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    if (durability != AZR_DURABILITY_PROCESS &&
        durability != AZR_DURABILITY_POWER)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "unknown durability %d", durability);
    rc = azri_array_may_write(array, err);
    if (rc < 0)
        return rc;
    patience = azri_array_patience(array);
    return azri_domain_set_durability(array->d, durability, &patience, err);
}

int azr_array_status(azr_array *array, azr_row_fn fn, void *arg, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(fn);
    return azri_domain_status(array->d, fn, arg, err);
}

int azr_array_verify(azr_array *array, azr_finding_fn fn,
                     azr_progress_fn progress, void *arg, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    NEED(fn);
    return azri_array_verify(array, fn, progress, arg, err);
}

int azr_array_recover(azr_array *array, azr_recovery *out, azr_error *err)
{
    azr_recovery count = {0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(array);
    rc = azri_array_may_write(array, err);
    if (rc == AZR_OK)
        rc = azri_domain_recover(array->d, &count, err);
    count.struct_size = sizeof count;
    if (rc == AZR_OK && out)
        *out = count;
    return rc;
}
