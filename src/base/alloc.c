/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Each block carries its size in front of it, so that the cap is exact. */
typedef union header {
    size_t nbytes;
    max_align_t align;
} header;

static void *default_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return malloc(nbytes);
}

static void *default_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return realloc(p, nbytes);
}

static void default_release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

static azr_allocator g_allocator = {default_alloc, default_resize,
                                    default_release, NULL};
static _Atomic uint64_t g_used;
static _Atomic uint64_t g_peak;
static _Atomic uint64_t g_cap;

int azr_set_allocator(const azr_allocator *a)
{
    static const azr_allocator defaults = {default_alloc, default_resize,
                                           default_release, NULL};

    if (atomic_load(&g_used) != 0)
        return AZR_EINVAL;
    if (a && (!a->alloc || !a->resize || !a->release))
        return AZR_EINVAL;
    g_allocator = a ? *a : defaults;
    return AZR_OK;
}

void azr_set_memory_cap(uint64_t nbytes)
{
    atomic_store(&g_cap, nbytes);
}

/* Account for `more` bytes; false if the cap would be passed. */
static bool reserve(uint64_t more)
{
    uint64_t cap = atomic_load_explicit(&g_cap, memory_order_relaxed);
    uint64_t now =
        atomic_fetch_add_explicit(&g_used, more, memory_order_relaxed) + more;
    uint64_t peak;

    if (cap != 0 && now > cap) {
        atomic_fetch_sub_explicit(&g_used, more, memory_order_relaxed);
        return false;
    }
    peak = atomic_load_explicit(&g_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &g_peak, &peak, now, memory_order_relaxed,
                             memory_order_relaxed)) {
    }
    return true;
}

static void unreserve(uint64_t less)
{
    atomic_fetch_sub_explicit(&g_used, less, memory_order_relaxed);
}

void *azri_alloc(size_t nbytes)
{
    header *h;

    if (nbytes > SIZE_MAX / 2 || !reserve(nbytes + sizeof *h))
        return NULL;
    h = g_allocator.alloc(nbytes + sizeof *h, g_allocator.arg);
    if (!h) {
        unreserve(nbytes + sizeof *h);
        return NULL;
    }
    h->nbytes = nbytes;
    return h + 1;
}

void *azri_calloc(size_t count, size_t nbytes)
{
    size_t total;
    void *p;

    if (__builtin_mul_overflow(count, nbytes, &total))
        return NULL;
    p = azri_alloc(total);
    if (p)
        memset(p, 0, total);
    return p;
}

void *azri_resize(void *p, size_t nbytes)
{
    header *h;
    size_t old;

    if (!p)
        return azri_alloc(nbytes);
    if (nbytes > SIZE_MAX / 2)
        return NULL;
    h = (header *)p - 1;
    old = h->nbytes;
    if (nbytes > old && !reserve(nbytes - old))
        return NULL;
    h = g_allocator.resize(h, nbytes + sizeof *h, g_allocator.arg);
    if (!h) {
        if (nbytes > old)
            unreserve(nbytes - old);
        return NULL;
    }
    if (nbytes < old)
        unreserve(old - nbytes);
    h->nbytes = nbytes;
    return h + 1;
}

void azri_free(void *p)
{
    header *h;

    if (!p)
        return;
    h = (header *)p - 1;
    unreserve(h->nbytes + sizeof *h);
    g_allocator.release(h, g_allocator.arg);
}

char *azri_strndup(const char *text, size_t n)
{
    char *copy = azri_alloc(n + 1);

    if (!copy)
        return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *azri_strdup(const char *text)
{
    return azri_strndup(text, strlen(text));
}

uint64_t azri_heap_nbytes(void)
{
    return atomic_load(&g_used);
}

uint64_t azri_heap_peak_nbytes(void)
{
    return atomic_load(&g_peak);
}

void azr_free(void *p)
{
    azri_free(p);
}
