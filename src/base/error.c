/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* the functions themselves, see error.h */
#ifdef __clang_analyzer__
#    undef azri_fail
#    undef azri_fail_sub
#    undef azri_fail_errno
#    undef azri_fail_why
#endif

void azri_error_reset(azr_error *err)
{
    if (!err)
        return;
    err->code = 0;
    err->sub = 0;
    err->sys_errno = 0;
    err->message[0] = '\0';
}

void azri_error_begin(azr_error **err, azr_error *instead)
{
    if (!*err)
        *err = instead;
    azri_error_reset(*err);
}

AZRI_PRINTF(5, 0)
static void fill(azr_error *err, int code, int sub, int sys_errno,
                 const char *fmt, va_list ap)
{
    int n;

    if (!err || err->code != 0)
        return;
    err->code = code;
    err->sub = sub;
    err->sys_errno = sys_errno;
    n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    if (n < 0)
        err->message[0] = '\0';
    azri_one_line(err->message);
}

int azri_fail(azr_error *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, AZR_SUB_NONE, 0, fmt, ap);
    va_end(ap);
    return code;
}

int azri_fail_sub(azr_error *err, int code, int sub, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, sub, 0, fmt, ap);
    va_end(ap);
    return code;
}

int azri_fail_why(azr_error *err, int code, const azr_error *why,
                  const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, why->sub, why->sys_errno, fmt, ap);
    va_end(ap);
    return code;
}

void azri_error_pass(azr_error *err, const azr_error *why)
{
    if (err && err->code == 0)
        *err = *why;
}

static int code_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case EACCES:
    case EPERM:
    case EROFS:
        return AZR_EPERM;
    case ENOMEM:
        return AZR_ENOMEM;
    default:
        return AZR_EIO;
    }
}

/* strerror_r is one of two functions: GNU's returns the text, POSIX' a status. */
static const char *text_of_gnu(const char *result, const char *buf)
{
    (void)buf;
    return result;
}

static const char *text_of_posix(int result, const char *buf)
{
    return result == 0 ? buf : "unknown error";
}

#define TEXT_OF(result, buf)                                                   \
    _Generic((result), int : text_of_posix, char * : text_of_gnu)(result, buf)

int azri_fail_errno(azr_error *err, int sub, int sys_errno, const char *fmt,
                    ...)
{
    int code = code_of_errno(sys_errno);
    bool first = err && err->code == 0;
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, sub, sys_errno, fmt, ap);
    va_end(ap);
    if (first) {
        size_t used = strlen(err->message);
        char text[96] = "";

        (void)snprintf(err->message + used, sizeof err->message - used, ": %s",
                       TEXT_OF(strerror_r(sys_errno, text, sizeof text), text));
    }
    return code;
}

const char *azr_status_name(int status)
{
    static const char *const names[] = {
        "AZR_OK",        "AZR_EINVAL",    "AZR_ENOTFOUND", "AZR_EEXISTS",
        "AZR_EBUSY",     "AZR_ECONFLICT", "AZR_ECORRUPT",  "AZR_EUNSUPPORTED",
        "AZR_EIO",       "AZR_ENOMEM",    "AZR_EPERM",     "AZR_ECANCELED",
        "AZR_EPOISONED", "AZR_EUNKNOWN",
    };

    if (status > 0 || status < AZR_EUNKNOWN)
        return "unknown status";
    return names[-status];
}

const char *azr_version(void)
{
    return AZR_VERSION;
}
