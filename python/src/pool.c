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
    e = PyObject_CallFunction(atomic_load(&azp_error_factory), "iiis",
                              err->code, err->sub, err->sys_errno,
                              err->message);
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

int azp_pool_init(azp_pool *p, const azp_kind *kind, const char *path,
                  int64_t timeout_ms)
{
    const azr_open_options defaults = AZR_OPEN_OPTIONS_INIT;
    size_t nbytes = strlen(path) + 1;

    memset(p, 0, sizeof *p);
    p->kind = kind;
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
    for (int k = 0; k < AZP_WAYS; k++) {
        void *handle = atomic_exchange(&p->handles[k], NULL);

        if (handle)
            p->kind->close(handle);
    }
    PyMem_Free(p->path);
    p->path = NULL;
    Py_CLEAR(p->owner);
}

void azp_pool_adopt(azp_pool *p, void *handle)
{
    atomic_store(&p->handles[AZP_OTHERS], handle);
}

void *azp_pool_any(const azp_pool *p)
{
    for (int k = 0; k < AZP_WAYS; k++) {
        void *handle = atomic_load(&p->handles[k]);

        if (handle)
            return handle;
    }
    return NULL;
}

/* -------------------------------------------------------------- progress --- */

/* So often, at most, is Python told. */
#define TOLD_EVERY_MS 50

typedef struct teller {
    PyObject *fn;
    int64_t told_ms;
} teller;

/* Without the GIL, on the thread that called. */
static int on_progress(uint64_t done, uint64_t total, void *arg)
{
    teller *t = arg;
    int64_t now = now_ms();
    PyGILState_STATE gil;
    PyObject *result;

    if (done != total && now - t->told_ms < TOLD_EVERY_MS)
        return 0;
    t->told_ms = now;
    gil = PyGILState_Ensure();
    result = PyObject_CallFunction(t->fn, "KK", (unsigned long long)done,
                                   (unsigned long long)total);
    Py_XDECREF(result);
    PyGILState_Release(gil);
    return result ? 0 : 1;
}

azr_progress_fn azp_progress(PyObject *fn, void **arg, azp_told *storage)
{
    teller *t = (teller *)(void *)storage;

    static_assert(sizeof(teller) <= sizeof(azp_told), "storage");
    t->fn = fn;
    t->told_ms = 0;
    *arg = t;
    return fn && fn != Py_None ? on_progress : NULL;
}

/* ------------------------------------------------------------------ calls --- */

/* One call, and the handle that it uses. */
typedef struct call {
    azp_pool *pool;
    int64_t timeout_ms;
    azp_way way;
    bool temporary;
    PyObject *progress;
    azp_told told;
    void *handle;
    azp_op op;
    void *arg;
} call;

static azr_cancel *token_of(azp_way way)
{
    switch (way) {
    case AZP_AT_ONCE:
        return azp_raised_cancel();
    case AZP_MAIN:
        return azp_main_cancel();
    case AZP_OTHERS:
    case AZP_WAYS:
        break;
    }
    return azp_thread_cancel();
}

/* Made of one that is open, or opened. Without the GIL. */
static int derive(call *c, azr_error *err)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    void *open = azp_pool_any(c->pool);

    o.timeout_ms = c->timeout_ms;
    o.cancel = token_of(c->way);
    o.progress = azp_progress(c->progress, &o.arg, &c->told);
    return c->pool->kind->derive(&c->handle, open, c->pool, &o, err);
}

/* The first one, on which all others rest: its token is one that stays. */
static int open_first(call *c, azr_error *err)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azp_pool *p = c->pool;
    void *first = NULL, *before = NULL;
    int rc;

    if (azp_pool_any(p))
        return AZR_OK;
    o.timeout_ms = p->options.timeout_ms;
    o.cancel = c->way == AZP_MAIN ? azp_main_cancel() : NULL;
    rc = p->kind->derive(&first, NULL, p, &o, err);
    if (rc == AZR_OK &&
        !atomic_compare_exchange_strong(&p->handles[c->way], &before, first))
        p->kind->close(first);
    return rc;
}

/* Every way has a handle for the pool's own time-out; another one is made for the
 * call. Of threads that come first at once, one's stays. */
