/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Array: one array and the calls on it. */
#include "core.h"

#include <stddef.h>
#include <string.h>

PyTypeObject *azp_array_type;

/* ------------------------------------------------------------------ open --- */

static int derive(void **out, void *open, const azp_pool *p,
                  const azr_share_options *options, azr_error *err)
{
    azr_open_options o = p->options;
    azr_array *a = NULL;
    int rc;

    if (open) {
        rc = azr_array_share(&a, open, options, err);
    } else {
        o.timeout_ms = options->timeout_ms;
        o.cancel = options->cancel;
        rc = azr_array_open(&a, p->path, &o, err);
    }
    if (rc == AZR_OK)
        *out = a;
    return rc;
}

static void close_handle(void *handle)
{
    azr_array_close(handle);
}

static const azp_kind g_kind = {derive, close_handle};

azp_array *azp_array_new(const char *path, unsigned int flags, int sync,
                         int64_t timeout_ms)
{
    azp_array *self = PyObject_New(azp_array, azp_array_type);

    if (!self)
        return NULL;
    if (azp_pool_init(&self->pool, &g_kind, path, timeout_ms) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    atomic_init(&self->rank, -1);
    self->pool.options.flags = flags;
    self->pool.options.sync = (uint32_t)sync;
    return self;
}

azp_array *azp_array_of(PyObject *o)
{
    if (o && Py_TYPE(o) == azp_array_type)
        return (azp_array *)o;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "need an array of this module");
    return NULL;
}

static void dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);

    azp_pool_dispose(&((azp_array *)o)->pool);
    PyObject_Free(o);
    Py_DECREF(type);
}

static int op_nothing(void *handle, void *arg, azr_error *err)
{
    (void)handle;
    (void)arg;
    (void)err;
    return AZR_OK;
}

