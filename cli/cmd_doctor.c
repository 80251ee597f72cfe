/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 10000 /* a peer that says nothing for so long is stuck */
#define WORD_A    UINT64_C(0x0123456789abcdef)
#define WORD_B    UINT64_C(0xfedcba9876543210)

static const struct cli_usage usage = {
    "doctor [PATH]",
    "Is this file system fit for atomic writes? Tries, on a file of its own "
    "in\n"
    "the directory PATH (here: .), what the library relies on: locks that "
    "exclude\n"
    "another process and go away with it, memory maps that show each other's\n"
    "stores, atomic renames. Two processes take part. Exit code 9: not fit.\n\n"
    "What it cannot show: whether locks hold between two hosts, and whether a\n"
    "disk that reports a sync has really done it.\n",
    "  azr doctor /data\n"
    "  azr doctor /data --json\n"};

/* ----------------------------------------------------------- the peer --- */

/* The peer does what each byte asks and answers with one: '0' no, '1' yes, 'e'
 * error. It was forked before anything was opened, so it shares no file
 * description with us. */
static char obey(azr_probe *p, char order)
{
    int rc;

    switch (order) {
    case 'x':
        rc = azr_probe_lock(p, 1, NULL);
        return rc < 0 ? 'e' : rc ? '1' : '0';
    case 's':
        rc = azr_probe_lock(p, 0, NULL);
        return rc < 0 ? 'e' : rc ? '1' : '0';
    case 'u':
        return azr_probe_unlock(p, NULL) < 0 ? 'e' : '1';
    case 'a':
        return azr_probe_load(p) == WORD_A ? '1' : '0';
    case 'b':
        azr_probe_store(p, WORD_B);
        return '1';
    default:
        return 'e';
    }
}

static void peer(const char *path, const char *name, int in, int out)
{
    azr_probe *p = NULL;
    char order;

    while (read(in, &order, 1) == 1) {
        char answer = 'e';

        if (order == 'o')
            answer = azr_probe_open(&p, path, name, NULL) < 0 ? 'e' : '1';
        else if (p)
            answer = obey(p, order);
        if (write(out, &answer, 1) != 1)
            break;
    }
    _exit(0); /* locks and all, as a process that dies */
}

struct peer_handle {
    pid_t pid;
    int to, from;
};

