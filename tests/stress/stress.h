/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stress programs share. Each is one program that ends with 0 or 1 (77:
 * cannot run here) and prints one line. The parent has no threads before it
 * forks, so that children may have them, and so that TSan and ASan work.
 */
#ifndef AZR_STRESS_STRESS_H
#define AZR_STRESS_STRESS_H

#include <atomiczarr.h>

#include "os/sys.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --seed=N, --scale=N (of the work), --only=NAME, --nemesis=LIST, --dump=FILE; the rest is the
 * program's. */
typedef struct stress_args {
    uint64_t seed;
    unsigned scale;
    const char *only;
    const char *sabotage;
    const char *dump; /* a file for histories */
    const char
        *nemesis; /* faults to work under, of who knows them; NULL: none */
    bool torture;
    bool soak; /* for long: as many operations as there is time for */
} stress_args;

void stress_parse(stress_args *out, int argc, char **argv);
/* Is the cell `name` asked for? */
bool stress_wants(const stress_args *args, const char *name);

uint64_t stress_random(uint64_t *seed);
uint64_t stress_below(uint64_t *seed, uint64_t n);
int64_t stress_now_ns(void);

/* A new directory: on tmpfs (`fast`, where there is one) or where we stand. It
 * is removed with what is in it by stress_cleanup. */
void stress_scratch(char *out, size_t nbytes, bool fast);
void stress_cleanup(const char *dir);

/* Zeroed memory that children share. */
void *stress_shared(size_t nbytes);

/* Print and end this process with 1. */
__attribute__((format(printf, 1, 2), noreturn)) void stress_die(const char *fmt,
                                                                ...);
#define CHECK(cond, ...)                                                       \
    do {                                                                       \
        if (!(cond))                                                           \
            stress_die(__VA_ARGS__);                                           \
    } while (0)
/* `call` must return AZR_OK; `err` is the azr_error that it was given. */
#define CHECK_OK(call, err)                                                    \
    do {                                                                       \
        int check_rc = (call);                                                 \
        if (check_rc != AZR_OK)                                                \
            stress_die("%s:%d: %s: %s: %s", __FILE__, __LINE__, #call,         \
                       azr_status_name(check_rc), (err).message);              \
    } while (0)

/* Run `fn` in a child; it ends with 0 when `fn` returns. */
pid_t stress_spawn(void (*fn)(void *arg), void *arg);
/* Wait for a child; it must end with 0. */
void stress_join(pid_t pid);
/* Wait for a child that must have been killed by SIGKILL. */
void stress_join_killed(pid_t pid);
/* No more than this many seconds for the whole program. */
void stress_deadline(unsigned seconds);

/* One byte to say "go on", and waiting for it. */
typedef struct stress_pipe {
    int read_end, write_end;
} stress_pipe;
void stress_pipe_open(stress_pipe *p);
void stress_tell(const stress_pipe *p);
void stress_await(const stress_pipe *p);

/* Arrays of uint64, not compressed. */
void stress_create(const char *path, int rank, const int64_t *shape,
                   const int64_t *chunks, int durability);
azr_array *stress_open(const char *path, unsigned flags, int64_t timeout_ms);
azr_stats stress_stats(void);

/* A table of system calls to change before a worker's first use of the library;
 * stress_hook puts it in place. */
extern struct azri_sys stress_sys;
void stress_hook(void);

#endif
