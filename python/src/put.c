/* SPDX-License-Identifier: Apache-2.0 */
/* The common assignment, z[integers and slices] = values of the array's own type,
 * without a detour by Python. */
#include "core.h"

#include <string.h>

static PyObject *g_dtype; /* the name */

int azp_put_start(void)
{
    if (!g_dtype)
        g_dtype = PyUnicode_InternFromString("dtype");
    return g_dtype ? 0 : -1;
}

typedef struct put {
    azp_io io;
    azp_plan plan;
    int64_t shape[AZR_MAX_RANK]; /* that the selection was made of */
} put;

/* azr_array_write_shape sees to what depends on the shape: it must be ours still.
 * One value fits any. */
static int op_put(void *handle, void *arg, azr_error *err)
{
    put *p = arg;
    const azp_io *io = &p->io;

    if (io->view.ndim == 0)
        return azr_array_fill(handle, &io->sel, io->view.buf,
                              (size_t)io->view.len, err);
    if (p->plan.exact)
        return azr_array_write_from(handle, &io->sel, &io->memory, err);
    return azr_array_write_shape(handle, &io->sel, &io->memory, p->shape, err);
}

static bool has_shape(const Py_buffer *v, const int64_t *shape, int ndim)
{
    if (v->ndim != ndim)
        return false;
    for (int d = 0; d < ndim; d++) {
        if (v->shape[d] != shape[d])
            return false;
    }
    return true;
}

/* One value, or as many as are selected: then the memory gets the dimensions that
 * integers have left out. */
static bool fits(put *p)
{
    const azp_plan *plan = &p->plan;
    azr_memory *m = &p->io.memory;
    int from = plan->kept;

    if (p->io.view.ndim == 0)
        return true;
    if (!has_shape(&p->io.view, plan->shape, plan->kept))
        return false;
    for (int d = plan->rank - 1; d >= 0; d--)
        m->strides[d] = plan->keeps[d] ? m->strides[--from] : 0;
    m->rank = plan->rank;
    return true;
}

/* Has it the array's own data type, and memory? NumPy has one object for each of
 * the types that there are. */
static bool take_values(put *p, PyObject *values, PyObject *dtype)
{
    PyObject *its = PyObject_GetAttr(values, g_dtype);
    bool taken = its == dtype && azp_io_memory(&p->io, values, false) == 0;

    Py_XDECREF(its);
    if (!taken)
        PyErr_Clear();
    return taken;
}

/* 1: done; 0: it does not fit, perhaps the present shape; -1. */
static int write_now(azp_array *self, put *p)
{
    azp_plan_select(&p->io.sel, &p->plan);
    if (azp_perform_transfer(&self->pool, self->pool.options.timeout_ms,
                             Py_None, op_put, p) >= 0)
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_IndexError))
        return -1;
    PyErr_Clear();
    return 0;
}

/* put(selection, values, shape, dtype) → is it done? False: not so simple. */
PyObject *azp_array_put(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    int ndim, done = 0;
    put p;

    if (n != 4) {
        PyErr_SetString(PyExc_TypeError,
                        "need selection, values, shape, dtype");
        return NULL;
    }
    p.io.view.obj = p.io.points.obj = NULL;
    if (azp_numbers(p.shape, args[2], &ndim) < 0)
        return NULL;
    if (ndim > 0 && azp_plan_make(&p.plan, args[0], p.shape, ndim) &&
        !p.plan.empty && take_values(&p, args[1], args[3]) && fits(&p))
        done = write_now((azp_array *)o, &p);
    azp_io_dispose(&p.io);
    return done < 0 ? NULL : PyBool_FromLong(done);
}
