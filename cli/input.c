/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100 /* between two looks at cli_signal */

/* Up to `nbytes`, fewer at the end of the file; a negative exit code on failure,
 * said. */
static int read_some(struct cli *cli, const struct input *in, void *to,
                     size_t nbytes, size_t *got)
{
    struct pollfd p = {in->fd, POLLIN, 0};

    *got = 0;
    while (*got < nbytes) {
        size_t most = nbytes - *got < 1u << 30 ? nbytes - *got : 1u << 30;
        ssize_t n;

        if (cli_signal)
            return cli_interrupted(cli);
        /* a signal just before a read would be seen only after it */
        if (poll(&p, 1, LOOK_MS) < 1)
            continue;
        n = read(in->fd, (char *)to + *got, most);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_error(cli, CLI_IO, "%s: %s", in->name,
                             cli_errno_text(errno));
        *got += (size_t)n;
    }
    return 0;
}

static int read_header(struct cli *cli, struct input *in)
{
    static char text[NPY_HEADER_MAX];
    unsigned char first[12];
    char why[160];
    size_t got, preamble = 10, nbytes;
    int code = read_some(cli, in, first, 10, &got);

    if (code != 0)
        return code;
    if (got == 10 && first[6] > 1) {
        code = read_some(cli, in, first + 10, 2, &got);
        got += 10;
        preamble = 12;
    }
    if (code != 0)
        return code;
    if (got < preamble)
        return cli_error(cli, CLI_USAGE,
                         "%s: is no .npy file: it ends after %zu bytes",
                         in->name, got);
    if (!npy_preamble(first, &preamble, &nbytes, why, sizeof why))
        return cli_error(cli, CLI_USAGE, "%s: %s", in->name, why);
    code = read_some(cli, in, text, nbytes, &got);
    if (code != 0)
        return code;
    if (got < nbytes)
        return cli_error(cli, CLI_USAGE,
                         "%s: the .npy header ends after %zu of %zu bytes",
                         in->name, got, nbytes);
    if (!npy_parse(&in->npy, text, nbytes, why, sizeof why))
        return cli_error(cli, CLI_USAGE, "%s: %s", in->name, why);
    return 0;
}

int input_open(struct cli *cli, struct input *in, const char *file, bool raw)
{
    bool is_stdin = strcmp(file, "-") == 0;

    in->name = is_stdin ? "standard input" : file;
    if (is_stdin && cli->session)
        return cli_alone(cli, "reading standard input");
    if (is_stdin && isatty(STDIN_FILENO))
        return cli_usage_error(cli, "nothing to write: give --value, --npy "
                                    "FILE or --raw FILE, or pipe a .npy file");
    in->fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0) {
        int code = errno == ENOENT ? CLI_PRESENCE : CLI_IO;

        if (cli_signal)
            return cli_interrupted(cli);
        return cli_error(cli, code, "%s: %s", in->name, cli_errno_text(errno));
    }
    return raw ? 0 : read_header(cli, in);
}

/* Nothing may follow: a file that is too long is as wrong as a short one. */
static int expect_end(struct cli *cli, struct input *in)
{
    char byte;
    size_t got;
    int code = read_some(cli, in, &byte, 1, &got);

    if (code == 0 && got > 0)
        code = cli_error(cli, CLI_USAGE,
                         "%s: goes on after the %zu bytes of elements that "
                         "are needed: nothing written",
                         in->name, in->npy.nbytes);
    return code;
}

int input_take(struct cli *cli, struct input *in)
{
    size_t got;
    int code;

    in->data = cli_reserve(cli, in->npy.nbytes);
    if (!in->data)
        return cli->exit_code;
    code = read_some(cli, in, in->data, in->npy.nbytes, &got);
    if (code == 0 && got < in->npy.nbytes)
        code = cli_error(cli, CLI_USAGE,
                         "%s: ends after %zu of %zu bytes of elements: nothing "
                         "written",
                         in->name, got, in->npy.nbytes);
    if (code == 0)
        code = expect_end(cli, in);
    if (code != 0)
        return code;
    in->data = npy_normalise(&in->npy, in->data);
    return in->data ? 0 : cli_error(cli, CLI_IO, "out of memory");
}

void input_dispose(struct input *in)
{
    free(in->data);
    if (in->fd > STDIN_FILENO)
        close(in->fd);
}
