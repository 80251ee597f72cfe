/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zarr hands a selection over chunk by chunk. Mostly the parts are those of one box:
 * found here, since there may be thousands.
 */
#include "core.h"

#include <string.h>

/* One dimension, of a chunk's part or of all so far: element i of the result is
 * base + i * step of the array, from low to high. */
typedef struct line {
    bool keeps; /* no integer: it is in the result */
    int64_t base, step, low, high;
} line;

typedef struct joiner {
    int rank;
    int64_t chunks[AZR_MAX_RANK];
    int64_t coords[AZR_MAX_RANK]; /* of the last chunk */
    line lines[AZR_MAX_RANK];
    int64_t size;                  /* elements so far */
    const char *above, *separator; /* "group/array/", "/" */
    Py_ssize_t above_nbytes;
    long lead;
    bool begun;
} joiner;

/* A number of at most 18 digits; the place behind it, or NULL. */
static const char *take_number(int64_t *out, const char *s)
{
    const char *began = s;
    int64_t n = 0;

    while (*s >= '0' && *s <= '9' && s - began < 18)
        n = n * 10 + (*s++ - '0');
    *out = n;
    return s == began ? NULL : s;
}

/* Coordinates out of the chunk's key: "c/0/1", "0.1". In C order the chunks follow
 * each other, so that none comes twice. */
static bool take_coords(joiner *j, PyObject *place)
{
    PyObject *path = PyObject_GetAttrString(place, "path");
    const char *s = path ? PyUnicode_AsUTF8AndSize(path, NULL) : NULL;
    size_t n = (size_t)j->above_nbytes;
    bool later = !j->begun, ok = s && strncmp(s, j->above, n) == 0;

    j->begun = true;
    s = ok ? s + n : NULL;
    if (ok && j->lead > 0 && j->rank > 0) {
        ok = s[0] == 'c' && s[1] == *j->separator;
        s += 2;
    }
    for (int d = 0; ok && d < j->rank; d++) {
        int64_t c;

        s = take_number(&c, s);
        ok = s && (later || c >= j->coords[d]) &&
             *s++ == (d + 1 < j->rank ? *j->separator : '\0');
        later |= ok && c > j->coords[d];
        j->coords[d] = c;
    }
    Py_XDECREF(path);
    PyErr_Clear();
    return ok && later;
}

static bool part_of_slice(line *p, PyObject *chosen, PyObject *into, int64_t c,
                          int64_t n)
{
    Py_ssize_t first, stop, step, low, high, by, count;

    if (!PySlice_Check(into) ||
        PySlice_Unpack(chosen, &first, &stop, &step) < 0 ||
        PySlice_Unpack(into, &low, &high, &by) < 0) {
        PyErr_Clear();
        return false;
    }
    count = PySlice_AdjustIndices((Py_ssize_t)n, &first, &stop, step);
    if (step < 1 || by != 1 || low < 0 || low > INT64_MAX / 2 / step ||
        c > INT64_MAX / 2 / n ||
        (high != PY_SSIZE_T_MAX && high - low != count))
        return false;
    p->keeps = true;
    p->base = c * n + first - step * low;
    p->step = step;
    p->low = low;
    p->high = low + count;
    return true;
}

static bool part_of_integer(line *p, PyObject *chosen, int64_t c, int64_t n)
{
    int overflow = 0;
    int64_t i;

    if (!PyLong_CheckExact(chosen) || c > INT64_MAX / 2 / n)
        return false;
    i = PyLong_AsLongLongAndOverflow(chosen, &overflow);
    if (overflow || i < 0 || i >= n)
        return false;
    p->keeps = false;
    p->base = c * n + i;
    p->step = 1;
    p->low = 0;
    p->high = 1;
    return true;
}

static bool add_part(line *l, const line *p, bool first)
{
    if (first) {
        *l = *p;
        return true;
    }
    if (l->keeps != p->keeps || l->base != p->base || l->step != p->step)
        return false;
    l->low = p->low < l->low ? p->low : l->low;
    l->high = p->high > l->high ? p->high : l->high;
    return true;
}

/* Item k of what may be a tuple; NULL: there are fewer. Borrowed. */
static PyObject *item_of(PyObject *o, Py_ssize_t k)
{
    if (!PyTuple_Check(o))
        return k == 0 ? o : NULL;
    return k < PyTuple_Size(o) ? PyTuple_GetItem(o, k) : NULL;
}

