/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "progress.h"
#include "region.h"

#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_MAX  4096 /* more than an array has */
#define SNAPS_MAX 1024 /* that are shown */

static const struct cli_usage usage = {
    "status PATH [--watch]",
    "Who has a transaction open on the array, for how long, what each one "
    "waits\n"
    "for and who holds it; and who has a snapshot of it, and how many bytes "
    "that\n"
    "keeps. Takes no lock and changes nothing. A row whose owner is dead is "
    "finished\n"
    "by the next writer, or by azr recover. Of a group or a directory: every "
    "array\n"
    "below it.\n",
    "  azr status x.zarr\n"
    "  azr status /data/experiment\n"
    "  azr status x.zarr --watch --interval 0.5\n"
    "  azr status x.zarr --json | jq '.rows[] | select(.alive | not)'\n"};

struct rows {
    azr_row_info *items;
    size_t count;
    struct snaps {
        azr_snapshot_info *items;
        size_t count;
    } snaps;
};

static int take_row(const azr_row_info *row, void *arg)
{
    struct rows *rows = arg;

    if (rows->count == ROWS_MAX)
        return 1;
    rows->items[rows->count++] = *row;
    return 0;
}

static int take_snapshot(const azr_snapshot_info *info, void *arg)
{
    struct snaps *snaps = arg;

    if (snaps->count == SNAPS_MAX)
        return 1;
    snaps->items[snaps->count++] = *info;
    return 0;
}

static struct rows rows_new(void)
{
    struct rows rows = {cli_alloc(ROWS_MAX, sizeof *rows.items), 0, {NULL, 0}};

    rows.snaps.items = cli_alloc(SNAPS_MAX, sizeof *rows.snaps.items);
    return rows;
}

static void rows_free(struct rows *rows)
{
    free(rows->items);
    free(rows->snaps.items);
}

/* What goes on in the array now. */
static int look(azr_array *array, void *arg, azr_error *err)
{
    struct rows *rows = arg;
    int rc;

    rows->count = rows->snaps.count = 0;
    rc = azr_array_status(array, take_row, rows, err);
    return rc < 0
               ? rc
               : azr_array_snapshots(array, take_snapshot, &rows->snaps, err);
}

static const char *state_name(int state)
{
    static const char *const names[] = {"free", "active", "prepared", "sealed",
                                        "committed"};

    return state >= 0 && state <= AZR_ROW_COMMITTED ? names[state] : "unknown";
}

static void user_name(char *out, size_t size, uint32_t uid)
{
    struct passwd pw, *found = NULL;
    char buffer[1024];

    if (getpwuid_r((uid_t)uid, &pw, buffer, sizeof buffer, &found) == 0 &&
        found)
        (void)snprintf(out, size, "%s", found->pw_name);
    else
        (void)snprintf(out, size, "%u", uid);
}

static double age_of(int64_t since_ns)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
           (double)since_ns / 1e9;
}

static void print_wait(const azr_row_info *row)
{
    char age[32];

    if (row->waits_for[0] == '\0') {
        printf("-\n");
        return;
    }
    seconds_text(age, sizeof age, age_of(row->waits_since_ns));
    printf("%s for %s", row->waits_for, age);
    if (row->waits_row >= 0)
        printf(", held by row %d, pid %d", row->waits_row, row->waits_pid);
    printf("\n");
}

static void print_row(const struct cli *cli, const azr_row_info *row)
{
    char user[64], age[32], owner[160];
    bool shown = cli->color_out && !row->alive;

    user_name(user, sizeof user, row->uid);
    seconds_text(age, sizeof age, age_of(row->start_time_ns));
    (void)snprintf(owner, sizeof owner, "%s@%.63s pid %d", user, row->host,
                   row->pid);
    printf("%s%3d  %-9s  %-5s  %-32s  %-12s  %6u  ", shown ? "\033[31m" : "",
           row->row, state_name(row->state), row->alive ? "alive" : "dead",
           owner, age, row->staged);
    print_wait(row);
    if (shown)
        printf("\033[0m");
}

static void print_snapshots(const struct cli *cli, const struct snaps *snaps)
{
    for (size_t i = 0; i < snaps->count; i++) {
        const azr_snapshot_info *info = &snaps->items[i];
        bool shown = cli->color_out && !info->alive;
        char user[64], age[32], kept[32];

        user_name(user, sizeof user, info->uid);
        seconds_text(age, sizeof age, age_of(info->start_time_ns));
        bytes_text(kept, sizeof kept, (double)info->kept_nbytes);
        printf("%ssnapshot %.8s  %-5s  %s@%.63s pid %d, age %s, keeps %s "
               "alive%s\n",
               shown ? "\033[31m" : "", info->id,
               info->alive ? "alive" : "dead", user, info->host, info->pid, age,
               kept, shown ? "\033[0m" : "");
    }
}

