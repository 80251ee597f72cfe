/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Txn: a transaction over arrays. */
#include "core.h"

#include <string.h>
#include <time.h>

PyTypeObject *azp_txn_type;

azp_txn *azp_txn_take(PyObject *o)
{
    azp_txn *t = (azp_txn *)o;

    if (Py_TYPE(o) != azp_txn_type) {
        PyErr_SetString(PyExc_TypeError, "need a transaction");
        return NULL;
    }
    if (atomic_exchange(&t->busy, true)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread is using this transaction");
        return NULL;
    }
    if (!t->txn) {
        atomic_store(&t->busy, false);
        PyErr_SetString(PyExc_RuntimeError, "this transaction has ended");
        return NULL;
    }
    return t;
}

void azp_txn_give(azp_txn *t)
{
    atomic_store(&t->busy, false);
}

/*
 * As take, for who ends it: a call that another thread makes for it ends first, since
 * what that uses goes. There is one if Ctrl-C has ended the wait of the main thread for
 * zarr's. If all is given up, waits by the main thread's token are ended.
 */
static void take_last(azp_txn *t, bool given_up)
{
    const struct timespec while_busy = {.tv_nsec = 1000000};
    azr_cancel *token =
        given_up && azp_on_main_thread() ? azp_main_cancel() : NULL;
    bool waited = false;

    while (atomic_exchange(&t->busy, true)) {
        waited = true;
        if (token)
            azr_cancel_request(token);
        Py_BEGIN_ALLOW_THREADS nanosleep(&while_busy, NULL);
        Py_END_ALLOW_THREADS
    }
    if (waited && token)
        azr_cancel_reset(token);
}

static azp_txn *new_txn(azr_txn *txn, bool borrowed)
{
    azp_txn *t = PyObject_New(azp_txn, azp_txn_type);

    if (!t)
        return NULL;
    t->txn = txn;
    t->borrowed = borrowed;
    atomic_init(&t->busy, false);
    atomic_init(&t->wrote, false);
    return t;
}

static void finish(azp_txn *t)
{
    if (!t->borrowed)
        azr_txn_free(t->txn);
    t->txn = NULL;
}

static void dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);

    finish((azp_txn *)o);
    PyObject_Free(o);
    Py_DECREF(type);
}

static azr_txn_options options_of(int64_t timeout_ms)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = timeout_ms;
    o.cancel = azp_token();
    return o;
}

/* begin(timeout_ms) */
PyObject *azp_txn_begin(PyObject *m, PyObject *args)
{
    azr_error err = AZR_ERROR_INIT;
    azr_txn_options options;
    azr_txn *txn = NULL;
    long long timeout;
    azp_txn *t;

    (void)m;
    if (!PyArg_ParseTuple(args, "L", &timeout))
        return NULL;
    options = options_of(timeout);
    if (azr_txn_begin(&txn, &options, &err) < 0) {
        azp_raise(&err);
        return NULL;
    }
    t = new_txn(txn, false);
    if (!t)
        azr_txn_free(txn);
    return (PyObject *)t;
}

static int op_commit(void *handle, void *arg, azr_error *err)
{
    (void)handle;
    return azr_txn_commit(arg, err);
}

/* It ends here, whatever becomes of it; of a borrowed one azp_txn_run's loop is
 * told by the exception. */
