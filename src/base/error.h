/* SPDX-License-Identifier: Apache-2.0 */
/* Filling an azr_error. The first message wins: a lower layer knows best. */
#ifndef AZRI_BASE_ERROR_H
#define AZRI_BASE_ERROR_H

#include <atomiczarr.h>

#include <stdarg.h>

#define AZRI_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Forget what an earlier call left. */
void azri_error_reset(azr_error *err);
/* The same for entry points: below them `err` is never NULL. */
void azri_error_begin(azr_error **err, azr_error *instead);

/* All return `code`, so that `return azri_fail(...)` reads well. They write
 * nothing when err is NULL or already holds an error. */
int azri_fail(azr_error *err, int code, const char *fmt, ...) AZRI_PRINTF(3, 4);
int azri_fail_sub(azr_error *err, int code, int sub, const char *fmt, ...)
    AZRI_PRINTF(4, 5);
/* A system call failed: the code follows from `sys_errno` (EACCES, EPERM, EROFS:
 * AZR_EPERM; ENOMEM: AZR_ENOMEM; ENOENT stays AZR_EIO, since who expects it asks
 * first), the text ends with strerror's. */
int azri_fail_errno(azr_error *err, int sub, int sys_errno, const char *fmt,
                    ...) AZRI_PRINTF(4, 5);
/* As azri_fail, in the words of who called; call and errno are those of `why`. */
int azri_fail_why(azr_error *err, int code, const azr_error *why,
                  const char *fmt, ...) AZRI_PRINTF(4, 5);
/* What was told to `why`, told to `err`, which may be NULL or hold an error. */
void azri_error_pass(azr_error *err, const azr_error *why);
/* A status that is of no use here, said aloud. */
static inline void azri_ignore(int rc)
{
    (void)rc;
}

/* The analyzer looks into one file at a time: it is told what these return, lest
 * it sees success after each of them. */
#ifdef __clang_analyzer__
#    define azri_fail(err, code, ...)                                          \
        ((void)(azri_fail)(err, code, __VA_ARGS__), code)
#    define azri_fail_sub(err, code, sub, ...)                                 \
        ((void)(azri_fail_sub)(err, code, sub, __VA_ARGS__), code)
#    define azri_fail_why(err, code, ...)                                      \
        ((void)(azri_fail_why)(err, code, __VA_ARGS__), code)
#    define azri_fail_errno(...)                                               \
        ((void)(azri_fail_errno)(__VA_ARGS__), (int)AZR_EIO)
#endif

/* Inline, so that compilers see that it is below 0: no null pointer is used. */
static inline int azri_fail_nomem(azr_error *err, size_t nbytes)
{
    (void)azri_fail(err, AZR_ENOMEM, "out of memory: %zu bytes wanted", nbytes);
    return AZR_ENOMEM;
}

#endif
