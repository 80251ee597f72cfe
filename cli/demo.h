/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `azr demo`: processes overwrite overlapping boxes of a real array while others
 * read them, and are killed all along; what is torn is counted.
 *
 * How a tear is recognised. A *site* is a corner where chunks meet. Three boxes
 * of different shapes lie around it; all of them hold the site's *core*, which
 * touches every chunk of the corner. A write adds a number, its *tag*, to the
 * original values of one box k, and chooses it so that tag % 3 = k. Hence, at
 * every instant:
 *
 *   - value minus original is one tag in the whole core, for whoever wrote last
 *     covered all of it;
 *   - the box that this tag names carries it everywhere, for the same reason;
 *   - any other element around the site carries a tag whose box holds it, or
 *     none.
 *
 * Whatever else a reader finds is a mixture of writes, or damage.
 *
 *   demo_scene.c   the array, its sites, the check
 *   demo_work.c    writers, readers, the last look
 *   demo_run.c     one run: processes, kills, clock
 *   demo_report.c  the two programs of the original report
 *   demo_show.c    live display, closing table, JSON
 */
#ifndef DEMO_H
#define DEMO_H

#include "cli.h"
#include "json.h"
#include "load.h"

#define DEMO_MAX_PROCS   256
#define DEMO_MAX_THREADS 64
#define DEMO_SITES       12
#define DEMO_BOXES       3
#define DEMO_MAP_ROWS    16
#define DEMO_MAP_COLS    26
#define DEMO_MAP         (DEMO_MAP_ROWS * DEMO_MAP_COLS)

struct demo_options {
    struct cli *cli;
    const char *dir; /* where the scratch directory is made */
    const char *scratch;
    const char *array; /* the user's, or NULL */
    const char *codec; /* NULL: the array's own, or the default */
    const char *durability_name;
    int procs, writers, readers, threads;
    int durability;
    double seconds;
    bool fixed_time; /* --seconds was given: not a tick longer */
    bool baseline_only;
    bool kernel_locks, no_reports;
    bool live; /* draw */
    uint64_t seed;
};

/* --------------------------------------------------------------- scene --- */

struct demo_box {
    int64_t start[AZR_MAX_RANK];
    int64_t count[AZR_MAX_RANK];
    size_t n; /* elements */
};

/* Bits of demo_site.mask: element lies in box k; in the core. */
#define DEMO_IN_BOX(k) (1u << (k))
#define DEMO_IN_CORE   (1u << DEMO_BOXES)
#define DEMO_IN_REGION 0u /* no bit asked for: every element */

struct demo_site {
    struct demo_box box[DEMO_BOXES], core;
    struct demo_box region; /* hull of the boxes */
    uint8_t *base;          /* original values of the region, C order */
    uint8_t *mask;          /* of each element of the region */
    int cell_count;
    int cells[16]; /* places on the map */
};

struct demo_scene {
    char name[64];
    int zarr_format, rank, dtype;
    size_t item_nbytes, nbytes;
    int64_t shape[AZR_MAX_RANK], chunks[AZR_MAX_RANK];
    char codec[64]; /* "" : the default */
    uint8_t *base;  /* original values, C order */
    int site_count;
    struct demo_site site[DEMO_SITES];
    size_t region_nbytes; /* of the largest region */
    int map_rows, map_cols;
};

/* What a reader found wrong. */
struct demo_tear {
    int site;
    int whole;         /* found in the core (0) or around it (1) */
    uint64_t tag[2];   /* two of the tags that are mixed */
    uint64_t count[2]; /* elements that carry the first, and do not */
};

/* Each: CLI_OK, or an exit code after a message. */
int demo_scene_load(struct demo_scene *s, const struct demo_options *o);
int demo_scene_build(struct demo_scene *s, const struct demo_options *o);
void demo_scene_dispose(struct demo_scene *s);

azr_selection demo_box_selection(const struct demo_scene *s,
                                 const struct demo_box *box);
/* Values of box `k` under `tag`, C order; returns their bytes. */
size_t demo_values(const struct demo_scene *s, const struct demo_site *site,
                   int k, uint64_t tag, uint8_t *dst);
