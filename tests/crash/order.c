/* SPDX-License-Identifier: Apache-2.0 */
/* The interleavings of interleave.c, all of them. */
#include "crash/interleave.h"

#include <stdio.h>

static unsigned g_stops;
static bool g_failed;

static void say(const char *what, op o, const kind *k, bool ok, unsigned n)
{
    char text[32];

    kind_text(text, k);
    (void)printf("%-24s %-12s %-16s %4u stops%s\n", what, op_name(o), text, n,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    g_stops += n;
    g_failed |= !ok;
}

typedef bool (*stop_fn)(op o, const kind *k, unsigned *n_out);

static void run(const char *what, stop_fn fn, const op *ops, size_t count,
                const kind *k)
{
    for (size_t i = 0; i < count; i++) {
        unsigned n = 0;
        bool ok = fn(ops[i], k, &n);

        say(what, ops[i], k, ok, n);
    }
}

int main(void)
{
    static const op writers[] = {OP_WRITE_2, OP_UPDATE, OP_DELETE, OP_APPEND,
                                 OP_SHRINK};
    static const op dead[] = {OP_WRITE_2, OP_DELETE};
    static const op read[] = {OP_WRITE_8, OP_DELETE, OP_APPEND, OP_SHRINK};
    static const kind kinds[] = {{3, false, false}, {2, true, true}};

    for (size_t i = 0; i < 2; i++) {
        const kind *k = &kinds[i];
        unsigned n = 0;
        bool ok;

        run("a writer stops", stop_writer, writers, 5, k);
        run("recovery stops", stop_recovery, dead, 2, k);
        run("a reader stops", stop_reader, read, 4, k);
        run("… and the writer dies", stop_reader_recovery, read, 4, k);
        ok = stop_reader_between_rows(k, &n);
        say("… between two rows", OP_RECORD, k, ok, n);
        n = 0;
        ok = replace_foreign(&kinds[0], &n);
        say("a foreign write", OP_WRITE_2, &kinds[0], ok, n);
        n = 0;
        ok = sync_before_seal(k, &n);
        say("syncs before the seal", OP_WRITE_2, k, ok, n);
    }
    scene_roots_remove();
    (void)printf("%u interleavings\n", g_stops);
    return g_failed || g_stops < 500 ? 1 : 0;
}
