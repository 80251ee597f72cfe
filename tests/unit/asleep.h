/* SPDX-License-Identifier: Apache-2.0 */
/* Is a thread of this process asleep in the kernel? So that a test of who must wait
 * goes on when he does, and not when he has had time enough to. */
#ifndef TEST_UNIT_ASLEEP_H
#define TEST_UNIT_ASLEEP_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* False as well if it has ended. */
static inline bool is_asleep(pid_t thread)
{
    char path[64], text[128] = "";
    const char *name_end;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    (void)close(fd);
    name_end = strrchr(text, ')'); /* then the state */
    return name_end && strncmp(name_end, ") S", 3) == 0;
}

#endif