/* open_array(path, flags, sync, timeout_ms) */
PyObject *azp_array_open(PyObject *m, PyObject *args)
{
    unsigned int flags;
    long long timeout;
    azp_array *self;
    PyObject *path;
    int sync;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&IiL", PyUnicode_FSConverter, &path, &flags,
                          &sync, &timeout))
        return NULL;
    self = azp_array_new(PyBytes_AsString(path), flags, sync, timeout);
    Py_DECREF(path);
    if (self && azp_perform(&self->pool, timeout, op_nothing, NULL) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* ------------------------------------------------------ reading, writing --- */

typedef struct transfer {
    azp_io io;
    azr_txn *txn;
    bool writing, filling, with_shape;
    int64_t shape[AZR_MAX_RANK]; /* of the array: it was that, or has to be */
} transfer;

static int in_transaction(const transfer *t, azr_array *a, azr_error *err)
{
    const azp_io *io = &t->io;

    if (t->filling)
        return azr_txn_fill(t->txn, a, &io->sel, io->view.buf,
                            (size_t)io->view.len, err);
    if (t->writing)
        return azr_txn_write_from(t->txn, a, &io->sel, &io->memory, err);
    return azr_txn_read_into(t->txn, a, &io->sel, &io->memory, err);
}

static int op_transfer(void *handle, void *arg, azr_error *err)
{
    transfer *t = arg;
    const azp_io *io = &t->io;
    azr_array *a = handle;

    if (t->txn)
        return in_transaction(t, a, err);
    if (t->filling)
        return azr_array_fill(a, &io->sel, io->view.buf, (size_t)io->view.len,
                              err);
    if (t->writing && t->with_shape)
        return azr_array_write_shape(a, &io->sel, &io->memory, t->shape, err);
    if (t->writing)
        return azr_array_write_from(a, &io->sel, &io->memory, err);
    if (t->with_shape)
        return azr_array_read_shape(a, &io->sel, &io->memory, t->shape, err);
    return azr_array_read_into(a, &io->sel, &io->memory, err);
}

/* Run `op` in a transaction, by its own time-out. */
static int perform_in(azp_array *self, PyObject *txn, azr_txn **out,
                      bool writing, azp_op op, void *arg)
{
    azp_txn *in = azp_txn_take(txn);
    int rc;

    if (!in)
        return -1;
    *out = in->txn;
    if (writing)
        atomic_store(&in->wrote, true);
    rc = azp_perform_once(&self->pool, op, arg);
    azp_txn_give(in);
    return rc;
}

/* selection, buffer, timeout_ms, transaction[, progress] */
static int move(azp_array *self, PyObject *const *args, Py_ssize_t n,
                transfer *t)
{
    int64_t ms;
    int rc = -1;

    if (n < 4 || n > 5) {
        PyErr_SetString(PyExc_TypeError,
                        "need selection, buffer, timeout_ms, transaction");
        return -1;
    }
    if (azp_timeout(&ms, args[2], self->pool.options.timeout_ms) == 0 &&
        azp_io_selection(&t->io, args[0]) == 0 &&
        azp_io_memory(&t->io, args[1], !t->writing) == 0) {
        if (args[3] != Py_None)
            rc = perform_in(self, args[3], &t->txn, t->writing, op_transfer, t);
        else
            rc = azp_perform_transfer(
                &self->pool, ms, n == 5 ? args[4] : Py_None, op_transfer, t);
    }
    azp_io_dispose(&t->io);
    return rc;
}

static PyObject *none_or(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *read_into(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t;

    memset(&t, 0, offsetof(transfer, shape));
    return none_or(move((azp_array *)o, args, n, &t));
}

/* The same, for a selection that was made of a shape: → that of the array when it
 * was read. */
static PyObject *read_shape(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    azp_array *self = (azp_array *)o;
    transfer t;

    memset(&t, 0, offsetof(transfer, shape));
    t.with_shape = true;
    if (move(self, args, n, &t) < 0)
        return NULL;
    return azp_tuple(t.shape, t.io.sel.rank);
}

/* … progress[, shape]: the array must have it, unless it is None */
static PyObject *write_from(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t;
    int rank;

    memset(&t, 0, offsetof(transfer, shape));
    t.writing = true;
    if (n == 6) {
        t.with_shape = args[5] != Py_None;
        if (t.with_shape && azp_numbers(t.shape, args[5], &rank) < 0)
            return NULL;
        n = 5;
    }
    return none_or(move((azp_array *)o, args, n, &t));
}

static PyObject *fill(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t;

    memset(&t, 0, offsetof(transfer, shape));
    t.writing = t.filling = true;
    return none_or(move((azp_array *)o, args, n, &t));
}

/* ---------------------------------------------------------------- update --- */

typedef struct body {
    azp_io io;
    PyObject *fn;
    bool with_shape;
    int64_t shape[AZR_MAX_RANK]; /* that the array has to have */
} body;

/* Without the GIL, on the thread that called: take it for the body. */
static int on_update(void *values, size_t nbytes, void *arg)
{
    const body *c = arg;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *view, *result = NULL;
    int rc = AZR_ECANCELED;

    view = PyMemoryView_FromMemory(values, (Py_ssize_t)nbytes, PyBUF_WRITE);
    if (view)
        result = PyObject_CallFunctionObjArgs(c->fn, view, NULL);
    if (result)
        rc = AZR_OK;
    Py_XDECREF(result);
    Py_XDECREF(view);
    PyGILState_Release(gil);
    return rc;
}

static int op_update(void *handle, void *arg, azr_error *err)
{
    body *c = arg;

    if (c->with_shape)
        return azr_array_update_shape(handle, &c->io.sel, c->shape, on_update,
                                      c, err);
    return azr_array_update(handle, &c->io.sel, on_update, c, err);
}

/* update(selection, fn, timeout_ms, shape): fn(memoryview) changes the bytes; the
 * array must have the shape, unless it is None */
static PyObject *update(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *selection, *timeout, *shape;
    body c = {.fn = NULL};
    int rank, rc = -1;
    int64_t ms;

    if (!PyArg_ParseTuple(args, "OOOO", &selection, &c.fn, &timeout, &shape) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    c.with_shape = shape != Py_None;
    if (c.with_shape && azp_numbers(c.shape, shape, &rank) < 0)
        return NULL;
    if (azp_io_selection(&c.io, selection) == 0)
        rc = azp_perform(&self->pool, ms, op_update, &c);
    azp_io_dispose(&c.io);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* --------------------------------------------------------------- reshape --- */

typedef struct reshape {
    azp_io io;
    azr_txn *txn;
    int64_t shape[AZR_MAX_RANK], offset;
    int rank, axis;
} reshape;

static int op_resize(void *handle, void *arg, azr_error *err)
{
    const reshape *r = arg;

    if (r->txn)
        return azr_txn_resize(r->txn, handle, r->rank, r->shape, err);
    return azr_array_resize(handle, r->rank, r->shape, err);
}

/* Within `ms`, or as a part of `txn`. */
static int change(azp_array *self, PyObject *txn, azr_txn **out, int64_t ms,
                  azp_op op, void *arg)
{
    if (txn != Py_None)
        return perform_in(self, txn, out, true, op, arg);
    return azp_perform(&self->pool, ms, op, arg);
}

/* resize(shape, timeout_ms, transaction) */
static PyObject *resize(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *shape, *timeout, *txn;
    reshape r = {.rank = 0};
    int64_t ms;

    if (!PyArg_ParseTuple(args, "OOO", &shape, &timeout, &txn) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0 ||
        azp_numbers(r.shape, shape, &r.rank) < 0)
        return NULL;
    return none_or(change(self, txn, &r.txn, ms, op_resize, &r));
}

static int op_append(void *handle, void *arg, azr_error *err)
{
    reshape *r = arg;
    const Py_buffer *v = &r->io.view;

    if (r->txn)
        return azr_txn_append(r->txn, handle, r->axis, v->shape[r->axis],
                              v->buf, (size_t)v->len, &r->offset, err);
    return azr_array_append(handle, r->axis, v->shape[r->axis], v->buf,
                            (size_t)v->len, &r->offset, err);
}

/* The buffer has the array's rank, and lies in C order. 0 or -1. */
static int take_appended(azp_io *io, PyObject *buffer, int axis)
{
    if (azp_io_memory(io, buffer, false) < 0 || azp_io_dense(io) < 0)
        return -1;
    if (axis >= 0 && axis < io->view.ndim)
        return 0;
    PyErr_SetString(PyExc_ValueError, "append: no such axis");
    return -1;
}

/* append(axis, buffer, timeout_ms, transaction) → offset */
static PyObject *append(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *buffer, *timeout, *txn;
    reshape r = {.rank = 0};
    int64_t ms;
    int rc = -1;

    if (!PyArg_ParseTuple(args, "iOOO", &r.axis, &buffer, &timeout, &txn) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    if (take_appended(&r.io, buffer, r.axis) == 0)
        rc = change(self, txn, &r.txn, ms, op_append, &r);
    azp_io_dispose(&r.io);
    return rc < 0 ? NULL : PyLong_FromLongLong(r.offset);
}

typedef struct several {
    azr_append_part *parts;
    azp_io *ios;
    size_t n;
    int64_t timeout_ms;
} several;

static int op_append_all(void *handle, void *arg, azr_error *err)
{
    several *s = arg;
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    (void)handle;
    o.timeout_ms = s->timeout_ms;
    o.cancel = azp_token();
    return azr_append_all(s->parts, s->n, &o, err);
}

static int take_part(several *s, PyObject *item)
{
    azr_append_part *p = &s->parts[s->n];
    azp_io *io = &s->ios[s->n++]; /* to be disposed of from here on */
    PyObject *o, *buffer;
    azp_array *a;
    int axis;

    if (!PyArg_ParseTuple(item, "OiO", &o, &axis, &buffer))
        return -1;
    a = azp_array_of(o);
    if (!a || take_appended(io, buffer, axis) < 0)
        return -1;
    *p = (azr_append_part)AZR_APPEND_PART_INIT;
    p->array = azp_pool_any(&a->pool);
    p->axis = axis;
    p->length = io->view.shape[axis];
    p->src = io->view.buf;
    p->src_nbytes = (size_t)io->view.len;
    return 0;
}

static PyObject *offsets_of(const several *s)
{
    PyObject *t = PyTuple_New((Py_ssize_t)s->n);

    for (size_t k = 0; t && k < s->n; k++) {
        PyObject *n = PyLong_FromLongLong(s->parts[k].offset);

        if (!n || PyTuple_SetItem(t, (Py_ssize_t)k, n) < 0)
            Py_CLEAR(t);
    }
    return t;
}

/* append_all(((array, axis, buffer), …), timeout_ms) → offsets */
PyObject *azp_append_all(PyObject *m, PyObject *args)
{
    PyObject *items, *result = NULL;
    several s = {.n = 0};
    long long timeout;
    Py_ssize_t n;
    int rc = 0;

    (void)m;
    if (!PyArg_ParseTuple(args, "OL", &items, &timeout))
        return NULL;
    n = PyTuple_Size(items);
    if (n < 0)
        return NULL;
    s.timeout_ms = timeout;
    s.parts = PyMem_Calloc((size_t)n + 1, sizeof *s.parts);
    s.ios = PyMem_Calloc((size_t)n + 1, sizeof *s.ios);
    if (!s.parts || !s.ios) {
        PyErr_NoMemory();
        rc = -1;
    }
    for (Py_ssize_t k = 0; k < n && rc == 0; k++)
        rc = take_part(&s, PyTuple_GetItem(items, k));
    if (rc == 0)
        rc = azp_perform(NULL, timeout, op_append_all, &s);
    if (rc == 0)
        result = offsets_of(&s);
    for (size_t k = 0; k < s.n; k++)
        azp_io_dispose(&s.ios[k]);
    PyMem_Free(s.ios);
    PyMem_Free(s.parts);
    return result;
}

/* ------------------------------------------------------------ attributes --- */

typedef struct attribute {
    const char *name, *json;
    azr_txn *txn;
    char *text;
    int dimension;
} attribute;

static int op_attributes(void *handle, void *arg, azr_error *err)
{
    attribute *a = arg;

    if (a->txn)
        return azr_txn_attributes(a->txn, handle, &a->text, err);
    return azr_array_attributes(handle, &a->text, err);
}

static int op_attribute_set(void *handle, void *arg, azr_error *err)
{
    const attribute *a = arg;

    if (a->txn)
        return azr_txn_set_attribute(a->txn, handle, a->name, a->json, err);
    return azr_array_attribute_set(handle, a->name, a->json, err);
}

static int op_dimension_name(void *handle, void *arg, azr_error *err)
{
    attribute *a = arg;

    return azr_array_dimension_name(handle, a->dimension, &a->text, err);
}

static PyObject *take_text(int rc, attribute *a)
{
    PyObject *text = NULL;

    if (rc == 0)
        text = a->text ? PyUnicode_FromString(a->text) : Py_NewRef(Py_None);
    azr_free(a->text);
    return text;
}

/* attributes(transaction) → JSON */
static PyObject *attributes(PyObject *o, PyObject *txn)
{
    azp_array *self = (azp_array *)o;
    attribute a = {.text = NULL};
    int rc;

    if (txn != Py_None)
        rc = perform_in(self, txn, &a.txn, false, op_attributes, &a);
    else
        rc = azp_perform(&self->pool, self->pool.options.timeout_ms,
                         op_attributes, &a);
    return take_text(rc, &a);
}

static PyObject *dimension_name(PyObject *o, PyObject *arg)
{
    azp_array *self = (azp_array *)o;
    attribute a = {.dimension = (int)PyLong_AsLong(arg)};

    if (PyErr_Occurred())
        return NULL;
    return take_text(azp_perform(&self->pool, self->pool.options.timeout_ms,
                                 op_dimension_name, &a),
                     &a);
}

/* attribute_set(name, json or None, timeout_ms, transaction) */
static PyObject *attribute_set(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    attribute a = {.text = NULL};
    PyObject *timeout, *txn;
    int64_t ms;

    if (!PyArg_ParseTuple(args, "szOO", &a.name, &a.json, &timeout, &txn) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    return none_or(change(self, txn, &a.txn, ms, op_attribute_set, &a));
}

/* ------------------------------------------------------------------ watch --- */

static int op_wait(void *handle, void *arg, azr_error *err)
{
    return azr_array_wait(handle, arg, err);
}

/* wait(version, timeout_ms) → the next version */
static PyObject *wait_for(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    unsigned long long known;
    PyObject *timeout;
    uint64_t version;
    int64_t ms;

    if (!PyArg_ParseTuple(args, "KO", &known, &timeout) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    version = known;
    if (azp_perform(&self->pool, ms, op_wait, &version) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(version);
}

/* ------------------------------------------------------------ inspection --- */

typedef struct look {
    azr_array_info info;
    azr_txn *txn;
    int64_t shape[AZR_MAX_RANK];
    uint64_t chunks, nbytes;
    int durability;
} look;

static int op_info(void *handle, void *arg, azr_error *err)
{
    return azr_array_info_get(handle, &((look *)arg)->info, err);
}

static int op_shape(void *handle, void *arg, azr_error *err)
{
    look *l = arg;
    int rc;

    if (l->txn && l->info.rank >= 0)
        return azr_txn_shape(l->txn, handle, l->shape, err);
    rc = azr_array_info_get(handle, &l->info, err);
    if (rc < 0)
        return rc;
    if (l->txn)
        return azr_txn_shape(l->txn, handle, l->shape, err);
    memcpy(l->shape, l->info.shape, sizeof l->shape);
    return AZR_OK;
}

/* shape(transaction) */
static PyObject *shape(PyObject *o, PyObject *txn)
{
    azp_array *self = (azp_array *)o;
    look l = {.info = {.struct_size = (uint32_t)sizeof l.info}};
    int rc;

    l.info.rank = atomic_load(&self->rank);
    if (txn != Py_None)
        rc = perform_in(self, txn, &l.txn, false, op_shape, &l);
    else
        rc = azp_perform_transfer(&self->pool, self->pool.options.timeout_ms,
                                  Py_None, op_shape, &l);
    if (rc < 0)
        return NULL;
    atomic_store(&self->rank, l.info.rank);
    return azp_tuple(l.shape, l.info.rank);
}

static PyObject *info(PyObject *o, PyObject *unused)
{
    azp_array *self = (azp_array *)o;
    look l = {.info = {.struct_size = (uint32_t)sizeof l.info}};
    const azr_array_info *i = &l.info;

    (void)unused;
    if (azp_perform(&self->pool, self->pool.options.timeout_ms, op_info, &l) <
        0)
        return NULL;
    return Py_BuildValue(
        "{si si sN sN si sC sC sC sN si si sK ss ss}", "zarr_format",
        i->zarr_format, "dtype", i->dtype, "shape",
        azp_tuple(i->shape, i->rank), "chunks", azp_tuple(i->chunks, i->rank),
        "big_endian", i->big_endian, "order", i->order ? i->order : 'C',
        "separator", i->separator ? i->separator : '/', "key_encoding",
        i->key_encoding ? i->key_encoding : ' ', "fill",
        i->has_fill
            ? PyBytes_FromStringAndSize((const char *)i->fill,
                                        (Py_ssize_t)azr_dtype_nbytes(i->dtype))
            : Py_NewRef(Py_None),
        "durability", i->durability, "has_state", i->has_state, "chunk_count",
        (unsigned long long)i->chunk_count, "codecs", i->codecs, "opaque",
        i->opaque);
}

static int op_usage(void *handle, void *arg, azr_error *err)
{
    look *l = arg;

    return azr_array_usage(handle, &l->chunks, &l->nbytes, err);
}

static PyObject *usage(PyObject *o, PyObject *unused)
{
    azp_array *self = (azp_array *)o;
    look l = {.chunks = 0};

    (void)unused;
    if (azp_perform(&self->pool, self->pool.options.timeout_ms, op_usage, &l) <
        0)
        return NULL;
    return Py_BuildValue("KK", (unsigned long long)l.chunks,
                         (unsigned long long)l.nbytes);
}

static int op_durability(void *handle, void *arg, azr_error *err)
{
    return azr_array_set_durability(handle, ((look *)arg)->durability, err);
}

static PyObject *set_durability(PyObject *o, PyObject *arg)
{
    azp_array *self = (azp_array *)o;
    look l = {.durability = (int)PyLong_AsLong(arg)};

    if (PyErr_Occurred() ||
        azp_perform(&self->pool, self->pool.options.timeout_ms, op_durability,
                    &l) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

/* Without the GIL: take it for each snapshot. */
static int on_snapshot(const azr_snapshot_info *i, void *arg)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *o =
        Py_BuildValue("{ss sN si sI sL ss sK sK sK}", "id", i->id, "alive",
                      PyBool_FromLong(i->alive), "pid", i->pid, "uid", i->uid,
                      "start_time_ns", (long long)i->start_time_ns, "host",
                      i->host, "objects", (unsigned long long)i->objects,
                      "nbytes", (unsigned long long)i->nbytes, "kept_nbytes",
                      (unsigned long long)i->kept_nbytes);
    int rc = o ? PyList_Append(arg, o) : -1;

    Py_XDECREF(o);
    PyGILState_Release(gil);
    return rc < 0 ? AZR_ENOMEM : 0;
}

static int op_snapshots(void *handle, void *arg, azr_error *err)
{
    return azr_array_snapshots(handle, on_snapshot, arg, err);
}

/* snapshots() → [{…}, …] */
static PyObject *snapshots(PyObject *o, PyObject *unused)
{
    azp_array *self = (azp_array *)o;
    PyObject *list = PyList_New(0);

    (void)unused;
    if (list && azp_perform(&self->pool, self->pool.options.timeout_ms,
                            op_snapshots, list) < 0)
        Py_CLEAR(list);
    return list;
}

static PyMethodDef methods[] = {
    {"read", AZP_METHOD(read_into), METH_FASTCALL, NULL},
    {"write", AZP_METHOD(write_from), METH_FASTCALL, NULL},
    {"put", AZP_METHOD(azp_array_put), METH_FASTCALL, NULL},
    {"read_shape", AZP_METHOD(read_shape), METH_FASTCALL, NULL},
    {"fill", AZP_METHOD(fill), METH_FASTCALL, NULL},
    {"update", update, METH_VARARGS, NULL},
    {"resize", resize, METH_VARARGS, NULL},
    {"append", append, METH_VARARGS, NULL},
    {"wait", wait_for, METH_VARARGS, NULL},
    {"attributes", attributes, METH_O, NULL},
    {"attribute_set", attribute_set, METH_VARARGS, NULL},
    {"dimension_name", dimension_name, METH_O, NULL},
    {"shape", shape, METH_O, NULL},
    {"info", info, METH_NOARGS, NULL},
    {"usage", usage, METH_NOARGS, NULL},
    {"set_durability", set_durability, METH_O, NULL},
    {"snapshots", snapshots, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, AZP_FUNCTION(dealloc)},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec azp_array_spec = {
    "atomiczarr._core.Array", (int)sizeof(azp_array), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
