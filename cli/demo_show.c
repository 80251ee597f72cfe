/* SPDX-License-Identifier: Apache-2.0 */
/* What the demo shows: a map of chunks while it runs, a table at the end, JSON
 * for programs. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_NS  UINT64_C(100000000)
#define SECOND_NS UINT64_C(1000000000)
#define WIDTH     80

/* ---------------------------------------------------------------- live --- */

static bool is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

bool demo_show_possible(const struct demo_scene *s, const struct cli *cli)
{
    const char *term = getenv("TERM");
    struct winsize size = {0};

    if (cli->quiet || cli->json || !isatty(STDOUT_FILENO) || !term ||
        strcmp(term, "dumb") == 0)
        return false;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
           size.ws_col >= WIDTH && size.ws_row >= s->map_rows + 4;
}

static uint64_t total_ops(const struct demo_run *run, int from, int n)
{
    uint64_t sum = 0;

    for (int i = from; i < from + n; i++)
        sum += atomic_load_explicit(&run->shared->slot[i].ops,
                                    memory_order_relaxed);
    return sum;
}

static void update_rates(struct demo_show *show, const struct demo_run *run,
                         uint64_t now)
{
    int hands = run->o->writers * run->o->threads;
    uint64_t writes = total_ops(run, 0, hands);
    uint64_t reads = total_ops(run, hands, run->o->readers);
    double seconds = (double)(now - show->last_ns) / 1e9;

    /* ten frames a second are smoothed, lines of a second are not */
    if (seconds > 0) {
        double w = (double)(writes - show->last_writes) / seconds;
        double r = (double)(reads - show->last_reads) / seconds;
        double part = show->drawn ? 0.2 : 1;

        show->writes_per_s += part * (w - show->writes_per_s);
        show->reads_per_s += part * (r - show->reads_per_s);
    }
    show->last_ns = now;
    show->last_writes = writes;
    show->last_reads = reads;
}

/* Two columns: darker for more writes since the last frame; a cross where a
 * tear was just seen, red wherever one ever was. */
static void draw_cell(struct demo_show *show, const struct demo_run *run,
                      int cell)
{
    static const char *const shades[2][6] = {
        {"  ", "..", "::", "++", "##", "XX"},
        {"··", "░░", "▒▒", "▓▓", "██", "╳╳"}};
    const struct demo_cell *c = &run->shared->cell[cell];
    uint64_t writes = atomic_load(&c->writes), tears = atomic_load(&c->tears);
    uint64_t fresh = writes - show->cell_writes[cell];
    int shade = fresh == 0   ? 0
                : fresh < 5  ? 1
                : fresh < 20 ? 2
                : fresh < 80 ? 3
                             : 4;

    if (tears > show->cell_tears[cell])
        shade = 5;
    show->cell_writes[cell] = writes;
    show->cell_tears[cell] = tears;
    if (show->color && shade)
        printf("%s%s\033[0m", tears ? "\033[31m" : "\033[36m",
               shades[show->unicode][shade]);
    else
        printf("%s", shades[show->unicode][shade]);
}

/* The text right of row `row` of the map. */
static void draw_figure(struct demo_show *show, const struct demo_run *run,
                        int row)
{
    uint64_t torn = atomic_load(&run->shared->torn);
    const char *red = show->color && torn ? "\033[1;31m" : "";

    if (row == 0)
        printf("  %8.1f s", run->seconds);
    else if (row == 1)
        printf("  %8.0f writes/s", show->writes_per_s);
    else if (row == 2)
        printf("  %8.0f reads/s", show->reads_per_s);
    else if (row == 3)
        printf("  %s%8llu torn reads%s", red, (unsigned long long)torn,
               *red ? "\033[0m" : "");
    else if (row == 4)
        printf("  %8llu writers killed", (unsigned long long)run->kills);
    else if (row == 5 && run->sync == AZR_SYNC_FULL)
        printf("  %8llu in flight", (unsigned long long)run->in_flight);
}

static int drawn_rows(const struct demo_run *run)
{
    return run->scene->map_rows < 6 ? 6 : run->scene->map_rows;
}

static void draw(struct demo_show *show, const struct demo_run *run)
{
    const struct demo_scene *s = run->scene;

    if (show->drawn)
        printf("\033[%dA", drawn_rows(run) + 1);
    else
        printf("\033[?25l"); /* no cursor */
    show->drawn = true;
    printf("\r\033[K%s\n", run->sync == AZR_SYNC_FULL
                               ? "With the protocol: a write is one transaction"
                               : "The plain way: chunk by chunk");
    for (int row = 0; row < drawn_rows(run); row++) {
        printf("\r\033[K  ");
        for (int col = 0; col < s->map_cols; col++) {
            if (row < s->map_rows)
                draw_cell(show, run, row * s->map_cols + col);
            else
                printf("  ");
        }
        draw_figure(show, run, row);
        printf("\n");
    }
    fflush(stdout);
}

