/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Group: one group and the calls on it. */
#include "core.h"

typedef struct group {
    PyObject_HEAD azp_pool pool;
} group;

PyTypeObject *azp_group_type;

/* Groups keep nothing in memory, so they are opened again. */
static int derive(void **out, void *open, const azp_pool *p,
                  const azr_share_options *options, azr_error *err)
{
    azr_open_options o = p->options;
    azr_group *g = NULL;
    int rc;

    (void)open;
    o.timeout_ms = options->timeout_ms;
    o.cancel = options->cancel;
    rc = azr_group_open(&g, p->path, &o, err);
    if (rc == AZR_OK)
        *out = g;
    return rc;
}

static void close_handle(void *handle)
{
    azr_group_close(handle);
}

static const azp_kind g_kind = {derive, close_handle};

static void dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);

    azp_pool_dispose(&((group *)o)->pool);
    PyObject_Free(o);
    Py_DECREF(type);
}

typedef struct look {
    azr_group_info info;
    azr_group_spec spec;
    azr_open_options options;
    const char *path, *name, *json;
    char *text;
    PyObject *list; /* walk: what it found */
    int depth;
} look;

/* Of attributes, by name; NULL deletes. */
typedef struct changes {
    size_t n;
    const char **names, **values;
} changes;

static int op_info(void *handle, void *arg, azr_error *err)
{
    return azr_group_info_get(handle, &((look *)arg)->info, err);
}

static int op_create(void *handle, void *arg, azr_error *err)
{
    const look *l = arg;
    azr_group *g = NULL;
    int rc = azr_group_create(&g, l->path, &l->spec, &l->options, err);

    (void)handle;
    azr_group_close(g);
    return rc;
}

static int perform(PyObject *o, azp_op op, look *l)
{
    azp_pool *p = &((group *)o)->pool;

    return azp_perform(p, p->options.timeout_ms, op, l);
}

/* open_group(path, flags, timeout_ms) */
PyObject *azp_group_open(PyObject *m, PyObject *args)
{
    look l = {.info = {.struct_size = (uint32_t)sizeof l.info}};
    unsigned int flags;
    long long timeout;
    PyObject *path;
    group *self;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&IL", PyUnicode_FSConverter, &path, &flags,
                          &timeout))
        return NULL;
    self = PyObject_New(group, azp_group_type);
    if (!self) {
        Py_DECREF(path);
        return NULL;
    }
    rc = azp_pool_init(&self->pool, &g_kind, PyBytes_AsString(path), timeout);
    Py_DECREF(path);
    self->pool.options.flags = flags;
    if (rc < 0 || perform((PyObject *)self, op_info, &l) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* create_group(path, timeout_ms, flags, zarr_format, attributes) */
PyObject *azp_group_create(PyObject *m, PyObject *args)
{
    look l = {.spec = AZR_GROUP_SPEC_INIT, .options = AZR_OPEN_OPTIONS_INIT};
    long long timeout;
    PyObject *path;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&LIiz", PyUnicode_FSConverter, &path,
                          &timeout, &l.options.flags, &l.spec.zarr_format,
                          &l.spec.attributes))
        return NULL;
    l.path = PyBytes_AsString(path);
    l.options.timeout_ms = timeout;
    l.options.flags |= AZR_OPEN_WRITE;
    rc = azp_perform(NULL, timeout, op_create, &l);
    Py_DECREF(path);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* () → (zarr_format, consolidated) */
static PyObject *info(PyObject *o, PyObject *unused)
{
    look l = {.info = {.struct_size = (uint32_t)sizeof l.info}};

    (void)unused;
    if (perform(o, op_info, &l) < 0)
        return NULL;
    return Py_BuildValue("ii", l.info.zarr_format, l.info.consolidated);
}

static int op_attributes(void *handle, void *arg, azr_error *err)
{
    return azr_group_attributes(handle, &((look *)arg)->text, err);
}

static PyObject *attributes(PyObject *o, PyObject *unused)
{
    look l = {.text = NULL};
    PyObject *text;

    (void)unused;
    if (perform(o, op_attributes, &l) < 0)
        return NULL;
    text = PyUnicode_FromString(l.text);
    azr_free(l.text);
    return text;
}

static int op_attribute_set(void *handle, void *arg, azr_error *err)
{
    const look *l = arg;

    if (!l->name)
        return azr_group_attributes_replace(handle, l->json, err);
    return azr_group_attribute_set(handle, l->name, l->json, err);
}

