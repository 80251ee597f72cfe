/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer (trace.h) reads paths of another process. Wherever in its memory one
 * stands, it is read whole: over the end of a page, at each place of it, and up to
 * the last byte before memory that is none.
 */
#include "crash/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char g_path[] = "no-such-directory/over-the-end";
static const char g_name[] = "over-the-end"; /* as an effect has it */

#define LENGTH (sizeof g_path - 1)

static unsigned g_met;

static bool is_whole(const effect *e, void *arg)
{
    (void)arg;
#ifdef AZR_COVERAGE
    if (strstr(e->what, ".gcda")) /* the child's counters, at its end */
        return true;
#endif
    g_met++;
    return (strcmp(e->name, "mkdirat") == 0 && strcmp(e->what, g_name) == 0) ||
           complain("path %u: %s '%s', need '%s'", g_met, e->name, e->what,
                    g_name);
}

/* It cannot be made, and is named all the same. */
static bool make_at(char *at)
{
    memcpy(at, g_path, sizeof g_path);
    return mkdirat(AT_FDCWD, at, 0755) != 0 && errno == ENOENT;
}

static bool be_maker(void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)arg;
    if (p == MAP_FAILED)
        return false;
    for (size_t n = 1; n <= LENGTH; n++) { /* so much of it on the first page */
        if (!make_at(p + page - n))
            return false;
    }
    return munmap(p + page, page) == 0 && make_at(p + page - sizeof g_path);
}

int main(void)
{
    static trace t = {.at = UINT_MAX, .meet = is_whole};
    bool ok;

    if (!trace_works()) {
        (void)printf("ptrace is not allowed here\n");
        return 77;
    }
    ok = trace_run(&t, be_maker, NULL) && !t.missed;
    if (ok && t.status != 0)
        ok = complain("the child ended with %x", (unsigned)t.status);
    if (ok && g_met != LENGTH + 1)
        ok = complain("%u paths were met, of %zu", g_met, LENGTH + 1);
    if (!ok)
        (void)printf("%s\n", scene_error());
    (void)printf("%u paths over the end of a page or up to it\n", g_met);
    return ok ? 0 : 1;
}