static PyObject *commit(PyObject *o, PyObject *unused)
{
    azp_txn *t = azp_txn_take(o);
    int rc;

    (void)unused;
    if (!t)
        return NULL;
    rc = azp_perform_once(NULL, op_commit, t->txn);
    finish(t);
    azp_txn_give(t);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *rollback(PyObject *o, PyObject *unused)
{
    azp_txn *t = (azp_txn *)o;

    (void)unused;
    take_last(t, true);
    finish(t);
    azp_txn_give(t);
    return Py_NewRef(Py_None);
}

static PyObject *wrote(PyObject *o, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(atomic_load(&((azp_txn *)o)->wrote));
}

typedef struct making {
    azp_creation c;
    azr_array_text
        text; /* its documents, or all of it NULL: as `c.spec` says */
    azr_txn *txn;
    azr_array *made;
} making;

static int op_make(void *handle, void *arg, azr_error *err)
{
    making *k = arg;

    (void)handle;
    if (k->text.document)
        return azr_txn_create_from(k->txn, &k->made, k->c.path, &k->text,
                                   &k->c.options, err);
    return azr_txn_create_array(k->txn, &k->made, k->c.path, &k->c.spec,
                                &k->c.options, err);
}

static azp_array *make_in(azp_txn *t, making *k)
{
    const azr_open_options *o = &k->c.options;
    azp_array *a =
        azp_array_new(k->c.path, o->flags, AZR_SYNC_FULL, o->timeout_ms);

    k->txn = t->txn;
    if (!a || azp_perform_once(NULL, op_make, k) < 0) {
        Py_CLEAR(a);
        return NULL;
    }
    azp_pool_adopt(&a->pool, k->made);
    atomic_store(&a->rank, k->c.spec.rank);
    return a;
}

static PyObject *make(PyObject *o, making *k)
{
    azp_array *a = NULL;
    azp_txn *t = azp_txn_take(o);

    if (!t)
        return NULL;
    atomic_store(&t->wrote, true);
    a = make_in(t, k);
    azp_txn_give(t);
    return (PyObject *)a;
}

/* create_array(…) as _core.create_array, as a part of it → Array, which must live
 * longer than the transaction */
static PyObject *create_array(PyObject *o, PyObject *args)
{
    PyObject *made = NULL;
    making k;

    memset(&k, 0, sizeof k);
    if (azp_creation_parse(&k.c, args) == 0)
        made = make(o, &k);
    azp_creation_dispose(&k.c);
    return made;
}

/* create_from(path, timeout_ms, flags, zarr_format, document, attributes, rank,
 * durability) → Array */
static PyObject *create_from(PyObject *o, PyObject *args)
{
    const azr_array_text text = AZR_ARRAY_TEXT_INIT;
    const azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    PyObject *made = NULL;
    long long timeout;
    making k;

    memset(&k, 0, sizeof k);
    k.text = text;
    k.c.options = options;
    if (PyArg_ParseTuple(
            args, "O&LIiszii", PyUnicode_FSConverter, &k.c.path_object,
            &timeout, &k.c.options.flags, &k.text.zarr_format, &k.text.document,
            &k.text.attributes, &k.c.spec.rank, &k.text.durability)) {
        k.c.path = PyBytes_AsString(k.c.path_object);
        k.c.options.timeout_ms = timeout;
        k.c.options.flags |= AZR_OPEN_WRITE;
        made = make(o, &k);
    }
    azp_creation_dispose(&k.c);
    return made;
}

/* ------------------------------------------------------------------- run --- */

typedef struct body {
    PyObject *fn;
    azr_txn_options options;
} body;

/* Without the GIL, on the thread that called: take it for the body. */
static int on_run(azr_txn *txn, void *arg, azr_error *err)
{
    const body *b = arg;
    PyGILState_STATE gil = PyGILState_Ensure();
    azp_txn *t = new_txn(txn, true);
    PyObject *result = NULL;
    int rc = AZR_EINVAL;

    (void)err;
    if (t)
        result = PyObject_CallFunctionObjArgs(b->fn, (PyObject *)t, NULL);
    if (result)
        rc = PyObject_IsTrue(result) ? AZR_OK : AZR_ECONFLICT;
    if (t) {
        take_last(t, !result);
        finish(t);
        azp_txn_give(t);
    }
    Py_XDECREF(result);
    Py_XDECREF((PyObject *)t);
    PyGILState_Release(gil);
    return rc;
}

static int op_run(void *handle, void *arg, azr_error *err)
{
    const body *b = arg;

    (void)handle;
    return azr_txn_run(on_run, arg, &b->options, err);
}

/* run(fn, timeout_ms): fn(txn) returns True to commit, False to run again */
PyObject *azp_txn_run(PyObject *m, PyObject *args)
{
    long long timeout;
    body b;

    (void)m;
    if (!PyArg_ParseTuple(args, "OL", &b.fn, &timeout))
        return NULL;
    b.options = options_of(timeout);
    if (azp_perform(NULL, timeout, op_run, &b) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"commit", commit, METH_NOARGS, NULL},
    {"rollback", rollback, METH_NOARGS, NULL},
    {"wrote", wrote, METH_NOARGS, NULL},
    {"read_chunk", azp_txn_read_chunk, METH_VARARGS, NULL},
    {"write_chunk", azp_txn_write_chunk, METH_VARARGS, NULL},
    {"create_array", create_array, METH_VARARGS, NULL},
    {"create_from", create_from, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, AZP_FUNCTION(dealloc)},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec azp_txn_spec = {
    "atomiczarr._core.Txn", (int)sizeof(azp_txn), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
