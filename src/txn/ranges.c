/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of the W region a transaction asks for: few, since the kernel
 * keeps the locks of a file in a linear list. Joining over a gap locks too much,
 * which is safe. */
#include "txn/txn_local.h"

static void sort(azri_ranges *r)
{
    /* nearly sorted already: coordinates come in C order */
    for (size_t i = 1; i < r->n; i++) {
        azri_range x = r->list[i];
        size_t k = i;

        for (; k > 0 && r->list[k - 1].first > x.first; k--)
            r->list[k] = r->list[k - 1];
        r->list[k] = x;
    }
}

static void join_at(azri_ranges *r, size_t i)
{
    azri_range *a = &r->list[i];
    const azri_range *b = &r->list[i + 1];

    if (b->last > a->last)
        a->last = b->last;
    a->exclusive |= b->exclusive;
    for (size_t k = i + 1; k + 1 < r->n; k++)
        r->list[k] = r->list[k + 1];
    r->n--;
}

/* Overlaps are joined whatever their modes: one byte may not be asked for twice.
 * Neighbours only if they agree. */
static void join_touching(azri_ranges *r)
{
    for (size_t i = 0; i + 1 < r->n;) {
        const azri_range *a = &r->list[i], *b = &r->list[i + 1];

        if (b->first <= a->last ||
            (b->first == a->last + 1 && a->exclusive == b->exclusive))
            join_at(r, i);
        else
            i++;
    }
}

static void join_nearest(azri_ranges *r)
{
    size_t best = 0;
    uint64_t best_gap = UINT64_MAX;

    for (size_t i = 0; i + 1 < r->n; i++) {
        uint64_t gap = r->list[i + 1].first - r->list[i].last;

        if (gap < best_gap) {
            best_gap = gap;
            best = i;
        }
    }
    join_at(r, best);
}

void azri_ranges_settle(azri_ranges *r)
{
    sort(r);
    join_touching(r);
    while (r->n > AZRI_MAX_RANGES)
        join_nearest(r);
}

void azri_ranges_add(azri_ranges *r, uint64_t offset, bool exclusive)
{
    azri_range *last = r->n > 0 ? &r->list[r->n - 1] : NULL;

    if (last && last->exclusive == exclusive && offset == last->last + 1) {
        last->last = offset;
        return;
    }
    if (last && last->exclusive == exclusive && offset >= last->first &&
        offset <= last->last)
        return;
    if (r->n == 2 * (size_t)AZRI_MAX_RANGES)
        azri_ranges_settle(r);
    r->list[r->n++] = (azri_range){offset, offset, exclusive};
}
