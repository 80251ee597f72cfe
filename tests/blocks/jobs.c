/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/jobs.h"

#include "power/ledger.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

job *jobs_new(size_t n)
{
    return scene_shared(n * sizeof(job));
}

static void run_child(job *j)
{
    double begun = ledger_seconds();

    j->c.dir = j->dir;
    j->ok = course_run(&j->c);
    j->seconds = ledger_seconds() - begun;
    (void)snprintf(j->message, sizeof j->message, "%.1000s", scene_error());
    _exit(0);
}

void job_start(job *j)
{
    static unsigned number;
    char here[128];
    pid_t pid, parent = getpid();

    if (!getcwd(here, sizeof here)) {
        perror("getcwd");
        exit(2);
    }
    (void)snprintf(j->dir, sizeof j->dir, "%s/job-%d-%u", here, (int)getpid(),
                   number++);
    (void)mkdir(j->dir, 0700);
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || chdir(j->dir) != 0)
            _exit(1);
        run_child(j);
    }
    j->pid = pid; /* the child writes to *j too */
}

void job_finish(job *j)
{
    int status = child_wait(j->pid);

    if (status != 0) {
        j->ok = false;
        (void)snprintf(j->message, sizeof j->message, "it died: status %d",
                       status);
    }
    tree_remove(j->dir); /* its mounts were its own, and are gone */
}