static void print_table(const struct cli *cli, const struct rows *rows,
                        const char *path)
{
    bool dead = false;

    print_snapshots(cli, &rows->snaps);
    if (rows->count == 0) {
        printf("no transaction is open\n");
        return;
    }
    printf("row  state      owner  %-32s  %-12s  staged  waits for\n", "who",
           "age");
    for (size_t i = 0; i < rows->count; i++) {
        print_row(cli, &rows->items[i]);
        dead = dead || !rows->items[i].alive;
    }
    if (dead)
        printf("the next writer finishes what the dead left; or now: azr "
               "recover '%s'\n",
               path);
}

static void json_row(struct json *j, const azr_row_info *row, const char *array)
{
    char user[64];

    user_name(user, sizeof user, row->uid);
    json_open(j, NULL, '{');
    if (array)
        json_text(j, "array", array);
    json_int(j, "row", row->row);
    json_text(j, "state", state_name(row->state));
    json_bool(j, "alive", row->alive != 0);
    json_uint(j, "id", row->id);
    json_int(j, "pid", row->pid);
    json_uint(j, "uid", row->uid);
    json_text(j, "user", user);
    json_text(j, "host", row->host);
    json_bool(j, "this_boot", row->this_boot != 0);
    json_real(j, "age", age_of(row->start_time_ns));
    json_uint(j, "objects", row->objects);
    json_uint(j, "staged", row->staged);
    json_bool(j, "touches_metadata", row->touches_metadata != 0);
    if (row->waits_for[0]) {
        json_open(j, "waits", '{');
        json_text(j, "for", row->waits_for);
        json_real(j, "age", age_of(row->waits_since_ns));
        json_int(j, "row", row->waits_row);
        json_int(j, "pid", row->waits_pid);
        json_close(j, '}');
    } else {
        json_null(j, "waits");
    }
    json_close(j, '}');
}

static void json_snapshots(struct json *j, const struct snaps *snaps,
                           const char *array)
{
    for (size_t i = 0; i < snaps->count; i++) {
        const azr_snapshot_info *info = &snaps->items[i];
        char user[64];

        user_name(user, sizeof user, info->uid);
        json_open(j, NULL, '{');
        if (array)
            json_text(j, "array", array);
        json_text(j, "id", info->id);
        json_bool(j, "alive", info->alive != 0);
        json_int(j, "pid", info->pid);
        json_uint(j, "uid", info->uid);
        json_text(j, "user", user);
        json_text(j, "host", info->host);
        json_real(j, "age", age_of(info->start_time_ns));
        json_uint(j, "objects", info->objects);
        json_uint(j, "bytes", info->nbytes);
        json_uint(j, "kept_bytes", info->kept_nbytes);
        json_close(j, '}');
    }
}

