/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/explain.h"

#include "crash/scene.h"

#include <errno.h>
#include <string.h>

/* The answer names the errno, and the call by its sub-code. */
static bool names_it(const azr_error *err, int error)
{
    const char *text = strerror(error); /* NOLINT(concurrency-mt-unsafe) */

    if (err->sys_errno != error)
        return complain("errno %d is told as %d", error, err->sys_errno);
    if (err->sub < AZR_SUB_OPEN)
        return complain("no call is named (sub-code %d)", err->sub);
    return strstr(err->message, text) || complain("the text lacks '%s'", text);
}

bool explains(int rc, const azr_error *err, const inject_plan *p, call c)
{
    if (err->message[0] == '\0')
        return complain("%s without a text", azr_status_name(rc));
    if (err->code != rc)
        return complain("%s, but the error says %s", azr_status_name(rc),
                        azr_status_name(err->code));
    if (c == CALLS)
        return rc == AZR_ENOMEM ||
               complain("no memory is told as %s", azr_status_name(rc));
    if (p->error > 0 && (rc == AZR_EIO || rc == AZR_EPERM || rc == AZR_ENOMEM))
        return names_it(err, p->error);
    return complain("SURVEY %s", azr_status_name(rc));
}
