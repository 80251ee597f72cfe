/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of transactions: arguments and versions of options are
 * checked here, the work is the core's. */
#include "api/arguments.h"
#include "core/array.h"

static int take_options(azr_txn_options *out, const azr_txn_options *in,
                        azr_error *err)
{
    azr_txn_options defaults = AZR_TXN_OPTIONS_INIT;

    *out = in ? *in : defaults;
    if (out->struct_size != sizeof *out || out->flags != 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_txn_options: struct_size %u, need %zu; flags "
                             "%x, need 0",
                             out->struct_size, sizeof *out, out->flags);
    return AZR_OK;
}

int azr_txn_begin(azr_txn **out, const azr_txn_options *options, azr_error *err)
{
    azr_txn_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_transaction_begin(out, &o, err);
}

int azr_txn_read(azr_txn *txn, azr_array *array, const azr_selection *sel,
                 void *dst, size_t dst_nbytes, azr_error *err)
{
    azri_caller_memory m = {NULL, dst, dst_nbytes};

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    if (dst_nbytes > 0)
        NEED(dst);
    return azri_transaction_read(txn, array, sel, &m, err);
}

static azri_caller_memory dense_source(const void *data, size_t nbytes)
{
    union {
        const void *in;
        void *out; /* a source is only read */
    } p = {.in = data};
    azri_caller_memory m = {NULL, p.out, nbytes};

    return m;
}

int azr_txn_write(azr_txn *txn, azr_array *array, const azr_selection *sel,
                  const void *src, size_t src_nbytes, azr_error *err)
{
    azri_caller_memory m = dense_source(src, src_nbytes);

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    if (src_nbytes > 0)
        NEED(src);
    return azri_transaction_write(txn, array, sel, &m, err);
}