static int find_handle(call *c, azr_error *err)
{
    azp_pool *p = c->pool;
    bool own = c->timeout_ms == p->options.timeout_ms && !c->progress &&
               !(c->way == AZP_OTHERS && azp_thread_cancel());
    void *before = NULL;
    int rc;

    c->temporary = false;
    rc = open_first(c, err);
    if (rc < 0)
        return rc;
    c->handle = own ? atomic_load(&p->handles[c->way]) : NULL;
    if (c->handle)
        return AZR_OK;
    rc = derive(c, err);
    if (rc < 0)
        return rc;
    c->temporary = !own;
    if (own && !atomic_compare_exchange_strong(&p->handles[c->way], &before,
                                               c->handle)) {
        p->kind->close(c->handle);
        c->handle = before;
    }
    return AZR_OK;
}

/* Without the GIL. */
static int work(call *c, azr_error *err)
{
    int rc = AZR_OK;

    c->handle = NULL;
    c->temporary = false;
    if (c->pool)
        rc = find_handle(c, err);
    if (rc == AZR_OK)
        rc = c->op(c->handle, c->arg, err);
    if (c->temporary)
        c->pool->kind->close(c->handle);
    return rc;
}

static int run_once(call *c, azr_error *err)
{
    PyObject *owner = c->pool ? c->pool->owner : NULL;
    int rc;

    if (owner && azp_snapshot_enter(owner) < 0)
        return -1;
    if (c->way == AZP_MAIN && azp_signals_enter() < 0) {
        rc = -1;
    } else {
        Py_BEGIN_ALLOW_THREADS rc = work(c, err);
        Py_END_ALLOW_THREADS if (c->way == AZP_MAIN) azp_signals_leave();
    }
    if (owner)
        azp_snapshot_leave(owner);
    return rc;
}

/* A signal ended the wait. Go on, once its handler has run? */
static bool goes_on(const call *c, int64_t began, azr_error *err)
{
    if (c->way != AZP_MAIN || PyErr_Occurred() || PyErr_CheckSignals() < 0)
        return false;
    if (c->timeout_ms < 0 || now_ms() - began < c->timeout_ms)
        return true;
    err->code = AZR_EBUSY;
    (void)PyOS_snprintf(err->message, sizeof err->message,
                        "time-out; the wait was interrupted by signals");
    return false;
}

/*
 * On the main thread a call that may be repeated is made at once first, with a token
 * that is raised: what does not have to wait is done by that, and the handlers of
 * signals, each a system call, are left alone. What would have to wait comes back
 * and is done again behind handlers of ours.
 */
static int perform(call *c, bool at_once, bool again)
{
    bool main = azp_on_main_thread();
    int64_t began = 0;
    azr_error err;
    int rc;

    err = (azr_error)AZR_ERROR_INIT;
    if (main && at_once) {
        c->way = AZP_AT_ONCE;
        rc = run_once(c, &err);
        if (rc != AZR_ECANCELED)
            goto done;
    }
    if (PyErr_Occurred())
        return -1;
    c->way = main ? AZP_MAIN : AZP_OTHERS;
    began = now_ms();
    do {
        err = (azr_error)AZR_ERROR_INIT;
        rc = run_once(c, &err);
        if (PyErr_Occurred())
            return -1;
    } while (rc == AZR_ECANCELED && goes_on(c, began, &err) && again);
done:
    if (rc < 0 && err.code == 0)
        err.code = rc;
    return rc < 0 ? azp_raise(&err) : rc;
}

int azp_perform(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg)
{
    call c = {.pool = p, .timeout_ms = timeout_ms, .op = op, .arg = arg};

    return perform(&c, false, true);
}

int azp_perform_transfer(azp_pool *p, int64_t timeout_ms, PyObject *progress,
                         azp_op op, void *arg)
{
    call c = {.pool = p, .timeout_ms = timeout_ms, .op = op, .arg = arg};

    if (progress != Py_None)
        c.progress = progress;
    return perform(&c, !c.progress, true);
}

int azp_perform_once(azp_pool *p, azp_op op, void *arg)
{
    call c = {.pool = p,
              .timeout_ms = p ? p->options.timeout_ms : -1,
              .op = op,
              .arg = arg};

    return perform(&c, false, false);
}
