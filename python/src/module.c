/* SPDX-License-Identifier: Apache-2.0 */
/* The module atomiczarr._core: its functions, types and numbers. */
#include "core.h"

_Atomic(PyObject *) azp_error_factory;

/* What was there before stays: another thread may just be calling it. */
static PyObject *set_error_factory(PyObject *m, PyObject *fn)
{
    (void)m;
    atomic_store(&azp_error_factory, Py_NewRef(fn));
    return Py_NewRef(Py_None);
}

typedef struct place {
    const char *path;
    int kind, format;
} place;

static int op_node_at(void *handle, void *arg, azr_error *err)
{
    place *p = arg;

    (void)handle;
    return azr_node_at(&p->kind, &p->format, p->path, err);
}

/* node_at(path) → (kind, zarr_format) */
static PyObject *node_at(PyObject *m, PyObject *args)
{
    place p = {NULL, 0, 0};
    PyObject *path;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &path))
        return NULL;
    p.path = PyBytes_AsString(path);
    rc = azp_perform(NULL, -1, op_node_at, &p);
    Py_DECREF(path);
    return rc < 0 ? NULL : Py_BuildValue("ii", p.kind, p.format);
}

typedef struct document {
    const char *path, *key;
    char *text;
} document;

static int op_node_document(void *handle, void *arg, azr_error *err)
{
    document *d = arg;

    (void)handle;
    return azr_node_document(&d->text, d->path, d->key, err);
}

/* node_document(path, key) → bytes */
static PyObject *node_document(PyObject *m, PyObject *args)
{
    document d = {NULL, NULL, NULL};
    PyObject *path, *text;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&s", PyUnicode_FSConverter, &path, &d.key))
        return NULL;
    d.path = PyBytes_AsString(path);
    rc = azp_perform(NULL, -1, op_node_document, &d);
    Py_DECREF(path);
    if (rc < 0)
        return NULL;
    text = PyBytes_FromString(d.text);
    azr_free(d.text);
    return text;
}

typedef struct removal {
    const char *path;
    azr_tree_options options;
} removal;

static int op_remove(void *handle, void *arg, azr_error *err)
{
    removal *r = arg;

    (void)handle;
    r->options.cancel = azp_token();
    return azr_remove(r->path, &r->options, err);
}

/* remove(path, flags, timeout_ms): a node, with all that is below it */
static PyObject *remove_node(PyObject *m, PyObject *args)
{
    removal r = {.options = AZR_TREE_OPTIONS_INIT};
    long long timeout;
    PyObject *path;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "O&IL", PyUnicode_FSConverter, &path,
                          &r.options.flags, &timeout))
        return NULL;
    r.path = PyBytes_AsString(path);
    r.options.timeout_ms = timeout;
    rc = azp_perform(NULL, timeout, op_remove, &r);
    Py_DECREF(path);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *set_threads(PyObject *m, PyObject *n)
{
    long threads = PyLong_AsLong(n);

    (void)m;
    if (PyErr_Occurred())
        return NULL;
    azr_set_threads(threads > 1024 ? 1024 : (int)threads);
    return Py_NewRef(Py_None);
}

static PyObject *status_name(PyObject *m, PyObject *n)
{
    long status = PyLong_AsLong(n);

    (void)m;
    if (PyErr_Occurred())
        return NULL;
    return PyUnicode_FromString(azr_status_name((int)status));
}

static PyMethodDef functions[] = {
    {"open_array", azp_array_open, METH_VARARGS, NULL},
    {"create_array", azp_array_create, METH_VARARGS, NULL},
    {"open_group", azp_group_open, METH_VARARGS, NULL},
    {"create_group", azp_group_create, METH_VARARGS, NULL},
    {"begin", azp_txn_begin, METH_VARARGS, NULL},
    {"run", azp_txn_run, METH_VARARGS, NULL},
    {"append_all", azp_append_all, METH_VARARGS, NULL},
    {"snapshot", azp_snapshot_take, METH_VARARGS, NULL},
    {"copy", azp_copy, METH_VARARGS, NULL},
    {"cancel", azp_cancel_new, METH_NOARGS, NULL},
    {"call_with", azp_call_with, METH_VARARGS, NULL},
    {"remove", remove_node, METH_VARARGS, NULL},
    {"plan", AZP_METHOD(azp_plan_of), METH_FASTCALL, NULL},
    {"join", AZP_METHOD(azp_join), METH_FASTCALL, NULL},
    {"tree_move", azp_tree_move, METH_VARARGS, NULL},
    {"tree_replace", azp_tree_replace, METH_VARARGS, NULL},
    {"node_at", node_at, METH_VARARGS, NULL},
    {"node_document", node_document, METH_VARARGS, NULL},
    {"set_threads", set_threads, METH_O, NULL},
    {"status_name", status_name, METH_O, NULL},
    {"set_error_factory", set_error_factory, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int add_type(PyObject *m, PyTypeObject **out, PyType_Spec *spec)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(m, spec, NULL);
    return *out ? PyModule_AddType(m, *out) : -1;
}

static int add_constants(PyObject *m)
{
    static const struct {
        const char *name;
        long value;
    } all[] = {
        {"OPEN_WRITE", AZR_OPEN_WRITE},
        {"OPEN_INSIST", AZR_OPEN_INSIST},
        {"OPEN_WRITE_EMPTY", AZR_OPEN_WRITE_EMPTY},
        {"OPEN_READ_UNLOCKED", AZR_OPEN_READ_UNLOCKED},
        {"OPEN_IMPLIED", AZR_OPEN_IMPLIED},
        {"OPEN_OPAQUE", AZR_OPEN_OPAQUE},
        {"SNAPSHOT_COPY", AZR_SNAPSHOT_COPY},
        {"CREATE_REPLACE", AZR_CREATE_REPLACE},
        {"TREE_RECURSIVE", AZR_TREE_RECURSIVE},
        {"TREE_FORCE", AZR_TREE_FORCE},
        {"TREE_INSIST", AZR_TREE_INSIST},
        {"SELECT_BOX", AZR_SELECT_BOX},
        {"SELECT_POINTS", AZR_SELECT_POINTS},
        {"SELECT_SLICES", AZR_SELECT_SLICES},
        {"NODE_ARRAY", AZR_NODE_ARRAY},
        {"NODE_GROUP", AZR_NODE_GROUP},
        {"NODE_DIRECTORY", AZR_NODE_DIRECTORY},
        {"MAX_RANK", AZR_MAX_RANK},
        {"TIMEOUT_DEFAULT_MS", AZR_TIMEOUT_DEFAULT_MS},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (PyModule_AddIntConstant(m, all[i].name, all[i].value) < 0)
            return -1;
    }
    return 0;
}

static int execute(PyObject *m)
{
    if (azp_signals_start() < 0 || azp_put_start() < 0 ||
        add_type(m, &azp_array_type, &azp_array_spec) < 0 ||
        add_type(m, &azp_group_type, &azp_group_spec) < 0 ||
        add_type(m, &azp_txn_type, &azp_txn_spec) < 0 ||
        add_type(m, &azp_snapshot_type, &azp_snapshot_spec) < 0 ||
        add_type(m, &azp_cancel_type, &azp_cancel_spec) < 0 ||
        add_constants(m) < 0)
        return -1;
    return PyModule_AddStringConstant(m, "version", azr_version());
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, AZP_FUNCTION(execute)},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_core", NULL, 0,   functions,
    module_slots,          NULL,    NULL, NULL};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&module);
}