int azr_txn_read_into(azr_txn *txn, azr_array *array, const azr_selection *sel,
                      const azr_memory *dst, azr_error *err)
{
    azri_caller_memory m = {dst, NULL, 0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    rc = azri_check_memory(dst, err);
    return rc < 0 ? rc : azri_transaction_read(txn, array, sel, &m, err);
}

int azr_txn_write_from(azr_txn *txn, azr_array *array, const azr_selection *sel,
                       const azr_memory *src, azr_error *err)
{
    azri_caller_memory m = {src, NULL, 0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    rc = azri_check_memory(src, err);
    return rc < 0 ? rc : azri_transaction_write(txn, array, sel, &m, err);
}

int azr_txn_fill(azr_txn *txn, azr_array *array, const azr_selection *sel,
                 const void *value, size_t value_nbytes, azr_error *err)
{
    azr_memory one;
    azri_caller_memory m = {&one, NULL, 0};
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    NEED(value);
    rc = azri_fill_source(&one, array, sel, value, value_nbytes, err);
    return rc < 0 ? rc : azri_transaction_write(txn, array, sel, &m, err);
}

int azr_txn_read_chunk_part(azr_txn *txn, azr_array *array,
                            const int64_t *index, int64_t offset, size_t most,
                            void **out, size_t *nbytes, azr_error *err)
{
    azri_span found = {NULL, 0};
    union {
        const void *mine;
        void *theirs;
    } p;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(out);
    NEED(nbytes);
    rc = azri_transaction_read_chunk(txn, array, index, offset, most, &found,
                                     err);
    if (rc < 0)
        return rc;
    p.mine = found.data;
    *out = p.theirs;
    *nbytes = found.nbytes;
    return AZR_OK;
}

int azr_txn_read_chunk(azr_txn *txn, azr_array *array, const int64_t *index,
                       void **out, size_t *nbytes, azr_error *err)
{
    return azr_txn_read_chunk_part(txn, array, index, 0, SIZE_MAX, out, nbytes,
                                   err);
}

int azr_txn_write_chunk(azr_txn *txn, azr_array *array, const int64_t *index,
                        const void *bytes, size_t nbytes, azr_error *err)
{
    azri_span given = {bytes, nbytes};

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    if (nbytes > 0)
        NEED(bytes);
    return azri_transaction_write_chunk(txn, array, index, given, err);
}

int azr_txn_shape(azr_txn *txn, azr_array *array, int64_t *shape_out,
                  azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(shape_out);
    return azri_transaction_shape(txn, array, shape_out, err);
}

int azr_txn_append(azr_txn *txn, azr_array *array, int axis, int64_t length,
                   const void *src, size_t src_nbytes, int64_t *offset_out,
                   azr_error *err)
{
    azri_caller_memory m = dense_source(src, src_nbytes);

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    if (src_nbytes > 0)
        NEED(src);
    return azri_transaction_append(txn, array, axis, length, &m, offset_out,
                                   err);
}

int azr_txn_resize(azr_txn *txn, azr_array *array, int rank,
                   const int64_t *shape, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    if (rank > 0)
        NEED(shape);
    return azri_transaction_resize(txn, array, rank, shape, err);
}

int azr_txn_attributes(azr_txn *txn, azr_array *array, char **out,
                       azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(out);
    return azri_transaction_attributes(txn, array, out, err);
}

int azr_txn_set_attribute(azr_txn *txn, azr_array *array, const char *name,
                          const char *json, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(name);
    return azri_transaction_set_attribute(txn, array, name, json, err);
}

int azr_txn_create_array(azr_txn *txn, azr_array **out, const char *path,
                         const azr_array_spec *spec,
                         const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(out);
    NEED(path);
    NEED(spec);
    rc = azri_take_options(&o, options, AZRI_ARRAY_FLAGS, err);
    return rc < 0 ? rc : azri_transaction_create(txn, out, path, spec, &o, err);
}

static int check_text(const azr_array_text *text, azr_error *err)
{
    int rc =
        azri_check_size("azr_array_text", text->struct_size, sizeof *text, err);

    if (rc < 0)
        return rc;
    NEED(text->document);
    if (text->zarr_format != 0 && text->zarr_format != 2 &&
        text->zarr_format != 3)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "zarr_format is %d, need 2 or 3",
                             text->zarr_format);
    if (text->durability != AZR_DURABILITY_PROCESS &&
        text->durability != AZR_DURABILITY_POWER)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "unknown durability %d", text->durability);
    return AZR_OK;
}

int azr_txn_create_from(azr_txn *txn, azr_array **out, const char *path,
                        const azr_array_text *text,
                        const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(out);
    NEED(path);
    NEED(text);
    rc = check_text(text, err);
    if (rc == AZR_OK)
        rc = azri_take_options(&o, options, AZRI_ARRAY_FLAGS, err);
    return rc < 0 ? rc
                  : azri_transaction_create_from(txn, out, path, text, &o, err);
}

int azr_append_all(azr_append_part *parts, size_t n,
                   const azr_txn_options *options, azr_error *err)
{
    azr_txn_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    if (n > 0)
        NEED(parts);
    for (size_t k = 0; k < n; k++) {
        if (parts[k].struct_size != sizeof *parts)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "azr_append_part.struct_size is %u, need %zu",
                                 parts[k].struct_size, sizeof *parts);
        NEED(parts[k].array);
        if (parts[k].src_nbytes > 0)
            NEED(parts[k].src);
    }
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_append_all(parts, n, &o, err);
}

int azr_txn_commit(azr_txn *txn, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    return azri_transaction_commit(txn, err);
}

void azr_txn_free(azr_txn *txn)
{
    azri_transaction_free(txn);
}

int azr_txn_run(azr_txn_fn fn, void *arg, const azr_txn_options *options,
                azr_error *err)
{
    azr_txn_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(fn);
    rc = take_options(&o, options, err);
    return rc < 0 ? rc : azri_transaction_run(fn, arg, &o, err);
}
