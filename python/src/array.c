/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Array: one array and the calls on it. */
#include "core.h"

#include <string.h>

PyTypeObject *azp_array_type;

/* ------------------------------------------------------- open and create --- */

static int open_handle(void **out, const char *path,
                       const azr_open_options *options, azr_error *err)
{
    azr_array *a = NULL;
    int rc = azr_array_open(&a, path, options, err);

    if (rc == AZR_OK)
        *out = a;
    return rc;
}

static void close_handle(void *handle)
{
    azr_array_close(handle);
}

static azp_array *new_array(const char *path, unsigned int flags, int sync,
                            int64_t timeout_ms)
{
    azp_array *self = PyObject_New(azp_array, azp_array_type);

    if (!self)
        return NULL;
    memset(&self->pool, 0, sizeof self->pool);
    self->pool.open = open_handle;
    self->pool.close = close_handle;
    if (azp_pool_init(&self->pool, path, timeout_ms) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->pool.options.flags = flags;
    self->pool.options.sync = (uint32_t)sync;
    return self;
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
    self = new_array(PyBytes_AsString(path), flags, sync, timeout);
    Py_DECREF(path);
    if (self && azp_perform(&self->pool, timeout, op_nothing, NULL) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

typedef struct creation {
    const char *path, *names[AZR_MAX_RANK];
    azr_array_spec spec;
    azr_open_options options;
} creation;

static int op_create(void *handle, void *arg, azr_error *err)
{
    const creation *c = arg;
    azr_array *a = NULL;
    int rc = azr_array_create(&a, c->path, &c->spec, &c->options, err);

    (void)handle;
    azr_array_close(a);
    return rc;
}

static int take_names(creation *c, PyObject *names)
{
    if (names == Py_None)
        return 0;
    if (PyTuple_Size(names) != c->spec.rank) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError,
                            "dimension_names: need one for each dimension");
        return -1;
    }
    for (int d = 0; d < c->spec.rank; d++) {
        PyObject *name = PyTuple_GetItem(names, d);

        if (name != Py_None && name)
            c->names[d] = PyUnicode_AsUTF8AndSize(name, NULL);
        if (PyErr_Occurred())
            return -1;
    }
    c->spec.dimension_names = c->names;
    return 0;
}

/* create_array(path, timeout_ms, zarr_format, dtype, shape, chunks, big_endian,
 * order, separator, key_encoding, codecs, fill_value, attributes,
 * dimension_names, durability) */
PyObject *azp_array_create(PyObject *m, PyObject *args)
{
    creation c = {.spec = AZR_ARRAY_SPEC_INIT,
                  .options = AZR_OPEN_OPTIONS_INIT};
    PyObject *path, *shape, *chunks, *names;
    int order, separator, encoding, n = 0, rc = -1;
    azr_array_spec *s = &c.spec;
    long long timeout;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&LiiOOiCCCzzzOi", PyUnicode_FSConverter,
                          &path, &timeout, &s->zarr_format, &s->dtype, &shape,
                          &chunks, &s->big_endian, &order, &separator,
                          &encoding, &s->codecs, &s->fill_value, &s->attributes,
                          &names, &s->durability))
        return NULL;
    c.path = PyBytes_AsString(path);
    c.options.timeout_ms = timeout;
    c.options.flags = AZR_OPEN_WRITE;
    s->order = (char)order;
    s->separator = separator == ' ' ? 0 : (char)separator;
    s->key_encoding = encoding == ' ' ? 0 : (char)encoding;
    if (azp_numbers(s->shape, shape, &s->rank) == 0 &&
        azp_numbers(s->chunks, chunks, &n) == 0 && take_names(&c, names) == 0)
        rc = azp_perform(NULL, timeout, op_create, &c);
    Py_DECREF(path);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* ------------------------------------------------------ reading, writing --- */

typedef struct transfer {
    azp_io io;
    azr_txn *txn;
    bool writing, filling;
} transfer;