void demo_show_tick(struct demo_show *show, const struct demo_run *run,
                    uint64_t start_ns)
{
    uint64_t now = load_now_ns();
    uint64_t every = run->o->live ? FRAME_NS : SECOND_NS;

    if (show->last_ns == 0) {
        show->last_ns = start_ns;
        show->unicode = is_utf8();
    }
    if (now - show->last_ns < every)
        return;
    update_rates(show, run, now);
    if (run->o->live)
        draw(show, run);
    else if (!run->o->cli->json)
        cli_note(run->o->cli,
                 "%s %3.0f s  %7.0f writes/s %8.0f reads/s %6llu torn %4llu "
                 "killed",
                 run->sync == AZR_SYNC_FULL ? "atomic" : "plain ", run->seconds,
                 show->writes_per_s, show->reads_per_s,
                 (unsigned long long)atomic_load(&run->shared->torn),
                 (unsigned long long)run->kills);
}

void demo_show_end(struct demo_show *show)
{
    if (show->drawn) {
        printf("\033[?25h\n");
        fflush(stdout);
    }
    show->drawn = false;
}

/* --------------------------------------------------------------- table --- */

static void print_shape(const int64_t *shape, int rank)
{
    for (int d = 0; d < rank; d++)
        printf("%s%lld", d ? " x " : "", (long long)shape[d]);
}

void demo_print_head(const struct demo_options *o, const struct demo_scene *s,
                     const char *fs)
{
    if (o->cli->quiet || o->cli->json)
        return;
    printf("%s: ", s->name);
    print_shape(s->shape, s->rank);
    printf(" %s in chunks of ", azr_dtype_name(s->dtype));
    print_shape(s->chunks, s->rank);
    printf(", on %s\n%d processes: %d write", fs, o->procs, o->writers);
    if (o->threads > 1)
        printf(" with %d threads each", o->threads);
    printf(" boxes that straddle chunks, %d read; writers are killed\n\n",
           o->readers);
    fflush(stdout);
}

/* One row: label, then a text for each of the two runs. */
static void row(const char *label, const char *plain, const char *ours)
{
    printf("  %-34s %20s %20s\n", label, plain, ours);
}

static void row_count(const char *label, uint64_t plain, uint64_t ours,
                      bool has_ours)
{
    char a[32], b[32] = "";

    (void)snprintf(a, sizeof a, "%llu", (unsigned long long)plain);
    if (has_ours)
        (void)snprintf(b, sizeof b, "%llu", (unsigned long long)ours);
    row(label, a, b);
}

static double per_second(const struct load_sum *sum, const struct demo_run *run)
{
    return run->seconds > 0 ? (double)sum->ops / run->seconds : 0.0;
}

static void row_rate(const char *label, const struct demo_run *p,
                     const struct load_sum *ps, const struct demo_run *q,
                     const struct load_sum *qs)
{
    char a[32], b[32] = "";

    (void)snprintf(a, sizeof a, "%.0f", per_second(ps, p));
    if (q->shared)
        (void)snprintf(b, sizeof b, "%.0f", per_second(qs, q));
    row(label, a, b);
}

static void latency(char *out, size_t room, const struct load_sum *sum)
{
    (void)snprintf(out, room, "%.2f / %.2f ms",
                   (double)load_quantile_ns(sum, 0.5) / 1e6,
                   (double)load_quantile_ns(sum, 0.99) / 1e6);
}

static void row_latency(const char *label, const struct load_sum *ps,
                        const struct load_sum *qs, bool has_ours)
{
    char a[40], b[40] = "";

    latency(a, sizeof a, ps);
    if (has_ours)
        latency(b, sizeof b, qs);
    row(label, a, b);
}

static void row_report(const char *label, const struct demo_report *reports,
                       bool has_ours)
{
    char a[64], b[64] = "";

    (void)snprintf(a, sizeof a, "%llu of %llu",
                   (unsigned long long)reports[0].mixed,
                   (unsigned long long)reports[0].lines);
    if (has_ours)
        (void)snprintf(b, sizeof b, "%llu of %llu",
                       (unsigned long long)reports[1].mixed,
                       (unsigned long long)reports[1].lines);
    row(label, a, b);
}

static void print_tear(const struct demo_run *run)
{
    const struct demo_tear *t = &run->shared->tear;

    if (!atomic_load(&run->shared->have_tear))
        return;
    printf("\nFirst tear: %llu elements carry write +%llu, %llu another one, "
           "+%llu.\n",
           (unsigned long long)t->count[0], (unsigned long long)t->tag[0],
           (unsigned long long)t->count[1], (unsigned long long)t->tag[1]);
}

static void print_line(const struct demo_report *r)
{
    if (!r->have_example)
        return;
    printf("A line that mixes values:");
    for (int i = 0; i < 12; i++)
        printf(" %d", r->example[i]);
    printf("\n");
}

