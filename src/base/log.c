/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic(azr_log_fn) g_log_fn;
static _Atomic(void *) g_log_arg;
static _Atomic int g_log_level;

void azr_set_log(azr_log_fn fn, int level, void *arg)
{
    atomic_store(&g_log_level, 0);
    atomic_store(&g_log_arg, arg);
    atomic_store(&g_log_fn, fn);
    atomic_store(&g_log_level, fn ? level : 0);
}

void azri_log(int level, const char *fmt, ...)
{
    char line[512];
    azr_log_fn fn;
    va_list ap;

    if (level > atomic_load_explicit(&g_log_level, memory_order_relaxed))
        return;
    fn = atomic_load(&g_log_fn);
    if (!fn)
        return;
    va_start(ap, fmt);
    if (vsnprintf(line, sizeof line, fmt, ap) < 0)
        line[0] = '\0';
    va_end(ap);
    azri_one_line(line);
    fn(level, line, atomic_load(&g_log_arg));
}
