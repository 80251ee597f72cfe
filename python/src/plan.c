/* SPDX-License-Identifier: Apache-2.0 */
/* The common selections, of integers and slices, without a detour by Python. What
 * is not one of them, or is wrong, is left to ../atomiczarr/_selection.py. */
#include "core.h"

#include <string.h>

static int64_t at_least(int64_t x, int64_t low)
{
    return x < low ? low : x;
}

static int64_t at_most(int64_t x, int64_t high)
{
    return x > high ? high : x;
}

static bool add_slice(azp_plan *p, PyObject *item, int64_t n)
{
    Py_ssize_t from, to, by;
    int64_t first, end;
    int d = p->rank++;

    if (PySlice_Unpack(item, &from, &to, &by) < 0) {
        PyErr_Clear();
        return false;
    }
    if (by < 1)
        return false;
    p->from[d] = from;
    p->to[d] = to;
    p->by[d] = by;
    first = from < 0 ? at_least(from + n, 0) : at_most(from, n);
    end = to < 0 ? at_least(to + n, 0) : at_most(to, n);
    p->start[d] = first;
    p->step[d] = by;
    p->count[d] = end > first ? (end - first - 1) / by + 1 : 0;
    p->keeps[d] = true;
    p->shape[p->kept++] = p->count[d];
    p->empty |= p->count[d] == 0;
    p->exact &= from >= 0 && to >= 0 && to <= n;
    return true;
}

static bool add_integer(azp_plan *p, PyObject *item, int64_t n)
{
    int overflow = 0;
    int64_t i = PyLong_AsLongLongAndOverflow(item, &overflow);
    int64_t at = i < 0 ? i + n : i;
    int d = p->rank++;

    if (overflow || at < 0 || at >= n)
        return false;
    p->keeps[d] = false;
    p->from[d] = i;
    p->to[d] = p->by[d] = 0;
    p->start[d] = at;
    p->count[d] = p->step[d] = 1;
    p->exact &= i >= 0;
    return true;
}

static bool add_item(azp_plan *p, PyObject *item, const int64_t *shape,
                     int ndim)
{
    if (p->rank == ndim)
        return false;
    if (PySlice_Check(item))
        return add_slice(p, item, shape[p->rank]);
    return PyLong_CheckExact(item) && add_integer(p, item, shape[p->rank]);
}

static bool add_whole(azp_plan *p, const int64_t *shape, int until)
{
    while (p->rank < until) {
        int d = p->rank++;

        p->start[d] = p->from[d] = 0;
        p->to[d] = INT64_MAX;
        p->step[d] = p->by[d] = 1;
        p->keeps[d] = true;
        p->count[d] = p->shape[p->kept++] = shape[d];
        p->empty |= shape[d] == 0;
        p->exact = false;
    }
    return true;
}

bool azp_plan_make(azp_plan *p, PyObject *selection, const int64_t *shape,
                   int ndim)
{
    Py_ssize_t n;

    p->rank = p->kept = 0;
    p->exact = true;
    p->empty = false;
    if (selection == Py_Ellipsis)
        return add_whole(p, shape, ndim);
    if (!PyTuple_CheckExact(selection))
        return add_item(p, selection, shape, ndim) && add_whole(p, shape, ndim);
    n = PyTuple_Size(selection);
    for (Py_ssize_t k = 0; k < n; k++) {
        PyObject *item = PyTuple_GetItem(selection, k);

        if (item == Py_Ellipsis && k == n - 1)
            break;
        if (!add_item(p, item, shape, ndim))
            return false;
    }
    return add_whole(p, shape, ndim);
}

void azp_plan_select(azr_selection *sel, const azp_plan *p)
{
    size_t nbytes = (size_t)p->rank * sizeof *p->start;

    memset(sel, 0, sizeof *sel);
    sel->struct_size = (uint32_t)sizeof *sel;
    sel->kind = p->exact ? AZR_SELECT_BOX : AZR_SELECT_SLICES;
    sel->rank = p->rank;
    memcpy(sel->start, p->exact ? p->start : p->from, nbytes);
    memcpy(sel->count, p->exact ? p->count : p->to, nbytes);
    memcpy(sel->step, p->exact ? p->step : p->by, nbytes);
}

static PyObject *selection_of(int kind, const int64_t *a, const int64_t *b,
                              const int64_t *c, int n)
{
    return Py_BuildValue("iNNN", kind, azp_tuple(a, n), azp_tuple(b, n),
                         azp_tuple(c, n));
}

/*
 * plan(selection, shape) → None, or (box, the same with the bounds of the commit,
 * counts, shape of the result, is it exact?)
 */
PyObject *azp_plan_of(PyObject *m, PyObject *const *args, Py_ssize_t n)
{
    azp_plan p;
    int64_t shape[AZR_MAX_RANK];
    PyObject *box, *open;
    int ndim;

    (void)m;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "need selection and shape");
        return NULL;
    }
    if (azp_numbers(shape, args[1], &ndim) < 0)
        return NULL;
    if (ndim == 0 || !azp_plan_make(&p, args[0], shape, ndim) || p.empty)
        return Py_NewRef(Py_None);
    box = selection_of(AZR_SELECT_BOX, p.start, p.count, p.step, ndim);
    open = p.exact ? Py_XNewRef(box)
                   : selection_of(AZR_SELECT_SLICES, p.from, p.to, p.by, ndim);
    return Py_BuildValue("NNNNN", box, open, azp_tuple(p.count, ndim),
                         azp_tuple(p.shape, p.kept), PyBool_FromLong(p.exact));
}
