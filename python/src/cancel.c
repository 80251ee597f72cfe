/* SPDX-License-Identifier: Apache-2.0 */
/* _core.Cancel: a token that ends the wait of another thread. */
#include "core.h"

typedef struct cancel {
    PyObject_HEAD azr_cancel *c;
} cancel;

PyTypeObject *azp_cancel_type;

/* Of what this thread calls now; of nobody else's. */
static _Thread_local azr_cancel *t_cancel;

azr_cancel *azp_thread_cancel(void)
{
    return t_cancel;
}

static void dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);

    azr_cancel_free(((cancel *)o)->c);
    PyObject_Free(o);
    Py_DECREF(type);
}

/* cancel() → Cancel */
PyObject *azp_cancel_new(PyObject *m, PyObject *unused)
{
    cancel *self = PyObject_New(cancel, azp_cancel_type);

    (void)m;
    (void)unused;
    if (!self)
        return NULL;
    self->c = NULL;
    if (azr_cancel_new(&self->c) == 0)
        return (PyObject *)self;
    Py_DECREF(self);
    return PyErr_NoMemory();
}

static PyObject *request(PyObject *o, PyObject *unused)
{
    (void)unused;
    azr_cancel_request(((cancel *)o)->c);
    return Py_NewRef(Py_None);
}

/* call_with(cancel, fn) → fn(), whose waits the token ends; not on the main thread */
PyObject *azp_call_with(PyObject *m, PyObject *args)
{
    azr_cancel *before = t_cancel;
    PyObject *o, *fn, *result;

    (void)m;
    if (!PyArg_ParseTuple(args, "OO", &o, &fn))
        return NULL;
    if (Py_TYPE(o) != azp_cancel_type) {
        PyErr_SetString(PyExc_TypeError, "need a token");
        return NULL;
    }
    t_cancel = ((cancel *)o)->c;
    result = PyObject_CallFunctionObjArgs(fn, NULL);
    t_cancel = before;
    return result;
}

static PyMethodDef methods[] = {
    {"request", request, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, AZP_FUNCTION(dealloc)},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec azp_cancel_spec = {
    "atomiczarr._core.Cancel", (int)sizeof(cancel), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
