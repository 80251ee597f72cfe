/* SPDX-License-Identifier: Apache-2.0 */
/* In a build that counts what is run (scripts/coverage): who is killed, or leaves
 * by _exit, writes his counts before. That build includes this before everything
 * else, so that no test has to think of it. */
#ifndef TEST_CRASH_COVERAGE_H
#define TEST_CRASH_COVERAGE_H

#ifdef AZR_COVERAGE
#    include <signal.h>
#    include <unistd.h>

void __gcov_dump(void);

static inline int coverage_kill(pid_t pid, int signal)
{
    if (signal == SIGKILL && pid == getpid())
        __gcov_dump();
    return kill(pid, signal);
}

#    define _exit(status)     (__gcov_dump(), (_exit)(status))
#    define kill(pid, signal) coverage_kill((pid), (signal))
#endif

static inline void coverage_write(void)
{
#ifdef AZR_COVERAGE
    __gcov_dump();
#endif
}

#endif
