/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Txn: chunks as they are stored. */
#include "core.h"

#include <string.h>

typedef struct chunk {
    azr_txn *txn;
    int64_t index[AZR_MAX_RANK];
    int64_t offset;
    size_t most;
    void *out;
    const void *bytes;
    size_t nbytes;
} chunk;

static int op_read(void *handle, void *arg, azr_error *err)
{
    chunk *c = arg;

    return azr_txn_read_chunk_part(c->txn, handle, c->index, c->offset, c->most,
                                   &c->out, &c->nbytes, err);
}

static int op_write(void *handle, void *arg, azr_error *err)
{
    const chunk *c = arg;

    return azr_txn_write_chunk(c->txn, handle, c->index, c->bytes, c->nbytes,
                               err);
}

/* The array, and the index; numbers that are missing are refused by the library. */
static azp_array *take_place(chunk *c, PyObject *array, PyObject *index)
{
    int n = 0;

    memset(c, 0, sizeof *c);
    if (Py_TYPE(array) != azp_array_type) {
        PyErr_SetString(PyExc_TypeError, "need an array");
        return NULL;
    }
    for (int d = 0; d < AZR_MAX_RANK; d++)
        c->index[d] = -1;
    if (azp_numbers(c->index, index, &n) < 0)
        return NULL;
    return (azp_array *)array;
}

static int perform(azp_txn *t, azp_array *a, azp_op op, chunk *c)
{
    c->txn = t->txn;
    return azp_perform_once(&a->pool, op, c);
}

/* read_chunk(array, index, offset=0, most=-1) → bytes, or None */
PyObject *azp_txn_read_chunk(PyObject *o, PyObject *args)
{
    PyObject *array, *index, *result = NULL;
    long long offset = 0, most = -1;
    azp_array *a;
    azp_txn *t;
    chunk c;

    if (!PyArg_ParseTuple(args, "OO|LL", &array, &index, &offset, &most))
        return NULL;
    a = take_place(&c, array, index);
    t = a ? azp_txn_take(o) : NULL;
    if (!t)
        return NULL;
    c.offset = offset;
    c.most = most < 0 ? SIZE_MAX : (size_t)most;
    if (perform(t, a, op_read, &c) >= 0 && !c.out)
        result = Py_NewRef(Py_None);
    else if (c.out)
        result = PyBytes_FromStringAndSize(c.out, (Py_ssize_t)c.nbytes);
    azr_free(c.out);
    azp_txn_give(t);
    return result;
}

/* write_chunk(array, index, buffer or None) */
PyObject *azp_txn_write_chunk(PyObject *o, PyObject *args)
{
    PyObject *array, *index, *bytes;
    Py_buffer view = {.obj = NULL};
    azp_txn *t = NULL;
    azp_array *a;
    int rc = -1;
    chunk c;

    if (!PyArg_ParseTuple(args, "OOO", &array, &index, &bytes))
        return NULL;
    if (bytes != Py_None &&
        PyObject_GetBuffer(bytes, &view, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    a = take_place(&c, array, index);
    if (a)
        t = azp_txn_take(o);
    if (t) {
        c.bytes = bytes == Py_None ? NULL : view.len > 0 ? view.buf : "";
        c.nbytes = bytes == Py_None ? 0 : (size_t)view.len;
        atomic_store(&t->wrote, true);
        rc = perform(t, a, op_write, &c);
        azp_txn_give(t);
    }
    if (view.obj)
        PyBuffer_Release(&view);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}
