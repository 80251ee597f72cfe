/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a run do: make the array, write, read, look at the end.
 * None of them sleeps or yields. */
#include "demo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

size_t demo_shared_nbytes(const struct demo_options *o)
{
    size_t slots = (size_t)o->writers * (size_t)o->threads + (size_t)o->readers;

    return sizeof(struct demo_shared) + slots * sizeof(struct load_slot);
}

static int open_array(azr_array **out, const struct demo_run *run,
                      uint32_t flags, azr_error *err)
{
    azr_open_options open = cli_open_options(run->o->cli, flags);

    open.sync = (uint32_t)run->sync;
    open.threads = 1; /* there are processes enough */
    if (run->o->kernel_locks)
        open.flags |= AZR_OPEN_KERNEL_LOCKS;
    return azr_array_open(out, run->path, &open, err);
}

/* A worker that fails ends the run. Always 1. */
static int give_up(const struct demo_run *run, const char *what,
                   const azr_error *err)
{
    char text[600];

    (void)snprintf(text, sizeof text, "%s: %s", what,
                   err->message[0] ? err->message : "failed");
    load_gate_fail(&run->shared->gate, text);
    return 1;
}

int demo_create(int index, void *arg)
{
    const struct demo_run *run = arg;
    const struct demo_scene *s = run->scene;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options open = cli_open_options(run->o->cli, AZR_OPEN_WRITE);
    azr_selection all = azr_select_all(s->rank);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    (void)index;
    spec.zarr_format = s->zarr_format;
    spec.rank = s->rank;
    spec.dtype = s->dtype;
    memcpy(spec.shape, s->shape, sizeof spec.shape);
    memcpy(spec.chunks, s->chunks, sizeof spec.chunks);
    spec.codecs = s->codec[0] ? s->codec : NULL;
    spec.durability = run->o->durability;
    rc = azr_array_create(&array, run->path, &spec, &open, &err);
    if (rc == AZR_OK)
        rc = azr_array_write(array, &all, s->base, s->nbytes, &err);
    azr_array_close(array);
    return rc < 0 ? give_up(run, "making the array", &err) : 0;
}

/* ------------------------------------------------------------- workers --- */

/* One thread of a worker. */
struct hand {
    struct demo_run *run;
    azr_array *array;
    struct load_slot *slot;
    uint64_t random;
    bool writes;
    pthread_t thread;
};

static const struct demo_site *any_site(struct hand *h)
{
    const struct demo_scene *s = h->run->scene;

    return &s->site[load_random_below(&h->random, (uint64_t)s->site_count)];
}

static void mark_written(const struct demo_run *run,
                         const struct demo_site *site)
{
    for (int i = 0; i < site->cell_count; i++)
        atomic_fetch_add_explicit(&run->shared->cell[site->cells[i]].writes, 1,
                                  memory_order_relaxed);
}

static void mark_torn(const struct demo_run *run, const struct demo_site *site,
                      struct demo_tear *tear)
{
    struct demo_shared *shared = run->shared;

    tear->site = (int)(site - run->scene->site);
    for (int i = 0; i < site->cell_count; i++)
        atomic_fetch_add_explicit(&shared->cell[site->cells[i]].tears, 1,
                                  memory_order_relaxed);
    if (atomic_exchange(&shared->have_tear, 1) == 0)
        shared->tear = *tear;
    atomic_fetch_add(&shared->torn, 1);
}

static int write_once(struct hand *h, uint8_t *values, azr_error *err)
{
    const struct demo_scene *s = h->run->scene;
    const struct demo_site *site = any_site(h);
    int k = (int)load_random_below(&h->random, DEMO_BOXES);
    azr_selection sel = demo_box_selection(s, &site->box[k]);
    uint64_t tag = demo_tag(s, k, load_random(&h->random));
    size_t n = demo_values(s, site, k, tag, values);
    uint64_t start = load_now_ns();
    int rc = azr_array_write(h->array, &sel, values, n, err);

    if (rc == AZR_OK) {
        load_record(h->slot, load_now_ns() - start);
        mark_written(h->run, site);
    }
    return rc;
}

/* In turn the core alone and all that surrounds it. */
static int read_once(struct hand *h, uint8_t *values, azr_error *err)
{
    const struct demo_scene *s = h->run->scene;
    const struct demo_site *site = any_site(h);
    bool wide = (load_random(&h->random) & 1) != 0;
    const struct demo_box *box = wide ? &site->region : &site->core;
    azr_selection sel = demo_box_selection(s, box);
    uint64_t start = load_now_ns();
    struct demo_tear tear;
    int rc =
        azr_array_read(h->array, &sel, values, box->n * s->item_nbytes, err);

    if (rc != AZR_OK)
        return rc;
    load_record(h->slot, load_now_ns() - start);
    if (!demo_whole(s, site, wide ? DEMO_IN_REGION : DEMO_IN_CORE, values,
                    &tear))
        mark_torn(h->run, site, &tear);
    return AZR_OK;
}

