/* SPDX-License-Identifier: Apache-2.0 */
/* The rows for people, and the durability of an array. Nothing here waits. */
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct staged_count {
    uint64_t id;
    uint32_t n;
} staged_count;

static int count_staged(const char *name, unsigned char d_type, void *arg)
{
    staged_count *c = arg;
    uint64_t id;

    (void)d_type;
    if (azri_staged_id(&id, name) && id == c->id)
        c->n++;
    return 0;
}

static const char *name_of_lock(uint64_t first)
{
    if (first == AZRI_LOCK_META)
        return "META";
    if (first == AZRI_LOCK_DOC)
        return "DOC";
    return "chunks";
}

static bool stands_in_way(azri_wait_slot *holder, const azri_range *r)
{
    uint32_t flags = atomic_load(&holder->holds_flags);
    uint64_t last = atomic_load(&holder->holds_last);

    if (r->first == AZRI_LOCK_META)
        return (flags & (r->exclusive ? AZRI_HOLDS_META
                                      : AZRI_HOLDS_META_EXCLUSIVE)) != 0;
    if (r->first == AZRI_LOCK_DOC)
        return (flags & (r->exclusive ? AZRI_HOLDS_DOC
                                      : AZRI_HOLDS_DOC_EXCLUSIVE)) != 0;
    return last != 0 && atomic_load(&holder->holds_first) <= r->last &&
           (last & ~AZRI_WAIT_EXCLUSIVE) >= r->first &&
           (r->exclusive || (last & AZRI_WAIT_EXCLUSIVE));
}

static void describe_wait(azr_row_info *info, const azri_state *s, uint32_t i)
{
    azri_wait_slot *slot = &azri_state_row(s, i)->wait;
    uint64_t last = atomic_load(&slot->last);
    azri_range r = {atomic_load(&slot->first), last & ~AZRI_WAIT_EXCLUSIVE,
                    (last & AZRI_WAIT_EXCLUSIVE) != 0};

    info->waits_row = -1;
    if (last == 0)
        return;
    (void)snprintf(info->waits_for, sizeof info->waits_for, "%s%s",
                   name_of_lock(r.first), r.exclusive ? "" : " (shared)");
    info->waits_since_ns = (int64_t)atomic_load(&slot->since_ns);
    for (uint32_t k = 0; k < azri_state_rows(s); k++) {
        azri_row *row = azri_state_row(s, k);
        uint64_t word = atomic_load(azri_state_word(s, k));

        if (k == i || azri_word_state(word) == AZRI_FREE ||
            !stands_in_way(&row->wait, &r))
            continue;
        info->waits_row = (int32_t)k;
        info->waits_pid = (int32_t)row->who.pid;
        return;
    }
}

static void describe_owner(azr_row_info *info, const azri_state *s, uint32_t i)
{
    uint8_t boot[16];
    azri_who who = {0};

    azri_part_get(&who, &azri_state_row(s, i)->who, sizeof who);
    azri_boot_id(boot);
    who.host[sizeof who.host - 1] = '\0';
    info->pid = (int32_t)who.pid;
    info->uid = who.uid;
    info->this_boot = memcmp(boot, who.boot, sizeof boot) == 0;
    info->start_time_ns = who.start_ns;
    memcpy(info->host, who.host, sizeof info->host);
}

static void describe_row(azr_row_info *info, azri_domain *d, int fd, uint32_t i,
                         uint64_t word)
{
    azri_state *s = azri_domain_state(d);
    azri_range slot = {AZRI_LOCK_SLOT + i, AZRI_LOCK_SLOT + i, false};
    staged_count staged = {azri_word_id(word), 0};
    azri_intent in = {0};

    memset(info, 0, sizeof *info);
    info->struct_size = sizeof *info;
    info->row = (int32_t)i;
    info->state = (int32_t)azri_word_state(word);
    info->id = azri_word_id(word);
    info->alive = azri_ofd_busy(fd, &slot);
    describe_owner(info, s, i);
    describe_wait(info, s, i);
    if (info->state != AZRI_ACTIVE &&
        azri_intent_read(&in, d, i, word, false, NULL) == AZR_OK) {
        info->objects = (uint32_t)in.count;
        info->touches_metadata = (in.flags & AZRI_WHAT_METADATA) != 0;
    }
    azri_ignore(azri_list_lane(d, i, count_staged, &staged, NULL));
    info->staged = staged.n;
}

int azri_domain_status(azri_domain *d, azr_row_fn fn, void *arg, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    uint32_t rows;
    int fd = -1;
    int rc;

    if (!s)
        return AZR_OK;
    rows = azri_state_rows(s);
    rc = azri_domain_take_fd(d, &fd, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t word = atomic_load(azri_state_word(s, i));
        azr_row_info info;

        if (azri_word_state(word) == AZRI_FREE)
            continue;
        describe_row(&info, d, fd, i, word);
        if (atomic_load(azri_state_word(s, i)) != word)
            continue; /* gone while we looked */
        if (fn(&info, arg) != 0)
            break;
    }
    azri_domain_give_fd(d, fd);
    return AZR_OK;
}

/* ---------------------------------------------------------- durability --- */

static int no_other_row(azri_domain *d, uint32_t own, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    char who[160];

    for (uint32_t i = 0; i < azri_state_rows(s); i++) {
        uint64_t word = atomic_load(azri_state_word(s, i));

        if (i == own || azri_word_state(word) == AZRI_FREE)
            continue;
        azri_owner_text(who, sizeof who, s, i);
        return azri_fail(err, AZR_EBUSY,
                         "'%s': durability cannot change while a transaction "
                         "is open: %s",
                         d->path, who);
    }
    return AZR_OK;
}

/* Everybody goes by the new one already. */
static int sync_durability(azri_domain *d, const azri_state *s, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;

    if (azri_fdatasync_fd(s->fd, ".azr/state", &why) == AZR_OK)
        return AZR_OK;
    atomic_store(&d->poisoned, true);
    return azri_fail_why(err, AZR_EUNKNOWN, &why,
                         "'%s': its durability has changed, but whether that "
                         "will outlive a power loss is not known: %s",
                         d->path, why.message);
}

/* Under META exclusive no row gets beyond ACTIVE; with no other row in use there
 * is nothing that the old promise was made for. From process to power, what was
 * written before is made durable first. */
int azri_domain_set_durability(azri_domain *d, int durability,
                               const azri_patience *patience, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    azr_recovery count = {0};
    azri_txn *t = NULL;
    int rc = azri_domain_recover(d, &count, err);

    if (rc == AZR_OK)
        rc = azri_txn_begin(&t, d, patience, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_meta(t, true, err);
    if (rc == AZR_OK)
        rc = no_other_row(d, t->row, err);
    if (rc == AZR_OK && durability == AZR_DURABILITY_POWER &&
        azri_syncfs(d->dir) != 0)
        rc = azri_fail_errno(err, AZR_SUB_SYNC, errno, "syncfs '%s'", d->path);
    if (rc == AZR_OK) {
        azri_sys->store64("durability", &azri_state_changing(s)->durability,
                          (uint64_t)durability);
        rc = sync_durability(d, s, err);
    }
    azri_txn_end(t);
    return rc;
}
