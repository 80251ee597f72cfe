/* SPDX-License-Identifier: Apache-2.0 */
/* What is done while the power may go, and what there is to be seen. */
#ifndef TEST_POWER_ACT_H
#define TEST_POWER_ACT_H

#include "crash/scene.h"

#define ACT_PLACES 3
#define ACT_STEPS  4

extern const char *const act_places[ACT_PLACES]; /* "/d/a", … */

/* All of it: the arrays, and the group that they stand in. */
typedef struct view {
    image a[ACT_PLACES];
    bool group;
    char group_attributes[80];
} view;

typedef struct stage {
    azr_array *a[ACT_PLACES];
    azr_group *group;
    bool power;
    bool leak; /* handles have transactions open: they end with the process */
} stage;

#define ACT_DOCUMENTS    1u /* it changes documents */
#define ACT_CREATES      2u /* a creation that was cut short is made once more */
#define ACT_KILLED       4u /* the process dies anywhere, another one recovers */
#define ACT_CONSOLIDATED 8u  /* the group's copies must agree in the end */
#define ACT_TRASH        16u /* what was taken away may be left in part */

#define ACT_UNSYNCED 32u /* until the first step is over nothing is promised */
#define ACT_DAMAGED  64u /* no reader, until a writer has mended it */
#define ACT_DEPARTS                                                            \
    128u               /* then an array is taken away, or moved and put back */
#define ACT_LOSES 256u /* two staged files end in .azr/lost */

typedef struct act {
    const char *name;
    op o; /* of scene.h; its default is OP_COUNT */
    kind k;
    int places, steps;
    bool (*make)(const struct act *act, bool power);
    bool (*begin)(const struct act *act, stage *s);
    bool (*step)(const struct act *act, stage *s, int step);
    unsigned flags; /* ACT_… */
} act;

const act *act_at(unsigned i); /* NULL: that was the last one */
void act_end(stage *s);
bool act_look(view *v, const act *a);
bool view_same(const view *x, const view *y);
azr_array_spec act_spec(const act *a, bool power);
/* Array `k` is made, if it is not there. */
bool act_create_or_open(const act *a, int k, bool power, azr_array **out);
/* Array `k` is made and filled. */
bool act_make_array(const act *a, int k, bool power);
bool act_failed(const char *what, int rc, const azr_error *err);

#endif
