/* SPDX-License-Identifier: Apache-2.0 */
#include "power/answer.h"

#include "crash/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void answer_ask(answer *a, answer_fn fn, const void *arg)
{
    int ends[2];

    (void)fflush(NULL);
    if (pipe(ends) != 0 || (a->pid = fork()) < 0) {
        perror("fork");
        exit(2);
    }
    if (a->pid == 0) {
        (void)close(ends[0]);
        fn(arg, ends[1]);
        _exit(2);
    }
    (void)close(ends[1]);
    a->from = ends[0];
}

void answer_with(int to, const void *bytes, size_t nbytes)
{
    _exit(write(to, bytes, nbytes) == (ssize_t)nbytes ? 0 : 2);
}

bool answer_wait(answer *a, void *bytes, size_t nbytes, int *status)
{
    size_t got = 0;
    ssize_t n = 1;

    while (n > 0 && got < nbytes) {
        n = read(a->from, (char *)bytes + got, nbytes - got);
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(a->from);
    *status = child_wait(a->pid);
    return got == nbytes;
}