static void print_json(const struct rows *rows, const char *path)
{
    struct json j = json_begin(stdout);

    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_open(&j, "rows", '[');
    for (size_t i = 0; i < rows->count; i++)
        json_row(&j, &rows->items[i], NULL);
    json_close(&j, ']');
    json_open(&j, "snapshots", '[');
    json_snapshots(&j, &rows->snaps, NULL);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static int show(struct cli *cli, azr_array *array, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    struct rows rows = rows_new();
    int rc = look(array, &rows, &err);

    if (rc < 0)
        rc = cli_fail_at(cli, rc, &err, path);
    else if (cli->json)
        print_json(&rows, path);
    else
        print_table(cli, &rows, path);
    rows_free(&rows);
    return rc;
}

/* Until a signal, or until nobody reads us any more. */
static int watch(struct cli *cli, azr_array *array, const char *path,
                 int64_t interval_ms)
{
    int rc = 0;

    while (rc == 0 && !cli_signal) {
        if (cli->color_out && !cli->json)
            printf("\033[H\033[J");
        rc = show(cli, array, path);
        if (rc == 0 && fflush(stdout) != 0)
            return CLI_OK; /* the end of main tells why */
        if (rc == 0)
            (void)poll(NULL, 0, (int)interval_ms);
    }
    return rc != 0 ? rc : CLI_SIGNAL + cli_signal;
}

/* ---------------------------------------------------------------- a tree --- */

struct survey {
    struct cli *cli;
    struct json json, snaps; /* snapshots: gathered beside the rows */
    size_t arrays, busy;
    int exit_code;
};

static void show_array(struct survey *s, const struct node *n,
                       const struct rows *rows)
{
    if (rows->count > 0)
        s->busy++;
    if (s->cli->json)
        json_snapshots(&s->snaps, &rows->snaps, n->relative);
    for (size_t i = 0; s->cli->json && i < rows->count; i++)
        json_row(&s->json, &rows->items[i], n->relative);
    if (!s->cli->json && rows->count + rows->snaps.count > 0) {
        cli_put(stdout, n->path);
        printf(":\n");
        print_table(s->cli, rows, n->path);
    }
}

/* What cannot be read is said; the others are looked at all the same. */
static void survey_one(struct survey *s, const struct node *n,
                       struct rows *rows)
{
    int rc;

    rows->count = rows->snaps.count = 0;
    rc = node_visit(s->cli, n, look, rows);
    s->arrays++;
    if (rc == 0)
        show_array(s, n, rows);
    else
        s->exit_code = rc;
}

static int survey(struct cli *cli, const char *path)
{
    struct survey s = {.cli = cli, .json = json_begin(stdout)};
    char *snapshots = NULL;
    size_t size = 0;
    struct rows rows = rows_new();
    struct nodes nodes;
    FILE *aside = open_memstream(&snapshots, &size);
    int rc = aside ? nodes_at(cli, &nodes, path, 0)
                   : cli_error(cli, CLI_IO, "out of memory");

    if (!aside) {
        rows_free(&rows);
        return rc;
    }
    s.snaps = json_begin(aside);
    json_open(&s.snaps, NULL, '[');
    if (rc == 0 && cli->json) {
        json_open(&s.json, NULL, '{');
        json_text(&s.json, "path", path);
        json_open(&s.json, "rows", '[');
    }
    for (size_t i = 0; rc == 0 && i < nodes.count && !cli_signal; i++) {
        if (nodes.items[i].kind == AZR_NODE_ARRAY ||
            nodes.items[i].kind == AZR_NODE_NONE)
            survey_one(&s, &nodes.items[i], &rows);
    }
    json_close(&s.snaps, ']');
    (void)fclose(aside);
    if (rc == 0 && cli->json) {
        json_close(&s.json, ']');
        json_raw(&s.json, "snapshots", snapshots ? snapshots : "[]");
        json_uint(&s.json, "arrays", s.arrays);
        json_close(&s.json, '}');
        json_end(&s.json);
    } else if (rc == 0) {
        printf("%zu arrays, %zu with open transactions\n", s.arrays, s.busy);
    }
    free(snapshots);
    nodes_free(&nodes);
    rows_free(&rows);
    return rc != 0 ? rc : s.exit_code;
}

static int survey_again(struct cli *cli, const char *path, bool again,
                        int64_t interval_ms)
{
    int rc;

    do {
        if (again && cli->color_out && !cli->json)
            printf("\033[H\033[J");
        rc = survey(cli, path);
        if (again && fflush(stdout) != 0)
            return CLI_OK; /* the end of main tells why */
        if (again && rc == 0)
            (void)poll(NULL, 0, (int)interval_ms);
    } while (again && rc == 0 && !cli_signal);
    return rc != 0 || !again ? rc : CLI_SIGNAL + cli_signal;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    azr_array *array = NULL;
    int64_t interval_ms = 1000;
    int is_watch = 0, kind = AZR_NODE_NONE, rc;
    const struct cli_option options[] = {
        {CLI_FLAG, 'w', "watch", &is_watch, NULL,
         "again and again, until Ctrl-C"},
        {CLI_SECONDS, 0, "interval", &interval_ms, "SECONDS",
         "between two looks (1)"},
        CLI_OPTION_END,
    };

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (interval_ms < 10 || interval_ms > 3600000)
        return cli_usage_error(cli, "--interval: need 0.01 to 3600 seconds");
    if (azr_node_at(&kind, NULL, words.items[0], NULL) == AZR_OK &&
        kind != AZR_NODE_ARRAY)
        return survey_again(cli, words.items[0], is_watch, interval_ms);
    rc = cli_open(cli, &array, words.items[0], AZR_OPEN_OPAQUE);
    if (rc == 0)
        rc = is_watch ? watch(cli, array, words.items[0], interval_ms)
                      : show(cli, array, words.items[0]);
    azr_array_close(array);
    return rc;
}