/* attribute_set(name, json, timeout_ms); name None: replace all of them */
static PyObject *attribute_set(PyObject *o, PyObject *args)
{
    azp_pool *p = &((group *)o)->pool;
    look l = {.text = NULL};
    PyObject *timeout;
    int64_t ms;

    if (!PyArg_ParseTuple(args, "zzO", &l.name, &l.json, &timeout) ||
        azp_timeout(&ms, timeout, p->options.timeout_ms) < 0 ||
        azp_perform(p, ms, op_attribute_set, &l) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

/* A pair: its texts, which live as long as it does. 0 or -1. */
static int take_change(changes *c, PyObject *pair)
{
    if (!PyArg_ParseTuple(pair, "sz", &c->names[c->n], &c->values[c->n]))
        return -1;
    c->n++;
    return 0;
}

static int op_change(void *handle, void *arg, azr_error *err)
{
    const changes *c = arg;

    return azr_group_attributes_change(handle, c->n, c->names, c->values, err);
}

/* attributes_change([(name, json or None), …], timeout_ms): all of them at once. Of
 * the list as it is now, whoever changes it meanwhile. */
static PyObject *attributes_change(PyObject *o, PyObject *args)
{
    azp_pool *p = &((group *)o)->pool;
    PyObject *list, *pairs, *timeout;
    changes c = {.n = 0};
    Py_ssize_t n;
    int64_t ms;
    int rc = -1;

    if (!PyArg_ParseTuple(args, "OO", &list, &timeout) ||
        azp_timeout(&ms, timeout, p->options.timeout_ms) < 0)
        return NULL;
    pairs = PyList_AsTuple(list);
    if (!pairs)
        return NULL;
    n = PyTuple_Size(pairs);
    c.names = PyMem_Calloc((size_t)n + 1, sizeof *c.names);
    c.values = PyMem_Calloc((size_t)n + 1, sizeof *c.values);
    if (c.names && c.values)
        rc = 0;
    else
        PyErr_NoMemory();
    for (Py_ssize_t k = 0; k < n && rc == 0; k++)
        rc = take_change(&c, PyTuple_GetItem(pairs, k));
    if (rc == 0)
        rc = azp_perform(p, ms, op_change, &c);
    PyMem_Free((void *)c.names);
    PyMem_Free((void *)c.values);
    Py_DECREF(pairs);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static int op_consolidate(void *handle, void *arg, azr_error *err)
{
    (void)arg;
    return azr_group_consolidate(handle, err);
}

static PyObject *consolidate(PyObject *o, PyObject *unused)
{
    look l = {.text = NULL};

    (void)unused;
    return perform(o, op_consolidate, &l) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Without the GIL: take it for each node. */
static int on_node(const azr_node *node, void *arg)
{
    const look *l = arg;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *o = Py_BuildValue("siiis", node->path, node->kind,
                                node->zarr_format, node->status, node->text);
    int rc = o ? PyList_Append(l->list, o) : -1;

    Py_XDECREF(o);
    PyGILState_Release(gil);
    return rc < 0 ? AZR_ENOMEM : 0;
}

static int op_walk(void *handle, void *arg, azr_error *err)
{
    const look *l = arg;

    return azr_group_walk(handle, l->depth, on_node, arg, err);
}

/* walk(depth) → [(path, kind, zarr_format, status, text), …] */
static PyObject *walk(PyObject *o, PyObject *depth)
{
    look l = {.depth = (int)PyLong_AsLong(depth)};

    if (PyErr_Occurred())
        return NULL;
    l.list = PyList_New(0);
    if (l.list && perform(o, op_walk, &l) < 0)
        Py_CLEAR(l.list);
    return l.list;
}

static PyMethodDef methods[] = {
    {"info", info, METH_NOARGS, NULL},
    {"attributes", attributes, METH_NOARGS, NULL},
    {"attribute_set", attribute_set, METH_VARARGS, NULL},
    {"attributes_change", attributes_change, METH_VARARGS, NULL},
    {"consolidate", consolidate, METH_NOARGS, NULL},
    {"walk", walk, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, AZP_FUNCTION(dealloc)},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec azp_group_spec = {
    "atomiczarr._core.Group", (int)sizeof(group), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