/* (place, spec, selection in the chunk, selection in the result, …) */
static bool add_chunk(joiner *j, PyObject *item)
{
    bool first = !j->begun;
    PyObject *chosen, *into;
    Py_ssize_t k = 0;
    int64_t size = 1;

    if (!PyTuple_Check(item) || PyTuple_Size(item) < 4 ||
        !take_coords(j, PyTuple_GetItem(item, 0)))
        return false;
    chosen = PyTuple_GetItem(item, 2);
    into = PyTuple_GetItem(item, 3);
    for (int d = 0; d < j->rank; d++) {
        PyObject *s = item_of(chosen, d);
        line p;

        if (!s)
            return false;
        if (PySlice_Check(s)) {
            PyObject *at = item_of(into, k++);

            if (!at || !part_of_slice(&p, s, at, j->coords[d], j->chunks[d]))
                return false;
        } else if (!part_of_integer(&p, s, j->coords[d], j->chunks[d])) {
            return false;
        }
        if (!add_part(&j->lines[d], &p, first) ||
            __builtin_mul_overflow(size, p.high - p.low, &size))
            return false;
    }
    return !item_of(chosen, j->rank) && !item_of(into, k) &&
           !__builtin_add_overflow(j->size, size, &j->size);
}

/* Of different chunks' parts no two have an element in common: as many elements as
 * the hull has fill it. */
static bool fills_hull(const joiner *j)
{
    int64_t size = 1;

    for (int d = 0; d < j->rank; d++) {
        const line *l = &j->lines[d];

        if (__builtin_mul_overflow(size, l->high - l->low, &size))
            return false;
    }
    return size == j->size;
}

/* ((start, count, step), (low or None, …)): None for integers */
static PyObject *box_of(const joiner *j)
{
    PyObject *lows = PyTuple_New(j->rank);
    int64_t start[AZR_MAX_RANK], count[AZR_MAX_RANK], step[AZR_MAX_RANK];

    for (int d = 0; d < j->rank; d++) {
        const line *l = &j->lines[d];
        PyObject *low =
            l->keeps ? PyLong_FromLongLong(l->low) : Py_NewRef(Py_None);

        start[d] = l->base + l->step * l->low;
        count[d] = l->high - l->low;
        step[d] = l->step;
        if (!lows)
            Py_XDECREF(low);
        else if (!low || PyTuple_SetItem(lows, d, low) < 0)
            Py_CLEAR(lows);
    }
    return Py_BuildValue("NNNN", azp_tuple(start, j->rank),
                         azp_tuple(count, j->rank), azp_tuple(step, j->rank),
                         lows);
}

static bool is_one_box(joiner *j, PyObject *items)
{
    Py_ssize_t n = PyTuple_Size(items);

    for (int d = 0; d < j->rank; d++) {
        if (j->chunks[d] <= 0)
            return false;
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        if (!add_chunk(j, PyTuple_GetItem(items, k)))
            return false;
    }
    return n > 0 && fills_hull(j);
}

/*
 * join(batch, above, lead, separator, chunks) → (start, count, step, lows) of one
 * box, or None: they are not that. Keys stand behind `above` in a path, and begin with
 * "c" if `lead` is not 0. Of dimensions that integers leave out `lows` has None.
 */
PyObject *azp_join(PyObject *m, PyObject *const *args, Py_ssize_t n)
{
    joiner j = {.begun = false};
    PyObject *items, *joined;

    (void)m;
    if (n != 5 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "need list, above, lead, separator, chunks");
        return NULL;
    }
    j.lead = PyLong_AsLong(args[2]);
    j.separator = PyUnicode_AsUTF8AndSize(args[3], NULL);
    if (PyErr_Occurred())
        return NULL;
    j.above = PyUnicode_AsUTF8AndSize(args[1], &j.above_nbytes);
    if (!j.above) { /* a name that is no UTF-8 */
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    if (azp_numbers(j.chunks, args[4], &j.rank) < 0)
        return NULL;
    items = PyList_AsTuple(args[0]);
    if (!items)
        return NULL;
    joined = is_one_box(&j, items) ? box_of(&j) : Py_NewRef(Py_None);
    Py_DECREF(items);
    return joined;
}
