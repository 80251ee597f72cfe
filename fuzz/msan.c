/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a build with -fsanitize=memory (AZR_SANITIZE=memory). Libraries are not
 * built with it. What json-c allocates counts as written, and what it does inside
 * is not looked at; memory of ours is unwritten until we write it. A buffer that
 * a codec's library fills would be a false report, so targets leave that out
 * (FUZZ_MSAN).
 */
#include "fuzz.h"
#include "os/sys.h"

#include <atomiczarr.h>
#include <json-c/json.h>
#include <malloc.h>
#include <sanitizer/msan_interface.h>

const char *__msan_default_options(void);

const char *__msan_default_options(void)
{
    return "poison_in_malloc=0";
}

static void *get(size_t nbytes, void *arg)
{
    void *p = malloc(nbytes);

    (void)arg;
    if (p)
        __msan_poison(p, nbytes);
    return p;
}

static void release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

static void *resize(void *p, size_t nbytes, void *arg)
{
    size_t old = malloc_usable_size(p);
    void *q = get(nbytes, arg);

    if (!q)
        return NULL;
    memcpy(q, p, old < nbytes ? old : nbytes);
    free(p);
    return q;
}

/* What the C library has under these names since 2.33 is not known to it. */
static int see_fstat(int fd, struct stat *st)
{
    __msan_unpoison(st, sizeof *st);
    return azri_sys_posix.fstat(fd, st);
}

static int see_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    __msan_unpoison(st, sizeof *st);
    return azri_sys_posix.fstatat(dir, path, st, flags);
}

__attribute__((constructor)) static void begin(void)
{
    static const azr_allocator ours = {get, resize, release, NULL};
    static struct azri_sys sys;

    sys = azri_sys_posix;
    sys.fstat = see_fstat;
    sys.fstatat = see_fstatat;
    azri_sys = &sys;

    require(azr_set_allocator(&ours) == AZR_OK);
}

/* -Wl,--wrap: calls of json-c that call the C library with memory of theirs. */
#define WRAP(type, name, params, args)                                         \
    type __real_##name params;                                                 \
    type __wrap_##name params;                                                 \
                                                                               \
    type __wrap_##name params                                                  \
    {                                                                          \
        type result;                                                           \
                                                                               \
        __msan_scoped_disable_interceptor_checks();                            \
        result = __real_##name args;                                           \
        __msan_scoped_enable_interceptor_checks();                             \
        return result;                                                         \
    }

WRAP(struct json_object *, json_tokener_parse_ex,
     (struct json_tokener * tok, const char *text, int nbytes),
     (tok, text, nbytes))
WRAP(int, json_object_object_get_ex,
     (const struct json_object *o, const char *key, struct json_object **value),
     (o, key, value))
WRAP(int, json_object_put, (struct json_object * o), (o))

/* … and those that give a text of theirs. */
#define WRAP_TEXT(name, params, arg)                                           \
    const char *__real_##name params;                                          \
    const char *__wrap_##name params;                                          \
                                                                               \
    const char *__wrap_##name params                                           \
    {                                                                          \
        const char *text;                                                      \
                                                                               \
        __msan_scoped_disable_interceptor_checks();                            \
        text = __real_##name(arg);                                             \
        __msan_scoped_enable_interceptor_checks();                             \
        if (text)                                                              \
            __msan_unpoison_string(text);                                      \
        return text;                                                           \
    }

WRAP_TEXT(json_object_to_json_string, (struct json_object * o), o)
WRAP_TEXT(json_object_iter_peek_name, (const struct json_object_iterator *i), i)

/* It may hold a zero. */
const char *__real_json_object_get_string(struct json_object *o);
const char *__wrap_json_object_get_string(struct json_object *o);

const char *__wrap_json_object_get_string(struct json_object *o)
{
    const char *text = __real_json_object_get_string(o);

    if (text)
        __msan_unpoison(text, (size_t)json_object_get_string_len(o) + 1);
    return text;
}

/* The control: an input that nobody has written. */
void fuzz_unwritten(void)
{
    static uint8_t unwritten[512];

    memset(unwritten, '{', sizeof unwritten);
    __msan_poison(unwritten + 2, sizeof unwritten - 2);
    (void)LLVMFuzzerTestOneInput(unwritten, sizeof unwritten);
}
