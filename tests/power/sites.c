/* SPDX-License-Identifier: Apache-2.0 */
/* Places of the source that sync, and the one that does not. */
#include "power/disk.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static disk_site g_sites[DISK_SITES];
static uint32_t g_site_count;
static disk_site g_removed;

uint32_t disk_site_count(void)
{
    return g_site_count;
}

const disk_site *disk_site_at(uint32_t i)
{
    return &g_sites[i];
}

void disk_site_remove(const disk_site *site)
{
    memset(&g_removed, 0, sizeof g_removed);
    if (site)
        g_removed = *site;
}

void disk_sites_forget(void)
{
    g_site_count = 0;
}

/* file:function, and which one of that function. */
static void site_text(disk_site *out)
{
#ifdef AZRI_SABOTAGE
    const char *file = strstr(azri_sync_asked.file, "src/");
    const char *function = azri_sync_asked.function;

    out->line = azri_sync_asked.line;
    (void)snprintf(out->name, sizeof out->name, "%s:%s", file ? file : "?",
                   function);
#else
    out->line = 0;
    (void)snprintf(out->name, sizeof out->name, "sync");
#endif
}

const disk_site *disk_site_asked(void)
{
    disk_site site = {.line = 0};
    uint32_t i = 0;

    site_text(&site);
    while (i < g_site_count && (g_sites[i].line != site.line ||
                                strcmp(g_sites[i].name, site.name) != 0))
        i++;
    if (i == g_site_count) {
        if (g_site_count == DISK_SITES) {
            (void)fprintf(stderr, "too many places of syncs\n");
            abort();
        }
        g_sites[g_site_count++] = site;
    }
    g_sites[i].calls++;
    return &g_sites[i];
}

bool disk_site_is_removed(const disk_site *site)
{
    return g_removed.name[0] &&
           (g_removed.line < 0 || g_removed.line == site->line) &&
           strcmp(g_removed.name, site->name) == 0;
}
