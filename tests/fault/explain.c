/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/explain.h"

#include "crash/scene.h"

#include <errno.h>
#include <string.h>

/* Failures that mean something, and what they are told as. Everything else is
 * AZR_EIO, AZR_EPERM or AZR_ENOMEM with the call and the errno, or AZR_EUNKNOWN
 * with them. `error` 0: each; `what` CALLS: each. */
static const struct {
    call what;
    int error;
    int rc;
} means[] = {
    {C_LOCK, EACCES, AZR_EBUSY}, /* somebody has it */
    {C_LOCK, EAGAIN, AZR_EBUSY},
    {C_FLOCK, EWOULDBLOCK, AZR_EBUSY},
    {C_RENAMEAT2, EINVAL, AZR_EUNSUPPORTED}, /* no such flag, no such step */
    {C_RENAMEAT2, EINVAL, AZR_EINVAL},
    {C_RENAMEAT2, ENOSYS, AZR_EUNSUPPORTED},
    {C_RENAMEAT2, EXDEV, AZR_EUNSUPPORTED},
    {C_RENAMEAT2, EEXIST, AZR_EEXISTS}, /* somebody was faster */
    {C_RENAMEAT2, ENOTEMPTY, AZR_EEXISTS},
    {C_RENAMEAT2, EEXIST, AZR_EBUSY},
    {C_MKDIRAT, EEXIST, AZR_EEXISTS},
    {C_MKDIRAT, EEXIST, AZR_EBUSY},
    {C_OPENAT, EEXIST, AZR_EEXISTS},
    {C_FACCESSAT, 0, AZR_EPERM},
    {C_OPENAT, EROFS, AZR_EPERM}, /* then it is tried for reading */
    {C_OPENAT, EACCES, AZR_EPERM},
    {C_OPENAT, EPERM, AZR_EPERM},
    {C_OPENAT, ETXTBSY, AZR_EPERM},
    {C_FSTATAT, ENAMETOOLONG, AZR_EUNSUPPORTED},
};

static bool has_meaning(call c, int error, int rc)
{
    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++) {
        if (means[i].rc == rc &&
            (means[i].what == c || means[i].what == CALLS) &&
            (means[i].error == error || means[i].error == 0))
            return true;
    }
    return false;
}

/* The answer names the errno, and the call by its sub-code. */
static bool names_it(const azr_error *err, int error)
{
    const char *text = strerror(error); /* NOLINT(concurrency-mt-unsafe) */

    /* by a sub-code or, of a node below, in the text alone */
    if (err->sub >= AZR_SUB_OPEN && err->sys_errno != error)
        return complain("errno %d is told as %d", error, err->sys_errno);
    return strstr(err->message, text) || complain("the text lacks '%s'", text);
}

bool is_lie(int error, call c)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case SHORT_ZERO:
        return true;
    default:
        return c == C_FSTATAT && (error == ELOOP || error == EACCES);
    }
}

bool explains(int rc, const azr_error *err, int error, call c)
{
    if (is_lie(error, c)) /* whatever follows from that */
        return true;
    if (err->message[0] == '\0')
        return complain("%s without a text", azr_status_name(rc));
    if (err->code != rc)
        return complain("%s, but the error says %s", azr_status_name(rc),
                        azr_status_name(err->code));
    if (c == CALLS)
        return rc == AZR_ENOMEM || rc == AZR_EUNKNOWN ||
               complain("no memory is told as %s", azr_status_name(rc));
    if (has_meaning(c, error, rc))
        return true;
    if (rc == AZR_EIO || rc == AZR_EPERM || rc == AZR_ENOMEM ||
        rc == AZR_EUNKNOWN)
        return names_it(err, error > 0 ? error : EIO);
    return complain("%s is not what the documentation says",
                    azr_status_name(rc));
}
