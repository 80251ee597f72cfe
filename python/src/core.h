/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extension module atomiczarr._core: what its files know of each other. It
 * speaks in tuples, buffers and numbers; what users see is Python, in
 * ../atomiczarr. Everything here is called with the GIL, unless it says so.
 */
#ifndef AZP_CORE_H
#define AZP_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <atomiczarr.h>

#include <stdbool.h>

/* What the stable ABI wants as void *: a function. */
#define AZP_FUNCTION(f) __extension__((void *)(f))
#define AZP_METHOD(f)   ((PyCFunction)(void (*)(void))(f))

/* ---------------------------------------------------------------- errors --- */

/* The callable (code, sub, errno, message) → exception. */
extern PyObject *azp_error_factory;
/* Raise it. Always -1. */
int azp_raise(const azr_error *err);

/* --------------------------------------------------------------- signals --- */

/* The token of calls on the main thread; the others have none. */
azr_cancel *azp_main_cancel(void);
bool azp_on_main_thread(void);
/*
 * Around a call of the main thread: from here on a signal raises the token. The
 * result of enter is -1 if a handler of Python's has raised an exception.
 */
int azp_signals_enter(void);
void azp_signals_leave(void);
int azp_signals_start(void);

/* ----------------------------------------------------------------- pools --- */

#define AZP_ENTRIES 8

/*
 * The library's handles have their time-out and their token for life. A pool
 * opens one more when another time-out is asked for, or when a thread that is
 * not the main one comes; entries stay where they are until the pool goes.
 */
typedef struct azp_pool {
    char *path;
    azr_open_options options;
    int (*open)(void **out, const char *path, const azr_open_options *options,
                azr_error *err);
    void (*close)(void *handle);
    int count;
    struct {
        int64_t timeout_ms;
        bool main;
        void *handle;
    } entries[AZP_ENTRIES];
} azp_pool;

/* Called without the GIL. */
typedef int (*azp_op)(void *handle, void *arg, azr_error *err);

int azp_pool_init(azp_pool *p, const char *path, int64_t timeout_ms);
void azp_pool_dispose(azp_pool *p);
/*
 * Run `op` on a handle of the pool (NULL: without one) and raise what fails. A
 * wait that a signal ended goes on after its handler has run, to the time-out.
 * 0 or what the op returned above 0; -1 with an exception.
 */
int azp_perform(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg);
/* The same for what cannot be done twice: a wait that ended has failed. */
int azp_perform_once(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg);
/* `o` is a number of milliseconds, or None for `otherwise`. 0 or -1. */
int azp_timeout(int64_t *out, PyObject *o, int64_t otherwise);

/* ------------------------------------------------------------- selections --- */

/* A selection and the caller's memory, with what must outlive the call. */
typedef struct azp_io {
    azr_selection sel;
    azr_memory memory;
    Py_buffer view, points;
} azp_io;

/* (kind, start, count, step), or (kind, points, None, None). 0 or -1. */
int azp_io_selection(azp_io *io, PyObject *selection);
/* The memory of `buffer`, of any strides. 0 or -1. */
int azp_io_memory(azp_io *io, PyObject *buffer, bool writable);
/* Is it C-contiguous? Else raises. 0 or -1. */
int azp_io_dense(const azp_io *io);
void azp_io_dispose(azp_io *io);

/* A tuple of `n` numbers into or from `p`. 0 or -1; the tuple or NULL. */
int azp_numbers(int64_t *p, PyObject *tuple, int *n_out);
PyObject *azp_tuple(const int64_t *p, int n);

/* ------------------------------------------------------------------ types --- */

typedef struct azp_array {
    PyObject_HEAD azp_pool pool;
} azp_array;

typedef struct azp_txn {
    PyObject_HEAD azr_txn *txn; /* NULL: it has ended */
    bool borrowed, busy, wrote;
} azp_txn;

extern PyType_Spec azp_array_spec, azp_group_spec, azp_txn_spec;
extern PyTypeObject *azp_array_type, *azp_group_type, *azp_txn_type;

/* Functions of the module. */
PyObject *azp_array_open(PyObject *m, PyObject *args);
PyObject *azp_array_create(PyObject *m, PyObject *args);
PyObject *azp_group_open(PyObject *m, PyObject *args);
PyObject *azp_group_create(PyObject *m, PyObject *args);
PyObject *azp_txn_begin(PyObject *m, PyObject *args);
PyObject *azp_txn_run(PyObject *m, PyObject *args);

/* The transaction `o` with the right to use it, until azp_txn_give. NULL: not. */
azp_txn *azp_txn_take(PyObject *o);
void azp_txn_give(azp_txn *t);
/* Methods of transactions. */
PyObject *azp_txn_read_chunk(PyObject *o, PyObject *args);
PyObject *azp_txn_write_chunk(PyObject *o, PyObject *args);

#endif
