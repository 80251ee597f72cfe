/* SPDX-License-Identifier: Apache-2.0 */
/* Places of the source that sync, and the one that does not. */
#include "power/disk.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static disk_site g_sites[DISK_SITES];
static uint32_t g_site_count;
static disk_site g_removed, g_watched;

bool disk_site_same(const disk_site *a, const disk_site *b)
{
    return a->line == b->line && strcmp(a->name, b->name) == 0;
}

uint32_t disk_site_note(disk_site list[DISK_SITES], uint32_t *n,
                        const disk_site *site)
{
    uint32_t k = 0;

    while (k < *n && !disk_site_same(&list[k], site))
        k++;
    if (k == *n && k < DISK_SITES)
        list[(*n)++] = *site;
    return k;
}

unsigned disk_site_nth(const disk_site *list, uint32_t n, uint32_t k)
{
    unsigned nth = 1;

    for (uint32_t i = 0; i < n; i++)
        nth += strcmp(list[i].name, list[k].name) == 0 &&
               list[i].line < list[k].line;
    return nth;
}

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
    g_watched = g_removed;
}

void disk_site_watch(const disk_site *site)
{
    g_watched = *site;
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

const disk_site *disk_site_asked(bool logged)
{
    disk_site site = {.line = 0};
    uint32_t i;

    site_text(&site);
    i = disk_site_note(g_sites, &g_site_count, &site);
    if (i == DISK_SITES) {
        (void)fprintf(stderr, "too many places of syncs\n");
        abort();
    }
    *(logged ? &g_sites[i].calls : &g_sites[i].unlogged) += 1;
    return &g_sites[i];
}

static bool is_one_of(const disk_site *site, const disk_site *those)
{
    return those->name[0] && (those->line < 0 || those->line == site->line) &&
           strcmp(those->name, site->name) == 0;
}

bool disk_site_is_removed(const disk_site *site)
{
    return is_one_of(site, &g_removed);
}

bool disk_site_is_watched(void)
{
    return g_watched.name[0] != '\0';
}

uint32_t disk_site_watched_calls(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g_site_count; i++)
        n += is_one_of(&g_sites[i], &g_watched)
                 ? g_sites[i].calls + g_sites[i].unlogged
                 : 0;
    return n;
}
