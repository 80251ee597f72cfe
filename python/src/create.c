/* SPDX-License-Identifier: Apache-2.0 */
/* New arrays, by themselves and in a transaction. */
#include "core.h"

#include <string.h>

static int take_names(azp_creation *c, PyObject *names)
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

int azp_creation_parse(azp_creation *c, PyObject *args)
{
    const azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    const azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    PyObject *shape, *chunks, *names;
    int order, separator, encoding, n = 0;
    azr_array_spec *s = &c->spec;
    long long timeout;

    memset(c, 0, sizeof *c);
    c->spec = spec;
    c->options = options;
    if (!PyArg_ParseTuple(args, AZP_CREATION_ARGUMENTS, PyUnicode_FSConverter,
                          &c->path_object, &timeout, &c->options.flags,
                          &s->zarr_format, &s->dtype, &shape, &chunks,
                          &s->big_endian, &order, &separator, &encoding,
                          &s->codecs, &s->fill_value, &s->attributes, &names,
                          &s->durability))
        return -1;
    c->path = PyBytes_AsString(c->path_object);
    c->options.timeout_ms = timeout;
    c->options.flags |= AZR_OPEN_WRITE;
    s->order = (char)order;
    s->separator = separator == ' ' ? 0 : (char)separator;
    s->key_encoding = encoding == ' ' ? 0 : (char)encoding;
    if (azp_numbers(s->shape, shape, &s->rank) < 0 ||
        azp_numbers(s->chunks, chunks, &n) < 0)
        return -1;
    return take_names(c, names);
}

void azp_creation_dispose(azp_creation *c)
{
    Py_CLEAR(c->path_object);
}

static int op_create(void *handle, void *arg, azr_error *err)
{
    azp_creation *c = arg;
    azr_array *a = NULL;
    int rc;

    (void)handle;
    c->options.cancel = azp_token();
    rc = azr_array_create(&a, c->path, &c->spec, &c->options, err);
    azr_array_close(a);
    return rc;
}

/* create_array(path, timeout_ms, flags, zarr_format, dtype, shape, chunks,
 * big_endian, order, separator, key_encoding, codecs, fill_value, attributes,
 * dimension_names, durability) */
PyObject *azp_array_create(PyObject *m, PyObject *args)
{
    azp_creation c;
    int rc = azp_creation_parse(&c, args);

    (void)m;
    if (rc == 0)
        rc = azp_perform(NULL, c.options.timeout_ms, op_create, &c);
    azp_creation_dispose(&c);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}
