/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Snapshot: arrays as they were at one instant; copies of trees. */
#include "core.h"

typedef struct snapshot {
    PyObject_HEAD _Atomic(azr_snapshot *) s; /* NULL: removed */
    atomic_int users;                        /* calls on its arrays */
    atomic_bool closed;
    Py_ssize_t n;
    int64_t timeout_ms;
} snapshot;

PyTypeObject *azp_snapshot_type;

/* Its files go once it is closed and the last call has ended. */
static void remove_if_idle(snapshot *self)
{
    azr_snapshot *s = NULL;

    if (atomic_load(&self->closed) && atomic_load(&self->users) == 0)
        s = atomic_exchange(&self->s, NULL);
    if (!s)
        return;
    Py_BEGIN_ALLOW_THREADS azr_snapshot_close(s);
    Py_END_ALLOW_THREADS
}

int azp_snapshot_enter(PyObject *o)
{
    snapshot *self = (snapshot *)o;

    atomic_fetch_add(&self->users, 1);
    if (!atomic_load(&self->closed))
        return 0;
    azp_snapshot_leave(o);
    PyErr_SetString(PyExc_ValueError, "this snapshot is closed");
    return -1;
}

void azp_snapshot_leave(PyObject *o)
{
    atomic_fetch_sub(&((snapshot *)o)->users, 1);
    remove_if_idle((snapshot *)o);
}

static PyObject *close_it(PyObject *o, PyObject *unused)
{
    snapshot *self = (snapshot *)o;

    (void)unused;
    atomic_store(&self->closed, true);
    remove_if_idle(self);
    return Py_NewRef(Py_None);
}

static void dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);

    atomic_store(&((snapshot *)o)->closed, true);
    remove_if_idle((snapshot *)o);
    PyObject_Free(o);
    Py_DECREF(type);
}

/* ----------------------------------------------------------------- take --- */

typedef struct taking {
    azr_snapshot *out;
    azr_array **arrays;
    size_t n;
    azr_snapshot_options options;
    azp_told told;
} taking;

static int op_take(void *handle, void *arg, azr_error *err)
{
    taking *t = arg;

    (void)handle;
    t->options.cancel = azp_token();
    return azr_snapshot_take(&t->out, t->arrays, t->n, &t->options, err);
}

static PyObject *new_snapshot(const taking *t)
{
    snapshot *self = PyObject_New(snapshot, azp_snapshot_type);

    if (!self) {
        azr_snapshot_close(t->out);
        return NULL;
    }
    atomic_init(&self->s, t->out);
    atomic_init(&self->users, 0);
    atomic_init(&self->closed, false);
    self->n = (Py_ssize_t)t->n;
    self->timeout_ms = t->options.timeout_ms;
    return (PyObject *)self;
}

/* snapshot((array, …), flags, timeout_ms, directory or None, progress or None) */
PyObject *azp_snapshot_take(PyObject *m, PyObject *args)
{
    taking t = {.options = AZR_SNAPSHOT_OPTIONS_INIT};
    PyObject *arrays, *progress;
    long long timeout;
    Py_ssize_t n;
    int rc = 0;

    (void)m;
    if (!PyArg_ParseTuple(args, "OILzO", &arrays, &t.options.flags, &timeout,
                          &t.options.directory, &progress))
        return NULL;
    n = PyTuple_Size(arrays);
    if (n < 0)
        return NULL;
    t.options.timeout_ms = timeout;
    t.options.progress = azp_progress(progress, &t.options.arg, &t.told);
    t.arrays = PyMem_Calloc((size_t)n + 1, sizeof(void *));
    if (!t.arrays)
        return PyErr_NoMemory();
    for (Py_ssize_t k = 0; k < n && rc == 0; k++) {
        azp_array *a = azp_array_of(PyTuple_GetItem(arrays, k));

        if (a)
            t.arrays[t.n++] = azp_pool_any(&a->pool);
        else
            rc = -1;
    }
    if (rc == 0)
        rc = azp_perform(NULL, timeout, op_take, &t);
    PyMem_Free(t.arrays);
    return rc < 0 ? NULL : new_snapshot(&t);
}

