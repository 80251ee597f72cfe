/* SPDX-License-Identifier: Apache-2.0 */
/* A child process that answers with so many bytes. */
#ifndef TEST_POWER_ANSWER_H
#define TEST_POWER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct answer {
    pid_t pid;
    int from;
} answer;

/* The child calls fn, which calls answer_with. */
typedef void (*answer_fn)(const void *arg, int to);
void answer_ask(answer *a, answer_fn fn, const void *arg);
_Noreturn void answer_with(int to, const void *bytes, size_t nbytes);
/* The child is over. False: it died before it had answered, with *status. */
bool answer_wait(answer *a, void *bytes, size_t nbytes, int *status);

#endif