void demo_print_table(const struct demo_options *o, const struct demo_result *r)
{
    const struct demo_run *p = &r->plain, *q = &r->ours;
    bool both = !o->baseline_only;

    row("", "plain way", both ? "atomiczarr" : "");
    row("", "sync=chunk", both ? "sync=full" : "");
    row_count("torn reads", p->torn, q->torn, both);
    row_count("reads", p->reads.ops, q->reads.ops, both);
    row_count("writes", p->writes.ops, q->writes.ops, both);
    row_rate("reads/s", p, &p->reads, q, &q->reads);
    row_rate("writes/s", p, &p->writes, q, &q->writes);
    row_latency("read p50 / p99", &p->reads, &q->reads, both);
    row_latency("write p50 / p99", &p->writes, &q->writes, both);
    row_count("writers killed", p->kills, q->kills, both);
    if (both) {
        char n[32];

        (void)snprintf(n, sizeof n, "%llu", (unsigned long long)q->in_flight);
        row("  between first stage and clear row", "", n);
        row_count("sites torn at the end", p->shared->torn_sites,
                  q->shared->torn_sites, true);
        row_count("other elements changed", p->shared->strays,
                  q->shared->strays, true);
    }
    if (!o->no_reports) {
        row_report("report 1: lines that mix values", r->lines, both);
        row_report("report 2: diagonals not uniform", r->diagonals, both);
    }
    print_tear(p);
    print_line(&r->lines[0]);
    if (r->void_reason)
        printf("\nVoid: %s. This run proves nothing.\n", r->void_reason);
    else if (r->exit_code == CLI_DIFFERS)
        printf("\nFAILED: the right column must be whole.\n");
}

/* ---------------------------------------------------------------- JSON --- */

static void json_load(struct json *j, const char *key,
                      const struct load_sum *sum, const struct demo_run *run)
{
    json_open(j, key, '{');
    json_uint(j, "count", sum->ops);
    json_real(j, "per_s", per_second(sum, run));
    json_real(j, "p50_us", (double)load_quantile_ns(sum, 0.5) / 1e3);
    json_real(j, "p99_us", (double)load_quantile_ns(sum, 0.99) / 1e3);
    json_real(j, "max_us", (double)sum->max_ns / 1e3);
    json_close(j, '}');
}

static void json_run(struct json *j, const char *key,
                     const struct demo_run *run)
{
    json_open(j, key, '{');
    json_uint(j, "torn", run->torn);
    json_real(j, "seconds", run->seconds);
    json_uint(j, "kills", run->kills);
    json_uint(j, "kills_in_flight", run->in_flight);
    json_uint(j, "torn_sites_at_end", run->shared->torn_sites);
    json_uint(j, "strays_at_end", run->shared->strays);
    json_uint(j, "rows_left", run->shared->left_rows);
    json_uint(j, "findings", run->shared->findings);
    json_load(j, "writes", &run->writes, run);
    json_load(j, "reads", &run->reads, run);
    json_close(j, '}');
}

static void json_report(struct json *j, const char *key,
                        const struct demo_report *r)
{
    json_open(j, key, '{');
    json_uint(j, "lines", r->lines);
    json_uint(j, "mixed", r->mixed);
    json_close(j, '}');
}

static void json_side(struct json *j, const char *key,
                      const struct demo_report *r, bool has_ours)
{
    json_open(j, key, '{');
    json_int(j, "procs", DEMO_REPORT_PROCS);
    json_report(j, "plain", &r[0]);
    if (has_ours)
        json_report(j, "ours", &r[1]);
    json_close(j, '}');
}

void demo_print_json(const struct demo_options *o, const struct demo_scene *s,
                     const struct demo_result *r)
{
    struct json j = json_begin(stdout);
    bool both = !o->baseline_only;

    json_open(&j, NULL, '{');
    json_text(&j, "array", s->name);
    json_ints(&j, "shape", s->shape, s->rank);
    json_ints(&j, "chunks", s->chunks, s->rank);
    json_text(&j, "dtype", azr_dtype_name(s->dtype));
    json_text(&j, "codec", s->codec[0] ? s->codec : "default");
    json_text(&j, "durability", o->durability_name);
    json_text(&j, "file_system", r->fs);
    json_bool(&j, "kernel_locks", o->kernel_locks);
    json_int(&j, "procs", o->procs);
    json_int(&j, "writers", o->writers);
    json_int(&j, "readers", o->readers);
    json_int(&j, "threads", o->threads);
    json_uint(&j, "seed", o->seed);
    json_run(&j, "plain", &r->plain);
    if (both)
        json_run(&j, "ours", &r->ours);
    if (!o->no_reports) {
        json_side(&j, "lines", r->lines, both);
        json_side(&j, "diagonals", r->diagonals, both);
    }
    json_bool(&j, "void", r->void_reason != NULL);
    if (r->void_reason)
        json_text(&j, "void_reason", r->void_reason);
    json_int(&j, "exit", r->exit_code);
    json_close(&j, '}');
    json_end(&j);
}