static void *hand_loop(void *arg)
{
    struct hand *h = arg;
    uint8_t *values = cli_alloc(h->run->scene->region_nbytes, 1);
    azr_error err = AZR_ERROR_INIT;
    int rc = AZR_OK;

    while (rc == AZR_OK && load_gate_open(&h->run->shared->gate))
        rc = h->writes ? write_once(h, values, &err)
                       : read_once(h, values, &err);
    if (rc < 0)
        (void)give_up(h->run, h->writes ? "a writer" : "a reader", &err);
    free(values);
    return NULL;
}

/* The first hand is the thread that came here. */
static void work(struct hand *hands, int n)
{
    int started = 1;

    while (started < n && pthread_create(&hands[started].thread, NULL,
                                         hand_loop, &hands[started]) == 0)
        started++;
    if (started < n)
        load_gate_fail(&hands[0].run->shared->gate, "cannot start a thread");
    (void)hand_loop(&hands[0]);
    for (int i = 1; i < started; i++)
        (void)pthread_join(hands[i].thread, NULL);
}

int demo_worker(int index, void *arg)
{
    struct demo_run *run = arg;
    const struct demo_options *o = run->o;
    bool writes = index < o->writers;
    int first =
        writes ? index * o->threads : o->writers * (o->threads - 1) + index;
    int n = writes ? o->threads : 1;
    struct hand hands[DEMO_MAX_THREADS] = {{.run = run}};
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;

    if (open_array(&array, run, writes ? AZR_OPEN_WRITE : 0, &err) < 0)
        return give_up(run, "opening", &err);
    for (int i = 0; i < n; i++) {
        uint64_t seed =
            o->seed + (run->generation << 32) + ((uint64_t)first + (uint64_t)i);

        hands[i] = (struct hand){.run = run,
                                 .array = array,
                                 .slot = &run->shared->slot[first + i],
                                 .random = load_random(&seed),
                                 .writes = writes};
    }
    load_gate_enter(&run->shared->gate);
    work(hands, n);
    azr_array_close(array);
    return atomic_load(&run->shared->gate.failed) != 0;
}

/* ------------------------------------------------------------ last look --- */

static int count_row(const azr_row_info *row, void *arg)
{
    struct demo_shared *shared = arg;

    (void)row;
    shared->left_rows++;
    return 0;
}

static int count_finding(const azr_finding *finding, void *arg)
{
    struct demo_shared *shared = arg;

    if (finding->is_error || finding->kind == AZR_FINDING_RUBBISH ||
        finding->kind == AZR_FINDING_LOST)
        shared->findings++;
    return 0;
}

/* Every site of the whole array, as one read. */
static void check_all(struct demo_run *run, const uint8_t *values)
{
    const struct demo_scene *s = run->scene;
    uint8_t *region = cli_alloc(s->region_nbytes, 1);
    struct demo_tear tear;

    for (int i = 0; i < s->site_count; i++) {
        demo_cut(s, &s->site[i].region, values, region);
        if (!demo_whole(s, &s->site[i], DEMO_IN_REGION, region, &tear)) {
            run->shared->torn_sites++;
            mark_torn(run, &s->site[i], &tear);
        }
    }
    run->shared->strays = demo_strays(s, values);
    free(region);
}

/* Opening for writing finishes what the dead left, as the next writer would. */
int demo_last_look(int index, void *arg)
{
    struct demo_run *run = arg;
    const struct demo_scene *s = run->scene;
    azr_selection all = azr_select_all(s->rank);
    uint8_t *values = cli_alloc(s->nbytes, 1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    (void)index;
    rc = open_array(&array, run, AZR_OPEN_WRITE, &err);
    if (rc == AZR_OK)
        rc = azr_array_read(array, &all, values, s->nbytes, &err);
    if (rc == AZR_OK)
        check_all(run, values);
    if (rc == AZR_OK && run->sync == AZR_SYNC_FULL)
        rc = azr_array_status(array, count_row, run->shared, &err);
    if (rc == AZR_OK && run->sync == AZR_SYNC_FULL)
        rc = azr_array_verify(array, count_finding, NULL, run->shared, &err);
    azr_array_close(array);
    free(values);
    return rc < 0 ? give_up(run, "the last look", &err) : 0;
}
