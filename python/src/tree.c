/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as wholes, for a store. */
#include "core.h"

typedef struct whole {
    const char *from, *to;
    azr_tree_options options;
    int (*fn)(const char *from, const char *to, const azr_tree_options *options,
              azr_error *err);
} whole;

static int op_whole(void *handle, void *arg, azr_error *err)
{
    whole *w = arg;

    (void)handle;
    w->options.cancel = azp_token();
    return w->fn(w->from, w->to, &w->options, err);
}

/* (from, to, flags, timeout_ms) */
static PyObject *two_places(PyObject *args, whole *w)
{
    PyObject *from, *to;
    long long timeout;
    int rc;

    if (!PyArg_ParseTuple(args, "O&O&IL", PyUnicode_FSConverter, &from,
                          PyUnicode_FSConverter, &to, &w->options.flags,
                          &timeout))
        return NULL;
    w->from = PyBytes_AsString(from);
    w->to = PyBytes_AsString(to);
    w->options.timeout_ms = timeout;
    rc = azp_perform(NULL, timeout, op_whole, w);
    Py_DECREF(from);
    Py_DECREF(to);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* tree_move(from, to, flags, timeout_ms) */
PyObject *azp_tree_move(PyObject *m, PyObject *args)
{
    whole w = {.options = AZR_TREE_OPTIONS_INIT, .fn = azr_move};

    (void)m;
    return two_places(args, &w);
}

/* tree_replace(from, to, flags, timeout_ms) */
PyObject *azp_tree_replace(PyObject *m, PyObject *args)
{
    whole w = {.options = AZR_TREE_OPTIONS_INIT, .fn = azr_replace};

    (void)m;
    return two_places(args, &w);
}
