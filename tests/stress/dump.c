/* SPDX-License-Identifier: Apache-2.0 */
/* A history as a line of JSON, for checkers of others (porcupine/). */
#include "checker.h"

#include <inttypes.h>

static void dump_op(FILE *f, const history *h, const hist_op *op)
{
    /* what these two saw and replaced of the length our checker works out */
    bool of_length =
        op->kind == HIST_KIND_APPEND || op->kind == HIST_KIND_LENGTH;
    const char *comma = "";

    (void)fprintf(f,
                  "{\"id\":%" PRIu64 ",\"kind\":%d,\"start\":%" PRId64
                  ",\"end\":%" PRId64 ",\"committed\":%d,\"offset\":%" PRId64
                  ",\"length\":%" PRId64 ",\"rows\":%d,\"accesses\":[",
                  op->id, op->kind, op->start, op->end, op->committed,
                  op->offset, op->length, op->rows);
    for (uint32_t i = op->first; i < op->first + op->count; i++) {
        const hist_access *a = &h->accesses[i];

        if (of_length && a->cell == h->cells)
            continue;
        (void)fprintf(f, "%s[%d,%d,%" PRIu64 ",%" PRIu64 "]", comma, a->cell,
                      a->flags, a->saw, a->pred);
        comma = ",";
    }
    (void)fprintf(f, "]}");
}

bool hist_dump(FILE *f, const history *h, const char *name, bool fine)
{
    (void)fprintf(f,
                  "{\"name\":\"%s\",\"fine\":%s,\"cells\":%d,\"tail_first\":"
                  "%" PRId64 ",\"tail\":[",
                  name, fine ? "true" : "false", h->cells, h->tail_first);
    for (size_t i = 0; i < h->tail_rows; i++)
        (void)fprintf(f, "%s%" PRIu64, i ? "," : "", h->tail[i]);
    (void)fprintf(f, "],\"torn_rows\":[");
    for (size_t i = 0; i < h->tail_rows; i++)
        (void)fprintf(f, "%s%d", i ? "," : "", h->tail_torn[i]);
    (void)fprintf(f, "],\"ops\":[");
    for (size_t i = 0; i < h->op_count; i++) {
        (void)fprintf(f, "%s", i ? "," : "");
        dump_op(f, h, &h->ops[i]);
    }
    (void)fprintf(f, "]}\n");
    return ferror(f) == 0;
}
