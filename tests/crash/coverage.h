/* SPDX-License-Identifier: Apache-2.0 */
/* In a build that counts what is run (scripts/coverage): who is killed, or leaves
 * by _exit, writes his counts before. */
#ifndef TEST_CRASH_COVERAGE_H
#define TEST_CRASH_COVERAGE_H

#ifdef AZR_COVERAGE
void __gcov_dump(void);
#endif

static inline void coverage_write(void)
{
#ifdef AZR_COVERAGE
    __gcov_dump();
#endif
}

#endif
