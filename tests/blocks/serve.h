/* SPDX-License-Identifier: Apache-2.0 */
/* The server of the one file of a FUSE mount: the disk of a tape. */
#ifndef TEST_BLOCKS_SERVE_H
#define TEST_BLOCKS_SERVE_H

#include "blocks/tape.h"

/* Answers what comes from /dev/fuse; what is written is noted before the answer.
 * Returns when the mount has gone. */
void serve_until_unmounted(tape *t, int fd);

#endif
