/* SPDX-License-Identifier: Apache-2.0 */
/* Courses, each in a process and a directory of its own, some at once. */
#ifndef TEST_BLOCKS_JOBS_H
#define TEST_BLOCKS_JOBS_H

#include "blocks/course.h"

typedef struct job {
    course c;
    bool ok;
    double seconds;
    char message[1024];
    pid_t pid;
    char dir[200];
} job;

/* In memory that children share. */
job *jobs_new(size_t n);
void job_start(job *j);
/* Its process is over, and what it left is away. */
void job_finish(job *j);

#endif
