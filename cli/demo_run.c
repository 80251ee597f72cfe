/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: processes that write and read, and a supervisor that kills writers
 * and starts others in their place.
 *
 * Some kills are blind. For the others the supervisor looks for a writer
 * that is between its first staged object and the clearing of its row: it asks
 * azr_array_status, stops that process, looks again, and kills it if it still is
 * there, else lets it go on.
 */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Kills in the ordered time, of each kind; a run that takes longer goes on more
 * slowly, or its writers would spend their lives being born. */
#define BLIND_KILLS      10
#define AIMED_KILLS      30
#define LATER_EVERY_MS   400
#define SOON_MS          30
#define BASELINE_MAX_S   60
#define OURS_MAX_S       30
#define TICK_MS          5
#define ENOUGH_WRITES    1000
#define ENOUGH_SYNCED    500 /* each waits for the disk */
#define ENOUGH_READS     5000
#define ENOUGH_IN_FLIGHT 20

/* State of the supervisor; nothing of it is shared. */
struct crew {
    struct demo_run *run;
    pid_t pids[DEMO_MAX_PROCS];
    azr_array *watch; /* to look at the rows; NULL in the baseline */
    uint64_t random;
    uint64_t next_blind_ns, next_aimed_ns;
    struct demo_show show;
};

/* --------------------------------------------------------------- kills --- */

/* Rows of our writers that are past their first staged object. */
struct sighting {
    const struct crew *crew;
    pid_t wanted; /* 0: any */
    int n, index[DEMO_MAX_PROCS];
};

static int writer_of(const struct crew *c, pid_t pid)
{
    for (int i = 0; i < c->run->o->writers; i++) {
        if (c->pids[i] == pid)
            return i;
    }
    return -1;
}

static int look_at_row(const azr_row_info *row, void *arg)
{
    struct sighting *s = arg;
    int index = writer_of(s->crew, row->pid);
    bool busy = row->staged > 0 || row->state >= AZR_ROW_COMMITTED;

    if (busy && row->alive && index >= 0 && s->n < DEMO_MAX_PROCS &&
        (s->wanted == 0 || s->wanted == row->pid))
        s->index[s->n++] = index;
    return 0;
}

static bool in_flight(struct crew *c, struct sighting *s, pid_t wanted)
{
    memset(s, 0, sizeof *s);
    s->crew = c;
    s->wanted = wanted;
    return azr_array_status(c->watch, look_at_row, s, NULL) == AZR_OK &&
           s->n > 0;
}

static int respawn(struct crew *c, int index)
{
    c->run->generation++;
    c->pids[index] = load_spawn(demo_worker, index, c->run);
    return c->pids[index] < 0 ? -1 : 0;
}

/* Wait for what became of a process: ended, or (flags) stopped. */
static int status_of(pid_t pid, int flags)
{
    int status = 0;

    while (waitpid(pid, &status, flags) < 0 && errno == EINTR)
        ;
    return status;
}

static int kill_writer(struct crew *c, int index)
{
    (void)kill(c->pids[index], SIGKILL);
    (void)status_of(c->pids[index], 0);
    c->run->kills++;
    return respawn(c, index);
}

static int kill_blind(struct crew *c)
{
    return kill_writer(
        c, (int)load_random_below(&c->random, (uint64_t)c->run->o->writers));
}

/* One attempt. 1: killed one in flight, 0: none was, -1: cannot go on. */
static int kill_aimed(struct crew *c)
{
    struct sighting s;
    pid_t pid;
    int index, status;

    if (!in_flight(c, &s, 0))
        return 0;
    index = s.index[load_random_below(&c->random, (uint64_t)s.n)];
    pid = c->pids[index];
    (void)kill(pid, SIGSTOP);
    status = status_of(pid, WUNTRACED);
    if (!WIFSTOPPED(status)) { /* it ended by itself: the gate knows why */
        c->pids[index] = 0;
        return -1;
    }
    if (!in_flight(c, &s, pid)) {
        (void)kill(pid, SIGCONT);
        return 0;
    }
    c->run->in_flight++;
    return kill_writer(c, index) < 0 ? -1 : 1;
}

/* Set the time of the next kill, if there are to be `kills` in the ordered time;
 * who is late hurries, but gives the writers time to do something. */
static void schedule(const struct crew *c, uint64_t *next, int kills)
{
    double ms = c->run->o->seconds * 1e3 / kills;
    uint64_t now = load_now_ns();
    uint64_t later = LATER_EVERY_MS;

    if (c->run->seconds <= c->run->o->seconds) {
        *next = (*next ? *next : now) + (uint64_t)(ms * 1e6);
        return;
    }
    if (kills == AIMED_KILLS && c->run->in_flight < ENOUGH_IN_FLIGHT)
        later = SOON_MS;
    *next = now + later * UINT64_C(1000000);
}

static int kill_some(struct crew *c, uint64_t now)
{
    if (now >= c->next_blind_ns) {
        schedule(c, &c->next_blind_ns, BLIND_KILLS);
        if (kill_blind(c) < 0)
            return -1;
    }
    if (c->watch && now >= c->next_aimed_ns) {
        int rc = kill_aimed(c);

        if (rc < 0)
            return -1;
        if (rc > 0)
            schedule(c, &c->next_aimed_ns, AIMED_KILLS);
    }
    return 0;
}

/* --------------------------------------------------------------- clock --- */

static uint64_t sum_ops(const struct demo_run *run, bool writes)
{
    int from = writes ? 0 : run->o->writers * run->o->threads;
    int to = writes ? run->o->writers * run->o->threads
                    : run->o->writers * run->o->threads + run->o->readers;
    uint64_t sum = 0;

    for (int i = from; i < to; i++)
        sum += atomic_load_explicit(&run->shared->slot[i].ops,
                                    memory_order_relaxed);
    return sum;
}