static int op_transfer(void *handle, void *arg, azr_error *err)
{
    const transfer *t = arg;
    const azp_io *io = &t->io;
    azr_array *a = handle;

    if (t->filling)
        return azr_array_fill(a, &io->sel, io->view.buf, (size_t)io->view.len,
                              err);
    if (t->txn && t->writing)
        return azr_txn_write(t->txn, a, &io->sel, io->view.buf,
                             (size_t)io->view.len, err);
    if (t->txn)
        return azr_txn_read(t->txn, a, &io->sel, io->view.buf,
                            (size_t)io->view.len, err);
    if (t->writing)
        return azr_array_write_from(a, &io->sel, &io->memory, err);
    return azr_array_read_into(a, &io->sel, &io->memory, err);
}

/* Without a transaction: within `timeout`. In one: by its own time-out, and the
 * handle that it always has on this thread. */
static int perform(azp_array *self, transfer *t, PyObject *timeout,
                   PyObject *txn)
{
    azp_txn *in = NULL;
    int64_t ms;
    int rc;

    if (azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return -1;
    if (txn != Py_None) {
        in = azp_txn_take(txn);
        if (!in)
            return -1;
        t->txn = in->txn;
        in->wrote |= t->writing;
        ms = self->pool.options.timeout_ms;
    }
    if (!in)
        return azp_perform(&self->pool, ms, op_transfer, t);
    rc = azp_perform_once(&self->pool, ms, op_transfer, t);
    azp_txn_give(in);
    return rc;
}

static PyObject *move(PyObject *o, PyObject *const *args, Py_ssize_t n,
                      transfer *t)
{
    int rc = -1;

    if (n != 4) {
        PyErr_SetString(PyExc_TypeError,
                        "need selection, buffer, timeout_ms, transaction");
        return NULL;
    }
    if (azp_io_selection(&t->io, args[0]) == 0 &&
        azp_io_memory(&t->io, args[1], !t->writing) == 0 &&
        (args[3] == Py_None || azp_io_dense(&t->io) == 0))
        rc = perform((azp_array *)o, t, args[2], args[3]);
    azp_io_dispose(&t->io);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *read_into(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t = {.writing = false};

    return move(o, args, n, &t);
}

static PyObject *write_from(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t = {.writing = true};

    return move(o, args, n, &t);
}

static PyObject *fill(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    transfer t = {.writing = true, .filling = true};

    if (n == 4 && args[3] != Py_None) {
        PyErr_SetString(PyExc_ValueError, "no fill in a transaction");
        return NULL;
    }
    return move(o, args, n, &t);
}

/* ---------------------------------------------------------------- update --- */

typedef struct change {
    azp_io io;
    PyObject *fn;
} change;

/* Without the GIL, on the thread that called: take it for the body. */
static int on_update(void *values, size_t nbytes, void *arg)
{
    const change *c = arg;
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
    change *c = arg;

    return azr_array_update(handle, &c->io.sel, on_update, c, err);
}

/* update(selection, fn, timeout_ms): fn(memoryview) changes the bytes */
static PyObject *update(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *selection, *timeout;
    change c = {.fn = NULL};
    int64_t ms;
    int rc = -1;

    if (!PyArg_ParseTuple(args, "OOO", &selection, &c.fn, &timeout) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    if (azp_io_selection(&c.io, selection) == 0)
        rc = azp_perform(&self->pool, ms, op_update, &c);
    azp_io_dispose(&c.io);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* --------------------------------------------------------------- reshape --- */

typedef struct reshape {
    azp_io io;
    int64_t shape[AZR_MAX_RANK], offset;
    int rank, axis;
} reshape;

static int op_resize(void *handle, void *arg, azr_error *err)
{
    const reshape *r = arg;

    return azr_array_resize(handle, r->rank, r->shape, err);
}

static PyObject *resize(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *shape, *timeout;
    reshape r = {.rank = 0};
    int64_t ms;

    if (!PyArg_ParseTuple(args, "OO", &shape, &timeout) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0 ||
        azp_numbers(r.shape, shape, &r.rank) < 0 ||
        azp_perform(&self->pool, ms, op_resize, &r) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

static int op_append(void *handle, void *arg, azr_error *err)
{
    reshape *r = arg;
    const Py_buffer *v = &r->io.view;

    return azr_array_append(handle, r->axis, v->shape[r->axis], v->buf,
                            (size_t)v->len, &r->offset, err);
}

/* append(axis, buffer, timeout_ms) → offset; the buffer has the array's rank */
static PyObject *append(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    PyObject *buffer, *timeout;
    reshape r = {.rank = 0};
    int64_t ms;
    int rc = -1;

    if (!PyArg_ParseTuple(args, "iOO", &r.axis, &buffer, &timeout) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0)
        return NULL;
    if (azp_io_memory(&r.io, buffer, false) == 0 && azp_io_dense(&r.io) == 0) {
        if (r.axis >= 0 && r.axis < r.io.view.ndim)
            rc = azp_perform(&self->pool, ms, op_append, &r);
        else
            PyErr_SetString(PyExc_ValueError, "append: no such axis");
    }
    azp_io_dispose(&r.io);
    return rc < 0 ? NULL : PyLong_FromLongLong(r.offset);
}

/* ------------------------------------------------------------ attributes --- */

typedef struct attribute {
    const char *name, *json;
    char *text;
    int dimension;
} attribute;

static int op_attributes(void *handle, void *arg, azr_error *err)
{
    return azr_array_attributes(handle, &((attribute *)arg)->text, err);
}

static int op_attribute_set(void *handle, void *arg, azr_error *err)
{
    const attribute *a = arg;

    return azr_array_attribute_set(handle, a->name, a->json, err);
}

static int op_dimension_name(void *handle, void *arg, azr_error *err)
{
    attribute *a = arg;

    return azr_array_dimension_name(handle, a->dimension, &a->text, err);
}

static PyObject *text_of(azp_array *self, azp_op op, attribute *a)
{
    PyObject *text;

    if (azp_perform(&self->pool, self->pool.options.timeout_ms, op, a) < 0)
        return NULL;
    text = a->text ? PyUnicode_FromString(a->text) : Py_NewRef(Py_None);
    azr_free(a->text);
    return text;
}

static PyObject *attributes(PyObject *o, PyObject *unused)
{
    attribute a = {.text = NULL};

    (void)unused;
    return text_of((azp_array *)o, op_attributes, &a);
}

static PyObject *dimension_name(PyObject *o, PyObject *arg)
{
    attribute a = {.dimension = (int)PyLong_AsLong(arg)};

    if (PyErr_Occurred())
        return NULL;
    return text_of((azp_array *)o, op_dimension_name, &a);
}

/* attribute_set(name, json or None, timeout_ms) */
static PyObject *attribute_set(PyObject *o, PyObject *args)
{
    azp_array *self = (azp_array *)o;
    attribute a = {.text = NULL};
    PyObject *timeout;
    int64_t ms;

    if (!PyArg_ParseTuple(args, "szO", &a.name, &a.json, &timeout) ||
        azp_timeout(&ms, timeout, self->pool.options.timeout_ms) < 0 ||
        azp_perform(&self->pool, ms, op_attribute_set, &a) < 0)
        return NULL;
    return Py_NewRef(Py_None);
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
    int rc = azr_array_info_get(handle, &l->info, err);

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
    azp_txn *in = NULL;
    int rc;

    if (txn != Py_None) {
        in = azp_txn_take(txn);
        if (!in)
            return NULL;
        l.txn = in->txn;
    }
    rc = azp_perform(&self->pool, self->pool.options.timeout_ms, op_shape, &l);
    if (in)
        azp_txn_give(in);
    return rc < 0 ? NULL : azp_tuple(l.shape, l.info.rank);
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

static PyMethodDef methods[] = {
    {"read", AZP_METHOD(read_into), METH_FASTCALL, NULL},
    {"write", AZP_METHOD(write_from), METH_FASTCALL, NULL},
    {"fill", AZP_METHOD(fill), METH_FASTCALL, NULL},
    {"update", update, METH_VARARGS, NULL},
    {"resize", resize, METH_VARARGS, NULL},
    {"append", append, METH_VARARGS, NULL},
    {"attributes", attributes, METH_NOARGS, NULL},
    {"attribute_set", attribute_set, METH_VARARGS, NULL},
    {"dimension_name", dimension_name, METH_O, NULL},
    {"shape", shape, METH_O, NULL},
    {"info", info, METH_NOARGS, NULL},
    {"usage", usage, METH_NOARGS, NULL},
    {"set_durability", set_durability, METH_O, NULL},
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
