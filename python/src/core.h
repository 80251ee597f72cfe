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

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What the stable ABI wants as void *: a function. */
#define AZP_FUNCTION(f) __extension__((void *)(f))
#define AZP_METHOD(f)   ((PyCFunction)(void (*)(void))(f))

/* ---------------------------------------------------------------- errors --- */

/* The callable (code, sub, errno, message) → exception. */
extern _Atomic(PyObject *) azp_error_factory;
/* Raise it. Always -1. */
int azp_raise(const azr_error *err);

/* --------------------------------------------------------------- signals --- */

/* The token of calls on the main thread; of the others, if they have one. */
azr_cancel *azp_main_cancel(void);
azr_cancel *azp_thread_cancel(void);
/* One that is always raised. */
azr_cancel *azp_raised_cancel(void);
bool azp_on_main_thread(void);
/* Of a call that is made now. Needs no GIL. */
azr_cancel *azp_token(void);
/*
 * Around a call of the main thread: from here on a signal raises the token. The
 * result of enter is -1 if a handler of Python's has raised an exception.
 */
int azp_signals_enter(void);
void azp_signals_leave(void);
int azp_signals_start(void);

/* ----------------------------------------------------------------- pools --- */

/* How a call waits, which its handle's token says. */
typedef enum azp_way {
    AZP_AT_ONCE, /* not at all */
    AZP_MAIN,    /* until a signal comes */
    AZP_OTHERS,  /* until the thread's own token is raised, if it has one */
    AZP_WAYS
} azp_way;

struct azp_pool;

typedef struct azp_kind {
    /* One more handle, like `open` (NULL: there is none yet). Without the GIL. */
    int (*derive)(void **out, void *open, const struct azp_pool *p,
                  const azr_share_options *options, azr_error *err);
    void (*close)(void *handle);
} azp_kind;

/*
 * The library's handles have their time-out and their token for life, so there is
 * one for each way to wait, made when it is needed first; calls with other time-outs
 * have one for themselves. All of an array share what is open, and are one handle to
 * a transaction.
 */
typedef struct azp_pool {
    const azp_kind *kind;
    char *path;
    azr_open_options options;
    PyObject *owner; /* the snapshot that it is of, or NULL */
    _Atomic(void *) handles[AZP_WAYS];
} azp_pool;

/* Called without the GIL. */
typedef int (*azp_op)(void *handle, void *arg, azr_error *err);

int azp_pool_init(azp_pool *p, const azp_kind *kind, const char *path,
                  int64_t timeout_ms);
/* Takes over a handle without a token, with the pool's time-out. */
void azp_pool_adopt(azp_pool *p, void *handle);
/* A handle that is open, or NULL; the pool's. */
void *azp_pool_any(const azp_pool *p);
void azp_pool_dispose(azp_pool *p);
/*
 * Run `op` on a handle of the pool (NULL: without one) and raise what fails. A
 * wait that a signal ended goes on after its handler has run, to the time-out.
 * 0 or what the op returned above 0; -1 with an exception.
 */
int azp_perform(azp_pool *p, int64_t timeout_ms, azp_op op, void *arg);
/* The same for reads and writes, which mostly need not wait. `progress`: called with
 * chunks done and to be done; None: nobody. */
int azp_perform_transfer(azp_pool *p, int64_t timeout_ms, PyObject *progress,
                         azp_op op, void *arg);
/* The same for what cannot be done twice: a wait that ended has failed. */
int azp_perform_once(azp_pool *p, azp_op op, void *arg);
/* `o` is a number of milliseconds, or None for `otherwise`. 0 or -1. */
int azp_timeout(int64_t *out, PyObject *o, int64_t otherwise);

/* Progress for the library: `fn` is Python's, NULL and None are nobody. */
typedef struct azp_told {
    int64_t words[4];
} azp_told;
azr_progress_fn azp_progress(PyObject *fn, void **arg, azp_told *storage);

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
    atomic_int rank; /* -1: not known yet */
} azp_array;

