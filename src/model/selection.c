/* SPDX-License-Identifier: Apache-2.0 */
/* Selections as the caller says them: made, and checked before any shape is
 * known. */
#include "model/plan.h"

#include "base/checked.h"

#include <inttypes.h>
#include <string.h>

static azr_selection new_selection(azr_selection_kind kind, int rank)
{
    azr_selection s;

    memset(&s, 0, sizeof s);
    s.struct_size = (uint32_t)sizeof s;
    s.kind = (uint32_t)kind;
    s.rank = rank; /* a wrong one is kept, so that it is refused when used */
    return s;
}

azr_selection azr_select_all(int rank)
{
    azr_selection s = new_selection(AZR_SELECT_BOX, rank);

    for (int d = 0; d < AZR_MAX_RANK; d++) {
        s.count[d] = AZR_TO_END;
        s.step[d] = 1;
    }
    return s;
}

azr_selection azr_select_box(int rank, const int64_t *start,
                             const int64_t *count, const int64_t *step)
{
    azr_selection s = new_selection(AZR_SELECT_BOX, rank);
    size_t nbytes;

    if (rank <= 0 || rank > AZR_MAX_RANK)
        return s;
    if (!start || !count) {
        s.rank = -1;
        return s;
    }
    nbytes = (size_t)rank * sizeof *start;
    memcpy(s.start, start, nbytes);
    memcpy(s.count, count, nbytes);
    if (step)
        memcpy(s.step, step, nbytes);
    return s;
}

azr_selection azr_select_points(int rank, const int64_t *coords, size_t n)
{
    azr_selection s = new_selection(AZR_SELECT_POINTS, rank);

    s.points = coords;
    s.point_count = n;
    return s;
}

bool azri_selection_needs_shape(const azr_selection *sel)
{
    if (sel->kind == AZR_SELECT_POINTS)
        return false;
    if (sel->kind == AZR_SELECT_BOX && (sel->flags & AZR_SELECT_CLIP) != 0)
        return sel->rank > 0;
    for (int d = 0; d < sel->rank; d++) {
        bool slice = sel->kind == AZR_SELECT_SLICES;

        if (sel->start[d] < 0)
            return true;
        if (slice ? sel->step[d] != 0 : sel->count[d] < 0)
            return true;
    }
    return false;
}

static int check_points(const azr_selection *sel, azr_error *err)
{
    size_t numbers, nbytes;

    if (azri_mul_overflow(sel->point_count, (size_t)sel->rank, &numbers) ||
        azri_mul_overflow(numbers, sizeof *sel->points, &nbytes) ||
        sel->point_count > (size_t)INT64_MAX)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "selection: %zu points are too many",
                             sel->point_count);
    if (!sel->points && numbers > 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: no coordinates for %zu points",
                             sel->point_count);
    return AZR_OK;
}

static int check_steps(const azr_selection *sel, azr_error *err)
{
    for (int d = 0; d < sel->rank; d++) {
        if (sel->step[d] < 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "selection, dimension %d: step %" PRId64
                                 ", need 1 or more",
                                 d, sel->step[d]);
    }
    return AZR_OK;
}

static int check_form(const azr_selection *sel, azr_error *err)
{
    uint32_t legal = sel->kind == AZR_SELECT_POINTS ? 0 : AZR_SELECT_CLIP;

    if (sel->struct_size != sizeof *sel)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: struct_size %" PRIu32 ", need %zu",
                             sel->struct_size, sizeof *sel);
    if (sel->kind > AZR_SELECT_SLICES)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: kind %" PRIu32 " is unknown",
                             sel->kind);
    if ((sel->flags & ~legal) != 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: flags 0x%" PRIx32
                             " are not for kind %" PRIu32,
                             sel->flags, sel->kind);
    return AZR_OK;
}

int azri_selection_check(const azr_selection *sel, int rank, azr_error *err)
{
    int rc;

    if (!sel)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: NULL");
    rc = check_form(sel, err);
    if (rc < 0)
        return rc;
    if (sel->rank != rank || rank < 0 || rank > AZR_MAX_RANK)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "selection: rank %" PRId32 ", the array has %d",
                             sel->rank, rank);
    if (sel->kind == AZR_SELECT_POINTS)
        return check_points(sel, err);
    return check_steps(sel, err);
}
