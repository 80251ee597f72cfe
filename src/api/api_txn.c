/* SPDX-License-Identifier: Apache-2.0 */
#include "core/array.h"

static int fail_null(azr_error *err, const char *what)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT, "%s is NULL", what);
}

#define NEED(p)                                                                \
    do {                                                                       \
        if (!(p))                                                              \
            return fail_null(err, #p);                                         \
    } while (0)

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

int azr_txn_write(azr_txn *txn, azr_array *array, const azr_selection *sel,
                  const void *src, size_t src_nbytes, azr_error *err)
{
    union {
        const void *in;
        void *out; /* a source is only read */
    } p = {.in = src};
    azri_caller_memory m = {NULL, p.out, src_nbytes};

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(txn);
    NEED(array);
    NEED(sel);
    if (src_nbytes > 0)
        NEED(src);
    return azri_transaction_write(txn, array, sel, &m, err);
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