/* A tag of box `k`. */
uint64_t demo_tag(const struct demo_scene *s, int k, uint64_t random);
/* Is what was read of the core (`bit` DEMO_IN_CORE) or of the region
 * (DEMO_IN_REGION) one state? */
bool demo_whole(const struct demo_scene *s, const struct demo_site *site,
                unsigned bit, const uint8_t *values, struct demo_tear *tear);
/* Copy a box out of the whole array. */
void demo_cut(const struct demo_scene *s, const struct demo_box *box,
              const uint8_t *values, uint8_t *dst);
/* Elements outside of all boxes that are no longer the original ones. */
uint64_t demo_strays(const struct demo_scene *s, const uint8_t *values);

/* ----------------------------------------------------------------- run --- */

struct demo_cell {
    _Atomic uint64_t writes, tears;
};

/* Shared with all processes of a run. */
struct demo_shared {
    struct load_gate gate;
    _Atomic uint64_t torn;
    _Atomic int have_tear;
    struct demo_tear tear; /* the first one */
    struct demo_cell cell[DEMO_MAP];
    /* the last look */
    uint64_t torn_sites, strays, left_rows, findings;
    struct load_slot slot[]; /* writers × threads, then readers */
};

struct demo_run {
    const struct demo_options *o;
    const struct demo_scene *scene;
    struct demo_shared *shared;
    const char *path; /* of this run's array */
    int sync;
    uint64_t generation; /* of processes: seeds their random numbers */
    /* results */
    uint64_t kills, in_flight;
    double seconds;
    struct load_sum writes, reads;
    uint64_t torn;
};

size_t demo_shared_nbytes(const struct demo_options *o);
/* `arg` of these is the demo_run. Writers come first: `index` below o->writers. */
int demo_worker(int index, void *arg);
/* In a process of its own: make the array of this run. */
int demo_create(int index, void *arg);
/* In a process of its own: finish what the dead left, read all, check all. */
int demo_last_look(int index, void *arg);

/* Why such a run proves nothing, or NULL. */
const char *demo_enough(const struct demo_options *o, uint64_t in_flight,
                        uint64_t writes, uint64_t reads);
/* The whole of it. 0 or an exit code, said. */
int demo_run(struct demo_run *run);
void demo_run_dispose(struct demo_run *run);

/* -------------------------------------------------------------- report --- */

#define DEMO_REPORT_PROCS 30

struct demo_report {
    uint64_t lines, mixed;
    int32_t example[12]; /* the first mixed line */
    bool have_example;
};

/* 12 elements in chunks of 4, writes to [2:6] and [6:10]. */
int demo_report_lines(const struct demo_options *o, int sync,
                      struct demo_report *out);
/* 10 × 10 in chunks of 2 × 2, writes to the points of anti-diagonals. */
int demo_report_diagonals(const struct demo_options *o, int sync,
                          struct demo_report *out);

/* ---------------------------------------------------------------- show --- */

struct demo_result {
    struct demo_run plain, ours;
    struct demo_report lines[2], diagonals[2]; /* plain, ours */
    const char *void_reason;                   /* NULL: it counts */
    char fs[32];
    int exit_code;
};

struct demo_show {
    bool drawn, unicode, color;
    uint64_t last_ns, last_writes, last_reads;
    double writes_per_s, reads_per_s;
    uint64_t cell_writes[DEMO_MAP], cell_tears[DEMO_MAP];
};

/* Called often; draws when it is time to. */
void demo_show_tick(struct demo_show *show, const struct demo_run *run,
                    uint64_t start_ns);
void demo_show_end(struct demo_show *show);
bool demo_show_possible(const struct demo_scene *s, const struct cli *cli);

void demo_print_head(const struct demo_options *o, const struct demo_scene *s,
                     const char *fs);
void demo_print_table(const struct demo_options *o,
                      const struct demo_result *r);
void demo_print_json(const struct demo_options *o, const struct demo_scene *s,
                     const struct demo_result *r);

#endif