typedef struct azp_txn {
    PyObject_HEAD azr_txn *txn; /* NULL: it has ended */
    bool borrowed;
    atomic_bool busy, wrote;
} azp_txn;

extern PyType_Spec azp_array_spec, azp_group_spec, azp_txn_spec;
extern PyType_Spec azp_snapshot_spec, azp_cancel_spec;
extern PyTypeObject *azp_array_type, *azp_group_type, *azp_txn_type;
extern PyTypeObject *azp_snapshot_type, *azp_cancel_type;

/* What a new array is to be, out of a tuple; `c` must stay where it is. */
typedef struct azp_creation {
    const char *path, *names[AZR_MAX_RANK];
    PyObject *path_object;
    azr_array_spec spec;
    azr_open_options options;
} azp_creation;
#define AZP_CREATION_ARGUMENTS "O&LIiiOOiCCCzzzOi"
/* 0 or -1; azp_creation_dispose in any case. */
int azp_creation_parse(azp_creation *c, PyObject *args);
void azp_creation_dispose(azp_creation *c);

/* An array without a handle yet. */
azp_array *azp_array_new(const char *path, unsigned int flags, int sync,
                         int64_t timeout_ms);
/* A list's or tuple's item as an array. NULL with an exception. */
azp_array *azp_array_of(PyObject *o);

/* Of integers and slices, as far as they are simple: what they select. */
typedef struct azp_plan {
    int rank, kept;
    bool exact, empty;
    int64_t start[AZR_MAX_RANK], count[AZR_MAX_RANK], step[AZR_MAX_RANK];
    /* as it was said */
    int64_t from[AZR_MAX_RANK], to[AZR_MAX_RANK], by[AZR_MAX_RANK];
    int64_t shape[AZR_MAX_RANK]; /* of the result, without integers */
    bool keeps[AZR_MAX_RANK];    /* no integer */
} azp_plan;

/* Of an array of that shape. False: not so simple, or wrong. */
bool azp_plan_make(azp_plan *p, PyObject *selection, const int64_t *shape,
                   int ndim);
/* With the bounds as they were said, if those depend on the shape. */
void azp_plan_select(azr_selection *sel, const azp_plan *p);

/* Methods of arrays. */
int azp_put_start(void);
PyObject *azp_array_put(PyObject *o, PyObject *const *args, Py_ssize_t n);

/* Functions of the module. */
PyObject *azp_array_open(PyObject *m, PyObject *args);
PyObject *azp_array_create(PyObject *m, PyObject *args);
PyObject *azp_group_open(PyObject *m, PyObject *args);
PyObject *azp_group_create(PyObject *m, PyObject *args);
PyObject *azp_txn_begin(PyObject *m, PyObject *args);
PyObject *azp_txn_run(PyObject *m, PyObject *args);
PyObject *azp_append_all(PyObject *m, PyObject *args);
PyObject *azp_snapshot_take(PyObject *m, PyObject *args);
PyObject *azp_copy(PyObject *m, PyObject *args);
PyObject *azp_plan_of(PyObject *m, PyObject *const *args, Py_ssize_t n);
PyObject *azp_join(PyObject *m, PyObject *const *args, Py_ssize_t n);
PyObject *azp_cancel_new(PyObject *m, PyObject *unused);
PyObject *azp_call_with(PyObject *m, PyObject *args);

/* Around each call on an array of a snapshot. enter: -1 with an exception if it is
 * closed; a snapshot that is closed meanwhile goes with the last leave. */
int azp_snapshot_enter(PyObject *o);
void azp_snapshot_leave(PyObject *o);
PyObject *azp_tree_move(PyObject *m, PyObject *args);
PyObject *azp_tree_replace(PyObject *m, PyObject *args);

/* The transaction `o` with the right to use it, until azp_txn_give. NULL: not. */
azp_txn *azp_txn_take(PyObject *o);
void azp_txn_give(azp_txn *t);
/* Methods of transactions. */
PyObject *azp_txn_read_chunk(PyObject *o, PyObject *args);
PyObject *azp_txn_write_chunk(PyObject *o, PyObject *args);

#endif