/* --------------------------------------------------------------- arrays --- */

/* array(i) → Array, usable as long as the snapshot is open */
static PyObject *array_at(PyObject *o, PyObject *i)
{
    snapshot *self = (snapshot *)o;
    azr_share_options options = AZR_SHARE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    Py_ssize_t k = PyLong_AsSsize_t(i);
    azr_array *shared = NULL;
    azp_array *a = NULL;
    azr_snapshot *s;

    if ((k == -1 && PyErr_Occurred()) || azp_snapshot_enter(o) < 0)
        return NULL;
    s = atomic_load(&self->s);
    options.timeout_ms = self->timeout_ms;
    if (k < 0 || k >= self->n)
        PyErr_SetString(PyExc_IndexError, "no such array in this snapshot");
    else if (azr_array_share(&shared, azr_snapshot_array(s, (size_t)k),
                             &options, &err) < 0)
        azp_raise(&err);
    else
        a = azp_array_new(azr_snapshot_path(s, (size_t)k), 0, AZR_SYNC_FULL,
                          self->timeout_ms);
    if (a) {
        azp_pool_adopt(&a->pool, shared);
        a->pool.owner = Py_NewRef(o);
    } else {
        azr_array_close(shared);
    }
    azp_snapshot_leave(o);
    return (PyObject *)a;
}

/* path(i) → its directory */
static PyObject *path_at(PyObject *o, PyObject *i)
{
    snapshot *self = (snapshot *)o;
    Py_ssize_t k = PyLong_AsSsize_t(i);
    PyObject *path = NULL;

    if ((k == -1 && PyErr_Occurred()) || azp_snapshot_enter(o) < 0)
        return NULL;
    if (k < 0 || k >= self->n)
        PyErr_SetString(PyExc_IndexError, "no such array in this snapshot");
    else
        path = PyUnicode_DecodeFSDefault(
            azr_snapshot_path(atomic_load(&self->s), (size_t)k));
    azp_snapshot_leave(o);
    return path;
}

static PyMethodDef methods[] = {
    {"array", array_at, METH_O, NULL},
    {"path", path_at, METH_O, NULL},
    {"close", close_it, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, AZP_FUNCTION(dealloc)},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec azp_snapshot_spec = {
    "atomiczarr._core.Snapshot", (int)sizeof(snapshot), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

/* ----------------------------------------------------------------- copy --- */

typedef struct copying {
    const char *from, *to;
    azr_copy_options options;
    azr_copied copied;
    azp_told told;
} copying;

static int op_copy(void *handle, void *arg, azr_error *err)
{
    copying *c = arg;

    (void)handle;
    c->options.cancel = azp_token();
    return azr_copy(c->from, c->to, &c->options, &c->copied, err);
}

/* copy(from, to, timeout_ms, progress or None)
 * → (one_instant, arrays, groups, chunks, nbytes) */
PyObject *azp_copy(PyObject *m, PyObject *args)
{
    copying c = {.options = AZR_COPY_OPTIONS_INIT,
                 .copied = {.struct_size = (uint32_t)sizeof c.copied}};
    PyObject *from = NULL, *to = NULL, *progress;
    long long timeout;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&O&LO", PyUnicode_FSConverter, &from,
                          PyUnicode_FSConverter, &to, &timeout, &progress))
        return NULL;
    c.from = PyBytes_AsString(from);
    c.to = PyBytes_AsString(to);
    c.options.timeout_ms = timeout;
    c.options.progress = azp_progress(progress, &c.options.arg, &c.told);
    rc = azp_perform(NULL, timeout, op_copy, &c);
    Py_DECREF(from);
    Py_DECREF(to);
    if (rc < 0)
        return NULL;
    return Py_BuildValue("NKKKK", PyBool_FromLong(c.copied.one_instant),
                         (unsigned long long)c.copied.arrays,
                         (unsigned long long)c.copied.groups,
                         (unsigned long long)c.copied.chunks,
                         (unsigned long long)c.copied.nbytes);
}
