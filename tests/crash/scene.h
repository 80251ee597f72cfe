/* SPDX-License-Identifier: Apache-2.0 */
/* What crash tests share: small arrays, operations on them, images of them,
 * directory trees, and children that report to their parent. */
#ifndef TEST_CRASH_SCENE_H
#define TEST_CRASH_SCENE_H

#include <atomiczarr.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Chunks of 4 int32. */
#define SCENE_CHUNK  4
#define SCENE_SHORT  46  /* 12 chunks, the last one half full */
#define SCENE_LONG   178 /* 45 chunks, of which 12 are stored */
#define SCENE_LENGTH 192 /* no image is longer */

typedef enum op {
    OP_WRITE_1, /* one whole chunk */
    OP_WRITE_2, /* parts of two chunks */
    OP_WRITE_8, /* eight chunks: as many as fit in a row */
    OP_RECORD,  /* forty chunks: more than fit in a row */
    OP_DELETE,  /* four chunks, two of which become empty */
    OP_APPEND,  /* into the edge chunk and beyond */
    OP_GROW,
    OP_SHRINK, /* deletes chunks and blanks the border one */
    OP_ATTRIBUTE,
    OP_FILL,
    OP_UPDATE, /* reads what it writes */
    OP_TABLE,  /* a write for which the row table must grow */
    OP_LANE, /* ten chunks from the second row: a lane is made, and a record */
    OP_CREATE,
    OP_CREATE_ATTRIBUTES, /* version 2: two documents */
    OP_RECOVER,           /* open for writing */
    OP_COUNT
} op;

typedef struct kind {
    int format;
    bool zstd, power;
} kind;

const char *op_name(op o);
void kind_text(char out[32], const kind *k);
bool op_creates(op o);

/* What an array holds. */
typedef struct image {
    bool exists;
    int64_t length;
    int32_t value[SCENE_LENGTH];
    char attributes[160];
} image;

bool image_same(const image *a, const image *b);
/* Values first..end-1 become `base` + index. */
void image_put(image *i, int64_t first, int64_t end, int32_t base);

/* Zeroed memory that children share, or the end of the program. */
void *scene_shared(size_t nbytes);
/* A message in such memory; "" while all is well. */
char *scene_error(void);
/* Say what is wrong, once: the first message stays. Returns false. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Of handles that are opened from now on, in this process. */
extern int scene_threads;
/* Every function here returns false after complain(). */
bool scene_make(const char *path, op o, const kind *k);
bool scene_open(azr_array **out, const char *path, unsigned flags);
bool scene_read(image *out, azr_array *a);
/* One read and nothing else: the length is what was filled, no attributes. */
bool scene_read_once(image *out, azr_array *a);
/* Open read only, read, close. A path without an array is an image as well. */
bool scene_snap(image *out, const char *path);
bool scene_write(azr_array *a, int64_t first, int64_t end, int32_t base);
/* Prepare (outside the sweep) and do; `a` NULL for OP_CREATE… and OP_RECOVER. */
bool op_prepare(azr_array *a, op o);
bool op_run(const char *path, azr_array *a, op o, const kind *k);
/* Nothing but the array's own objects, an empty tx/, free rows. */
bool scene_is_clean(const char *path);

void tree_copy(const char *from, const char *to);
void tree_remove(const char *path);

/* Fork, run, exit. The child is killed by SIGALRM if it takes too long. */
typedef bool (*child_fn)(void *arg);
pid_t child_start(child_fn fn, void *arg);
/* Exit status as waitpid gives it. */
int child_wait(pid_t pid);
/* True if it ended well; else complain() says how it did. */
bool child_is_well(const char *who, int status);
/* Run to the end; true if fn was. */
bool child_run(const char *who, child_fn fn, void *arg);

/* A directory for scenes: in memory where the machine has that, or here. */
const char *scene_root(bool in_memory);
void scene_roots_remove(void);

#endif
