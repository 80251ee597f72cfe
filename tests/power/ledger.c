/* SPDX-License-Identifier: Apache-2.0 */
#include "power/ledger.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

double ledger_seconds(void)
{
    struct timespec t;

    (void)timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void ledger_place(FILE *f)
{
    static const char git[] =
        "git -C '" AZR_TEST_SOURCE_DIR "' rev-parse --short HEAD 2>/dev/null";
    char commit[64] = "unknown";
    struct utsname host;
    FILE *p = popen(git, "r");

    if (p) {
        if (fgets(commit, sizeof commit, p))
            commit[strcspn(commit, "\n")] = '\0';
        (void)pclose(p);
    }
    (void)fprintf(f, "# commit\t%s\n", commit);
    if (uname(&host) == 0)
        (void)fprintf(f, "# machine\t%ld processors, %s %s, %s\n",
                      sysconf(_SC_NPROCESSORS_ONLN), host.sysname, host.release,
                      host.machine);
}

void ledger_text(FILE *f, const char *text)
{
    for (; *text; text++)
        (void)fputc(*text == '\t' || *text == '\n' ? ' ' : *text, f);
}
