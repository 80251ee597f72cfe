/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of one array or group, and calls on them. */
#include "core.h"

#include <string.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int azp_raise(const azr_error *err)
{
    PyObject *e;

    if (PyErr_Occurred())
        return -1;
    e = PyObject_CallFunction(azp_error_factory, "iiis", err->code, err->sub,
                              err->sys_errno, err->message);
    if (e)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
    return -1;
}

int azp_timeout(int64_t *out, PyObject *o, int64_t otherwise)
{
    *out = otherwise;
    if (o == Py_None)
        return 0;
    *out = PyLong_AsLongLong(o);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

int azp_pool_init(azp_pool *p, const char *path, int64_t timeout_ms)
{
    const azr_open_options defaults = AZR_OPEN_OPTIONS_INIT;
    size_t nbytes = strlen(path) + 1;

    p->options = defaults;
    p->options.timeout_ms = timeout_ms;
    p->path = PyMem_Malloc(nbytes);
    if (!p->path) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(p->path, path, nbytes);
    return 0;
}

void azp_pool_dispose(azp_pool *p)
{
    for (int i = 0; i < p->count; i++)
        p->close(p->entries[i].handle);
    p->count = 0;
    PyMem_Free(p->path);
    p->path = NULL;
}

static void *find(const azp_pool *p, int64_t timeout_ms, bool main)
{
    for (int i = 0; i < p->count; i++) {
        if (p->entries[i].timeout_ms == timeout_ms &&
            p->entries[i].main == main)
            return p->entries[i].handle;
    }
    return NULL;
}

/* One call, and the handle that it uses. */
typedef struct call {
    azp_pool *pool;
    int64_t timeout_ms;
    bool main, temporary;
    void *handle;
    azp_op op;
    void *arg;
} call;

/* Keep what was opened for this call. Other threads may have done the same
 * meanwhile: the first one stays, since a transaction takes one handle of each
 * array. There is always room for those of the pool's own time-out. */
static void keep(call *c)
{
    azp_pool *p = c->pool;
    void *first = find(p, c->timeout_ms, c->main);
    int most = AZP_ENTRIES;

    if (c->timeout_ms != p->options.timeout_ms)
        most -= 2;
    if (first) {
        p->close(c->handle);
        c->handle = first;
    } else if (p->count < most) {
        p->entries[p->count].timeout_ms = c->timeout_ms;
        p->entries[p->count].main = c->main;
        p->entries[p->count++].handle = c->handle;
    } else {
        c->temporary = true;
    }
}

static int open_handle(call *c, azr_error *err)
{
    azr_open_options options = c->pool->options;
    int rc;

    options.timeout_ms = c->timeout_ms;
    options.cancel = c->main ? azp_main_cancel() : NULL;
    Py_BEGIN_ALLOW_THREADS rc =
        c->pool->open(&c->handle, c->pool->path, &options, err);
    Py_END_ALLOW_THREADS if (rc == AZR_OK) keep(c);
    return rc;
}

static int run_once(call *c, azr_error *err)
{
    int rc = AZR_OK;

    c->temporary = false;
    c->handle = c->pool ? find(c->pool, c->timeout_ms, c->main) : NULL;
    if (c->main && azp_signals_enter() < 0)
        return -1;
    if (c->pool && !c->handle)
        rc = open_handle(c, err);
    if (rc == AZR_OK) {
        Py_BEGIN_ALLOW_THREADS rc = c->op(c->handle, c->arg, err);
        Py_END_ALLOW_THREADS
    }
    if (c->temporary)
        c->pool->close(c->handle);
    if (c->main)
        azp_signals_leave();
    return rc;
}

/* A signal ended the wait. Go on, once its handler has run? */
static bool goes_on(const call *c, int64_t began, azr_error *err)
{
    if (!c->main || PyErr_Occurred() || PyErr_CheckSignals() < 0)
        return false;
    if (c->timeout_ms < 0 || now_ms() - began < c->timeout_ms)
        return true;
    err->code = AZR_EBUSY;
    (void)PyOS_snprintf(err->message, sizeof err->message,
                        "time-out; the wait was interrupted by signals");
    return false;
}

static int perform(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg,
                   bool again)
{
    call c = {.pool = p, .timeout_ms = timeout_ms, .op = op, .arg = arg};
    int64_t began = now_ms();
    azr_error err;
    int rc;

    c.main = azp_on_main_thread();
    do {
        memset(&err, 0, sizeof err);
        rc = run_once(&c, &err);
        if (PyErr_Occurred())
            return -1;
    } while (rc == AZR_ECANCELED && goes_on(&c, began, &err) && again);
    if (rc < 0 && err.code == 0)
        err.code = rc;
    return rc < 0 ? azp_raise(&err) : rc;
}

int azp_perform(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg)
{
    return perform(p, timeout_ms, op, arg, true);
}

int azp_perform_once(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg)
{
    return perform(p, timeout_ms, op, arg, false);
}