static int peer_start(struct peer_handle *h, const char *path, const char *name)
{
    int down[2], up[2];

    if (pipe(down) != 0)
        return -1;
    if (pipe(up) != 0) {
        close(down[0]);
        close(down[1]);
        return -1;
    }
    h->pid = fork();
    if (h->pid == 0) {
        close(down[1]);
        close(up[0]);
        peer(path, name, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    h->to = down[1];
    h->from = up[0];
    return h->pid < 0 ? -1 : 0;
}

/* 'e' also when the peer is silent or dead. */
static char peer_ask(const struct peer_handle *h, char order)
{
    struct pollfd p = {h->from, POLLIN, 0};
    char answer = 'e';

    if (write(h->to, &order, 1) != 1 || poll(&p, 1, ANSWER_MS) != 1 ||
        read(h->from, &answer, 1) != 1)
        return 'e';
    return answer;
}

static void peer_kill(struct peer_handle *h)
{
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        close(h->to);
        close(h->from);
    }
    h->pid = 0;
}

/* -------------------------------------------------------------- checks --- */

enum { CHECKS_MAX = 16 };

struct check {
    const char *key, *text, *remedy;
    bool passed, needed;
};

struct exam {
    azr_fs_report fs;
    struct check checks[CHECKS_MAX];
    size_t count;
};

static void note(struct exam *e, const char *key, const char *text, bool passed,
                 bool needed, const char *remedy)
{
    struct check c = {key, text, remedy, passed, needed};

    e->checks[e->count++] = c;
}

static void check_two(struct exam *e, struct peer_handle *h, azr_probe *p)
{
    static const char locks[] =
        "mount with locks that the kernel keeps (NFS: not nolock; Lustre: "
        "-o flock)";
    static const char maps[] =
        "use a local file system; a network one without coherent maps cannot "
        "be written by several processes";
    bool ours, kept, shared, after_unlock, after_death;

    ours = azr_probe_lock(p, 1, NULL) == 1;
    kept = peer_ask(h, 'x') == '0';
    note(e, "lock_excludes", "a lock keeps another process out", ours && kept,
         true, locks);
    after_unlock = azr_probe_unlock(p, NULL) == AZR_OK &&
                   peer_ask(h, 'x') == '1' && azr_probe_lock(p, 1, NULL) == 0;
    note(e, "lock_handover", "unlocked here, locked there", after_unlock, true,
         locks);
    shared = peer_ask(h, 'u') == '1' && peer_ask(h, 's') == '1' &&
             azr_probe_lock(p, 0, NULL) == 1;
    note(e, "lock_shared", "two readers hold a lock together", shared, true,
         locks);
    azr_probe_store(p, WORD_A);
    note(e, "map_seen_there", "a store through a map is seen there",
         peer_ask(h, 'a') == '1', true, maps);
    note(e, "map_seen_here", "a store of the other is seen here",
         peer_ask(h, 'b') == '1' && azr_probe_load(p) == WORD_B, true, maps);
    after_death = azr_probe_unlock(p, NULL) == AZR_OK;
    after_death = after_death && peer_ask(h, 'u') == '1' &&
                  peer_ask(h, 'x') == '1' && azr_probe_lock(p, 1, NULL) == 0;
    peer_kill(h);
    after_death = after_death && azr_probe_lock(p, 1, NULL) == 1;
    note(e, "lock_freed_by_death", "a killed process loses its lock",
         after_death, true, locks);
}

static void check_one(struct exam *e)
{
    const azr_fs_report *fs = &e->fs;

    note(e, "lock_conflict", "two descriptors of a process exclude each other",
         fs->locks_conflict && fs->locks_released, true,
         "a kernel with open file description locks (Linux 3.15) is needed");
    note(e, "map_coherent", "a store through a map is seen by read",
         fs->map_coherent != 0, true, "use a local file system");
    note(e, "rename_atomic", "rename replaces a file", fs->rename_atomic != 0,
         true, "use a local file system");
    note(e, "rename_noreplace", "rename can refuse to replace",
         fs->rename_noreplace != 0, false,
         "a hard link is used instead: nothing to do");
    note(e, "unnamed_files", "files without a name (O_TMPFILE)",
         fs->unnamed_files != 0, false,
         "named temporary files are used instead: nothing to do");
}

static int examine(struct cli *cli, struct exam *e, struct peer_handle *h,
                   const char *path, const char *name)
{
    azr_error err = AZR_ERROR_INIT;
    azr_probe *p = NULL;
    int rc;

    e->fs.struct_size = (uint32_t)sizeof e->fs;
    rc = azr_fs_probe(path, &e->fs, &err);
    if (rc == AZR_OK)
        rc = azr_probe_open(&p, path, name, &err);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    check_one(e);
    if (peer_ask(h, 'o') == '1')
        check_two(e, h, p);
    else
        note(e, "peer", "a second process can open the probe file", false, true,
             "check permissions of the directory");
    azr_probe_close(p, 1);
    return 0;
}

/* -------------------------------------------------------------- report --- */

static const char *class_name(int fs_class)
{
    return fs_class == AZR_FS_LOCAL     ? "local"
           : fs_class == AZR_FS_NETWORK ? "network"
                                        : "unsafe";
}

static bool is_fit(const struct exam *e)
{
    bool fit = e->fs.fs_class == AZR_FS_LOCAL;

    for (size_t i = 0; i < e->count; i++)
        fit = fit && (e->checks[i].passed || !e->checks[i].needed);
    return fit;
}

static const char *verdict(const struct exam *e)
{
    if (is_fit(e))
        return "fit for atomic writes by any number of processes of this host";
    if (e->fs.fs_class == AZR_FS_LOCAL)
        return "not fit: what failed above is needed";
    if (e->fs.fs_class == AZR_FS_NETWORK)
        return "not fit for writing yet: a network file system; reading works, "
               "write on a local one and copy";
    return "not fit: this kind of file system keeps no promise about locks";
}

static void print_text(const struct cli *cli, const struct exam *e,
                       const char *path)
{
    printf("%s: file system %s (%s, 0x%llx)\n", path, e->fs.name,
           class_name(e->fs.fs_class), (unsigned long long)e->fs.magic);
    for (size_t i = 0; i < e->count; i++) {
        const struct check *c = &e->checks[i];
        const char *mark = c->passed ? "yes" : c->needed ? "NO " : "no ";
        bool red = cli->color_out && !c->passed && c->needed;

        printf("  %s%s%s  %s\n", red ? "\033[31m" : "", mark,
               red ? "\033[0m" : "", c->text);
        if (!c->passed)
            printf("       %s\n", c->remedy);
    }
    printf("%s\n", verdict(e));
}

static void print_json(const struct exam *e, const char *path)
{
    struct json j = json_begin(stdout);

    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_text(&j, "file_system", e->fs.name);
    json_text(&j, "class", class_name(e->fs.fs_class));
    json_uint(&j, "magic", e->fs.magic);
    json_open(&j, "checks", '{');
    for (size_t i = 0; i < e->count; i++)
        json_bool(&j, e->checks[i].key, e->checks[i].passed);
    json_close(&j, '}');
    json_bool(&j, "fit", is_fit(e));
    json_text(&j, "verdict", verdict(e));
    json_close(&j, '}');
    json_end(&j);
}

int cmd_doctor(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct peer_handle h = {0, -1, -1};
    struct exam e;
    char name[64];
    const char *path = ".";
    int rc;

    memset(&e, 0, sizeof e);
    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 0, 1))
        return cli->exit_code;
    if (words.count > 0)
        path = words.items[0];
    (void)snprintf(name, sizeof name, ".azr-doctor-%ld", (long)getpid());
    if (peer_start(&h, path, name) != 0)
        return cli_error(cli, CLI_IO, "fork: %s", cli_errno_text(errno));
    rc = examine(cli, &e, &h, path, name);
    peer_kill(&h);
    if (rc == 0 && cli_signal)
        rc = cli_interrupted(cli);
    if (rc != 0)
        return rc;
    if (cli->json)
        print_json(&e, path);
    else
        print_text(cli, &e, path);
    return is_fit(&e) ? CLI_OK : CLI_UNSUPPORTED;
}
