/* SPDX-License-Identifier: Apache-2.0 */
/* Tuples and buffers as selections and memory. */
#include "core.h"

#include <string.h>

int azp_numbers(int64_t *p, PyObject *tuple, int *n_out)
{
    Py_ssize_t n = PyTuple_Size(tuple);

    if (n < 0)
        return -1;
    if (n > AZR_MAX_RANK) {
        PyErr_Format(PyExc_ValueError,
                     "%zd dimensions, at most %d are possible", n,
                     AZR_MAX_RANK);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        p[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
        if (p[i] == -1 && PyErr_Occurred())
            return -1;
    }
    *n_out = (int)n;
    return 0;
}

PyObject *azp_tuple(const int64_t *p, int n)
{
    PyObject *t = PyTuple_New(n);

    for (int i = 0; t && i < n; i++) {
        PyObject *o = PyLong_FromLongLong(p[i]);

        if (!o || PyTuple_SetItem(t, i, o) < 0) {
            Py_DECREF(t);
            return NULL;
        }
    }
    return t;
}

static int points(azp_io *io, PyObject *coords)
{
    azr_selection *s = &io->sel;

    if (PyObject_GetBuffer(coords, &io->points, PyBUF_C_CONTIGUOUS) < 0)
        return -1;
    if (io->points.ndim != 2 ||
        io->points.itemsize != (Py_ssize_t)sizeof(int64_t) ||
        io->points.shape[1] > AZR_MAX_RANK) {
        PyErr_SetString(PyExc_ValueError, "points: need n × rank of int64");
        return -1;
    }
    *s = azr_select_points((int)io->points.shape[1], io->points.buf,
                           (size_t)io->points.shape[0]);
    return 0;
}

int azp_io_selection(azp_io *io, PyObject *selection)
{
    PyObject *start, *count, *step;
    int kind, n = 0;

    if (!PyTuple_Check(selection) || PyTuple_Size(selection) != 4) {
        PyErr_SetString(PyExc_TypeError, "a selection is a tuple of four");
        return -1;
    }
    kind = (int)PyLong_AsLong(PyTuple_GetItem(selection, 0));
    start = PyTuple_GetItem(selection, 1);
    count = PyTuple_GetItem(selection, 2);
    step = PyTuple_GetItem(selection, 3);
    if (kind == -1 && PyErr_Occurred())
        return -1;
    if (kind == AZR_SELECT_POINTS)
        return points(io, start);
    memset(&io->sel, 0, sizeof io->sel);
    io->sel.struct_size = (uint32_t)sizeof io->sel;
    io->sel.kind = (uint32_t)kind;
    if (azp_numbers(io->sel.start, start, &io->sel.rank) < 0 ||
        azp_numbers(io->sel.count, count, &n) < 0)
        return -1;
    if (n == io->sel.rank && azp_numbers(io->sel.step, step, &n) < 0)
        return -1;
    if (n == io->sel.rank)
        return 0;
    PyErr_SetString(PyExc_ValueError, "a selection of several lengths");
    return -1;
}

int azp_io_memory(azp_io *io, PyObject *buffer, bool writable)
{
    azr_memory *m = &io->memory;
    Py_ssize_t low = 0, high = 0;
    char *base;

    if (PyObject_GetBuffer(buffer, &io->view,
                           writable ? PyBUF_STRIDED : PyBUF_STRIDED_RO) < 0)
        return -1;
    memset(m, 0, sizeof *m);
    if (io->view.ndim > AZR_MAX_RANK) {
        PyErr_Format(PyExc_ValueError, "%d dimensions, at most %d are possible",
                     io->view.ndim, AZR_MAX_RANK);
        return -1;
    }
    for (int d = 0; d < io->view.ndim; d++) {
        Py_ssize_t reach = (io->view.shape[d] - 1) * io->view.strides[d];

        m->strides[d] = io->view.strides[d];
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    base = io->view.buf;
    m->struct_size = (uint32_t)sizeof *m;
    m->rank = io->view.ndim;
    m->data = base + low;
    m->offset = (size_t)-low;
    m->nbytes = io->view.len > 0 ? (size_t)(high - low + io->view.itemsize) : 0;
    return 0;
}

int azp_io_dense(const azp_io *io)
{
    if (PyBuffer_IsContiguous(&io->view, 'C'))
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    "in a transaction memory must be C-contiguous");
    return -1;
}

void azp_io_dispose(azp_io *io)
{
    if (io->view.obj)
        PyBuffer_Release(&io->view);
    if (io->points.obj)
        PyBuffer_Release(&io->points);
}
