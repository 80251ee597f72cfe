/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For authors of stores. Stable within a minor release only.
 *
 * A store moves bytes under keys. It knows no chunk and no transaction. What it
 * can promise it declares in `capabilities`; a transaction engine that needs more
 * refuses the store by name.
 */
#ifndef AZR_SYS_STORE_H
#define AZR_SYS_STORE_H

#include <atomiczarr.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An open object keeps its content whatever happens to its key. */
#define AZR_STORE_STABLE_OBJECTS 1u
/** Replacing an object shows the old or the new one, never part of one. */
#define AZR_STORE_ATOMIC_REPLACE 2u
/** Keys are paths of one directory of a local file system. */
#define AZR_STORE_LOCAL_FILES 4u

/** What tells one version of an object from the next. */
typedef struct azr_object_id {
    uint64_t dev, ino, nbytes;
    int64_t mtime_ns, ctime_ns;
} azr_object_id;

/** An open object. `handle` is the store's own (a descriptor). */
typedef struct azr_object {
    int64_t handle; /**< below 0: not open */
    azr_object_id id;
    uint32_t mode; /**< permission bits where the store has them */
    uint32_t gid;
} azr_object;

#define AZR_OBJECT_INIT                                                        \
    {                                                                          \
        -1, {0, 0, 0, 0, 0}, 0, 0                                              \
    }

typedef struct azr_store azr_store;

typedef struct azr_store_ops {
    const char *name;
    uint32_t capabilities;
    /** AZR_ENOTFOUND without a message if there is no such key. */
    int (*open)(azr_store *s, const char *key, azr_object *out, azr_error *err);
    /** Exactly n bytes at `offset`; any thread. */
    int (*read)(azr_store *s, const azr_object *o, void *dst, size_t n,
                uint64_t offset, const char *key, azr_error *err);
    void (*close)(azr_store *s, azr_object *o);
    /** Identity now under `key`; AZR_ENOTFOUND without a message. */
    int (*identify)(azr_store *s, const char *key, azr_object *out,
                    azr_error *err);
    void (*free)(azr_store *s);
} azr_store_ops;

struct azr_store {
    const azr_store_ops *ops;
};

#ifdef __cplusplus
}
#endif
#endif
