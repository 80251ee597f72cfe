/* SPDX-License-Identifier: Apache-2.0 */
/* Elements from a file or standard input. The header is judged before the
 * elements are read, and the elements before anything is written. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "npy.h"

struct input {
    const char *name; /* for messages */
    int fd;
    struct npy npy; /* of a raw file: what the caller said it is */
    unsigned char *data;
};
#define INPUT_INIT                                                             \
    {                                                                          \
        NULL, -1, {0}, NULL                                                    \
    }

/** Open `file` ("-": standard input) and read a .npy header, unless `raw`.
 *  0 or the exit code, said. */
int input_open(struct cli *cli, struct input *in, const char *file, bool raw);
/** Read npy.nbytes of elements, exactly, into data; C order, machine byte order.
 *  0 or the exit code, said. */
int input_take(struct cli *cli, struct input *in);
void input_dispose(struct input *in);

#endif