/* Is the time up, and was it worth it? The baseline goes on until it tears; ours
 * until there is evidence, unless the time was ordered. */
static bool is_over(const struct demo_run *run, double seconds)
{
    if (seconds < run->o->seconds)
        return false;
    if (run->sync != AZR_SYNC_FULL)
        return atomic_load(&run->shared->torn) > 0 || seconds >= BASELINE_MAX_S;
    return run->o->fixed_time || seconds >= OURS_MAX_S ||
           demo_enough(run->o, run->in_flight, sum_ops(run, true),
                       sum_ops(run, false)) == NULL;
}

const char *demo_enough(const struct demo_options *o, uint64_t in_flight,
                        uint64_t writes, uint64_t reads)
{
    if (o->durability == AZR_DURABILITY_POWER) {
        if (writes < ENOUGH_SYNCED)
            return "fewer than 500 writes";
    } else if (writes < ENOUGH_WRITES) {
        return "fewer than 1,000 writes";
    }
    if (reads < ENOUGH_READS)
        return "fewer than 5,000 reads";
    if (in_flight < ENOUGH_IN_FLIGHT)
        return "fewer than 20 kills between first staged object and cleared "
               "row";
    return NULL;
}

/* A worker that ended without being told to has failed, or died of its own. */
static bool one_is_gone(struct crew *c, int n)
{
    for (int i = 0; i < n; i++) {
        if (waitpid(c->pids[i], NULL, WNOHANG) == c->pids[i]) {
            c->pids[i] = 0;
            load_gate_fail(&c->run->shared->gate, "a worker died");
            return true;
        }
    }
    return false;
}

static void supervise(struct crew *c, int n)
{
    struct load_gate *gate = &c->run->shared->gate;
    uint64_t start;

    while (atomic_load(&gate->ready) < n && !cli_signal && !one_is_gone(c, n))
        load_sleep_ms(1);
    start = load_now_ns();
    atomic_store(&gate->go, 1);
    for (;;) {
        uint64_t now = load_now_ns();

        c->run->seconds = (double)(now - start) / 1e9;
        if (cli_signal || atomic_load(&gate->failed) ||
            is_over(c->run, c->run->seconds))
            break;
        if (kill_some(c, now) < 0 || one_is_gone(c, n))
            break;
        if (c->run->o->live || !c->run->o->cli->quiet)
            demo_show_tick(&c->show, c->run, start);
        load_sleep_ms(TICK_MS);
    }
    atomic_store(&gate->stop, 1);
}

/* --------------------------------------------------------------- whole --- */

static void collect(struct demo_run *run)
{
    int writers = run->o->writers * run->o->threads;

    for (int i = 0; i < writers + run->o->readers; i++)
        load_sum_add(i < writers ? &run->writes : &run->reads,
                     &run->shared->slot[i]);
}

/* Tell all to end; after a signal or a failure, at once. */
static void dismiss(struct crew *c, int n)
{
    bool now = cli_signal || atomic_load(&c->run->shared->gate.failed);

    atomic_store(&c->run->shared->gate.stop, 1);
    for (int i = 0; i < n; i++) {
        if (c->pids[i] <= 0)
            continue;
        if (now)
            (void)kill(c->pids[i], SIGKILL);
        (void)status_of(c->pids[i], 0);
    }
}

/* Run one child to its end. */
static int alone(struct demo_run *run, load_child_fn fn)
{
    pid_t pid = load_spawn(fn, 0, run);

    return pid < 0 ? -1 : load_join(&pid, 1);
}

static int failed(const struct demo_run *run)
{
    const struct load_gate *gate = &run->shared->gate;

    if (cli_signal)
        return CLI_SIGNAL + cli_signal;
    return cli_error(run->o->cli, CLI_IO, "%s: %s",
                     run->sync == AZR_SYNC_FULL ? "with the protocol"
                                                : "the plain way",
                     gate->message[0] ? gate->message : "a process failed");
}

static int run_crew(struct demo_run *run)
{
    struct crew *c = cli_alloc(1, sizeof *c);
    azr_open_options open = cli_open_options(run->o->cli, 0);
    int n = run->o->writers + run->o->readers;
    int rc = 0;

    memset(c, 0, sizeof *c);
    c->run = run;
    c->random = run->o->seed;
    c->show.color = run->o->cli->color_out;
    open.threads = 1;
    if (run->sync == AZR_SYNC_FULL)
        rc = azr_array_open(&c->watch, run->path, &open, NULL);
    if (rc == 0)
        rc = load_fork(c->pids, n, demo_worker, run);
    if (rc == 0)
        supervise(c, n);
    demo_show_end(&c->show);
    dismiss(c, n);
    azr_array_close(c->watch);
    free(c);
    return rc == 0 && !cli_signal && !atomic_load(&run->shared->gate.failed)
               ? 0
               : -1;
}

int demo_run(struct demo_run *run)
{
    run->shared = load_map(demo_shared_nbytes(run->o));
    if (!run->shared)
        return cli_error(run->o->cli, CLI_IO, "no memory");
    if (alone(run, demo_create) < 0 || run_crew(run) < 0)
        return failed(run);
    collect(run);
    if (alone(run, demo_last_look) < 0)
        return failed(run);
    run->torn = atomic_load(&run->shared->torn);
    return CLI_OK;
}

void demo_run_dispose(struct demo_run *run)
{
    if (run->shared)
        load_unmap(run->shared, demo_shared_nbytes(run->o));
}
