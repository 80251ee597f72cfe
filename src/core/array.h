/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays as verbs: what the files of the core share. */
#ifndef AZRI_CORE_ARRAY_H
#define AZRI_CORE_ARRAY_H

#include "codec/chain.h"
#include "core/upkeep.h"
#include "model/plan.h"
#include "txn/txn.h"

#include <stdatomic.h>

/* What an array stands on at one instant: its metadata document, parsed, with the
 * chain compiled from it. Immutable, counted; the document stays open, so that
 * its inode cannot come back as another document's. */
typedef struct azri_ground {
    atomic_int refs;
    azr_store *store;
    azri_meta *meta;
    azri_chain *chain;
    azr_object document;
    uint8_t
        stored_fill[AZRI_FILL_NBYTES]; /* in the chunk buffer's byte order */
} azri_ground;

#define AZRI_CODERS 64

struct azr_array {
    azr_array *base; /* of azr_array_share: what it shares with; else itself */
    atomic_int refs; /* of a base: itself, and who shares with it */
    azri_domain *d;
    azr_open_options options;
    azr_progress_fn progress; /* of what this handle reads and writes */
    void *progress_arg;
    int format;
    const char *document_key; /* "zarr.json" or ".zarray" */
    unsigned document_kind;   /* of an entry */
    azri_upkeep *upkeep;      /* of who holds DOC, or META, exclusively */
    bool still;               /* of a snapshot */
    atomic_bool unborn;       /* made by a transaction that is not committed */
    /* of the base, under azri_domain_hold: */
    azri_above above;
    azri_ground *ground;
    azri_coder *coders[AZRI_CODERS];
    int coder_count;
};

/* Tries of a read before its time-out counts, and before it takes locks. */
#define AZRI_OPTIMISTIC_TRIES 4

/* Documents of an array that is to be. */
typedef struct azri_birth {
    int format, durability;
    azri_buf text, zattrs; /* zattrs: of format 2 */
} azri_birth;

/* ---- ground.c ---- */
azri_ground *azri_ground_ref(azri_ground *g);
void azri_ground_unref(azri_ground *g);
/* The one of the last operation, never NULL once an array is open; the caller's
 * to unref. */
azri_ground *azri_array_ground(azr_array *a);
/* Load the document as of the view's look; becomes the array's if it differs.
 * *out is the caller's to unref. (The array's own may be another one as soon as
 * we return: threads load at the same time, and the slower one may be older.) */
AZR_CHECKED int azri_ground_refresh(azr_array *a, azri_view *v,
                                    azri_ground **out, azr_error *err);
/* Does `g` still stand under its key? No row is considered. */
AZR_CHECKED int azri_ground_stands(azr_array *a, const azri_ground *g,
                                   bool *out, azr_error *err);
/* One of a document that stands nowhere yet. */
AZR_CHECKED int azri_ground_of_text(azri_ground **out, azr_array *a,
                                    azri_span text, azr_error *err);
/* AZR_EUNSUPPORTED: its elements cannot be made of chunks. */
AZR_CHECKED int azri_ground_need_elements(const azr_array *a,
                                          const azri_ground *g, azr_error *err);
/* Something optional in it is not known: elements can be read, not written. */
bool azri_ground_is_partial(const azri_ground *g);
int azri_array_refuse_partial(const azr_array *a, azr_error *err);
/* Its document once more, with the attributes that format 2 keeps elsewhere. */
AZR_CHECKED int azri_ground_meta(azri_meta **out, const azr_array *a,
                                 const azri_ground *g, azri_span zattrs,
                                 azr_error *err);
/* Metadata of an array that is to be, refused as azr_array_open would. */
AZR_CHECKED int azri_ground_judge(azri_meta **out, const azri_birth *birth,
                                  unsigned flags, azr_error *err);
/* The newest, for a writer that holds its locks and has looked. */
AZR_CHECKED int azri_ground_current(azr_array *a, azri_ground **out,
                                    azr_error *err);

/* ---- array.c ---- */
AZR_CHECKED int azri_array_create(azr_array **out, const char *path,
                                  const azr_array_spec *spec,
                                  const azr_open_options *options,
                                  azr_error *err);
AZR_CHECKED int azri_array_open(azr_array **out, const char *path,
                                const azr_open_options *options,
                                azr_error *err);
/* A plain array that nobody writes, in the open directory `dir` (the caller's);
 * `like`: its options, for reading. */
AZR_CHECKED int azri_array_open_still(azr_array **out, int dir,
                                      const char *path, const azr_array *like,
                                      azr_error *err);
/* Creation by a transaction: everything but the documents; the text becomes the
 * ground of `*out`. What would be refused when it is opened is refused before
 * anything is made. */
AZR_CHECKED int azri_creation_begin(azr_array **out, const char *path,
                                    const azri_birth *birth,
                                    const azr_open_options *options,
                                    azr_error *err);
/* Under META exclusive and the directory's lock: may the documents come?
 * `has_zattrs`: one of them is .zattrs; else what stands there goes. */
AZR_CHECKED int azri_creation_check(azr_array *a, azri_txn *t, bool has_zattrs,
                                    azr_error *err);
AZR_CHECKED int azri_array_share(azr_array **out, azr_array *a,
                                 const azr_share_options *options,
                                 azr_error *err);
void azri_array_close(azr_array *a);
azri_patience azri_array_patience(const azr_array *a);
AZR_CHECKED int azri_array_may_write(const azr_array *a, azr_error *err);
AZR_CHECKED int azri_coders_take(azr_array *a, azri_coder **out, int n,
                                 azr_error *err);
/* Threads for n chunks: one where handing out the work would cost more than it. */
int azri_array_width(const azr_array *a, const azri_ground *g, uint64_t n);
void azri_coders_give(azr_array *a, azri_coder **coders, int n);
void azri_grid_of(azri_grid *out, const azri_meta *m);
/* Pieces of an operation, counted for the progress function of its handle. */
typedef struct azri_tally {
    atomic_ullong done;
    uint64_t total;
} azri_tally;
/* One more is done. Told by the thread that called, which is worker 0. */
AZR_CHECKED int azri_tally_add(const azr_array *a, azri_tally *t, int worker,
                               azr_error *err);

/* ---- chunk.c: one chunk between its file and memory ---- */
/* Where a chunk comes from. */
typedef struct azri_source {
    azr_store *store;
    const azr_object *object; /* handle below 0: absent */
    const char *key;
} azri_source;

/* `n` bytes of the object from `offset` on. */
AZR_CHECKED int azri_stored_read(const azri_source *from, void *dst, size_t n,
                                 uint64_t offset, azr_error *err);
/* Stored bytes → exactly the chunk buffer at `chunk`; `key` is for messages. */
AZR_CHECKED int azri_chunk_decode(const azri_ground *g, azri_coder *coder,
                                  azri_span stored, const char *key,
                                  uint8_t *chunk, azr_error *err);
/* Decode into the coder's chunk buffer (absent: fill value). */
AZR_CHECKED int azri_chunk_load(const azri_ground *g, azri_coder *coder,
                                const azri_source *from, uint8_t **chunk_out,
                                azr_error *err);
/* Decode what `piece` selects, into `dst`. */
AZR_CHECKED int azri_chunk_read(const azri_ground *g, azri_coder *coder,
                                const azri_source *from, const azri_plan *p,
                                const azri_piece *piece, const azr_memory *dst,
                                azr_error *err);
/* Does a chunk buffer hold nothing but the fill value? */
bool azri_chunk_is_empty(const azri_ground *g, const uint8_t *chunk);

void azri_plan_coords(const void *plan, uint64_t i, uint64_t *out);
/* Memory of the caller in strides; `m` NULL means dense `data`. */
typedef struct azri_caller_memory {
    const azr_memory *strided;
    void *data;
    size_t nbytes;
} azri_caller_memory;
AZR_CHECKED int azri_memory_resolve(azr_memory *out,
                                    const azri_caller_memory *m,
                                    const azri_plan *p, size_t item_nbytes,
                                    azr_error *err);

/* ---- read.c ---- */
/* Called once a try has held: what a transaction remembers of its reads. `v` is
 * the view, its items as they were opened (or used and closed). */
typedef int (*azri_read_note_fn)(void *arg, azri_view *v, const azri_plan *p,
                                 azri_ground *g, azr_error *err);
typedef struct azri_read_hooks {
    azri_read_note_fn note;
    /* Content of chunk `coords` that stands before the stored one (a
     * transaction's own writes): the chunk buffer, or NULL. */
    const uint8_t *(*overlay)(void *arg, const uint64_t *coords);
    void *arg;
    /* Does the caller hold META, DOC and this chunk? NULL: it holds nothing;
     * otherwise the read takes no lock of its own. */
    bool (*holds)(void *arg, const uint64_t *coords);
    int64_t *shape_out; /* NULL or the shape of the snapshot */
    /* Plan by `as`, which stands as long as the document of `base` does; once that
     * has moved the read is AZR_ECONFLICT (no message). NULL: the newest one. */
    azri_ground *as, *base;
    /* What is done with each chunk's object instead of decoding it into `dst`,
     * which is then not used. NULL: decoded. */
    int (*raw)(void *raw_arg, const azri_source *from, azr_error *err);
    void *raw_arg;
} azri_read_hooks;
AZR_CHECKED int azri_array_read(azr_array *a, const azr_selection *sel,
                                const azri_caller_memory *dst,
                                const azri_read_hooks *hooks,
                                const azri_patience *patience, azr_error *err);

/* ---- write.c ---- */
/* `shape`: the array must have it, else AZR_EINVAL; NULL: any. */
AZR_CHECKED int azri_array_write(azr_array *a, const azr_selection *sel,
                                 const azri_caller_memory *src,
                                 const int64_t *shape, azr_error *err);
AZR_CHECKED int azri_array_fill(azr_array *a, const azr_selection *sel,
                                const void *value, size_t value_nbytes,
                                azr_error *err);
/* One element as the source of every one of a selection. */
AZR_CHECKED int azri_fill_source(azr_memory *out, azr_array *a,
                                 const azr_selection *sel, const void *value,
                                 size_t value_nbytes, azr_error *err);
AZR_CHECKED int azri_array_update(azr_array *a, const azr_selection *sel,
                                  const int64_t *shape, azr_update_fn fn,
                                  void *arg, azr_error *err);
/* Stage every piece of a plan into `t`, whose locks are held: entries are made,
 * partly covered chunks merged. Used by append and resize as well. */
AZR_CHECKED int azri_stage_plan(azr_array *a, azri_txn *t, azri_ground *g,
                                const azri_plan *p, const azr_memory *src,
                                azr_error *err);

/* Nothing but the document, as one snapshot; the array's ground is then it. */
AZR_CHECKED int azri_read_document(azr_array *a, const azri_read_hooks *hooks,
                                   const azri_patience *patience,
                                   azr_error *err);

/* ---- reshape.c ---- */
AZR_CHECKED int azri_array_resize(azr_array *a, int rank, const int64_t *shape,
                                  azr_error *err);
AZR_CHECKED int azri_array_append(azr_array *a, int axis, int64_t length,
                                  const void *src, size_t src_nbytes,
                                  int64_t *offset_out, azr_error *err);

/* What a smaller shape cuts off, for transactions that do it beside other things. */
typedef struct azri_victims {
    const azri_meta *m;   /* as it is stored */
    const int64_t *shape; /* what stays */
    azri_buf coords;      /* rank numbers each */
    uint64_t n;
} azri_victims;
AZR_CHECKED int azri_victims_list(azri_victims *v, azr_array *a,
                                  azr_error *err); /* the stored ones */
/* Outside: nothing of the chunk stays. Border: something is cut off. */
bool azri_victims_outside(const azri_victims *v, const uint64_t *coords);
bool azri_victims_border(const azri_victims *v, const uint64_t *coords);
/* Fill what is cut off a chunk buffer. */
AZR_CHECKED int azri_victims_blank(const azri_victims *v, const azri_ground *g,
                                   const uint64_t *coords, uint8_t *chunk,
                                   azr_error *err);
/* Entry i of `t`: the stored chunk deleted, or blanked. */
AZR_CHECKED int azri_victims_stage(const azri_victims *v, azr_array *a,
                                   azri_txn *t, azri_ground *g,
                                   const uint64_t *coords, uint64_t i,
                                   azri_coder *coder, azr_error *err);
AZR_CHECKED int azri_array_need_full(const azr_array *a, const char *what,
                                     azr_error *err);
AZR_CHECKED int azri_appended_shape(int64_t *shape, const azri_meta *m,
                                    int axis, int64_t length, azr_error *err);
/* The new part of the array, in its new shape. */
AZR_CHECKED int azri_appended_plan(azri_plan *p, const azri_meta *m,
                                   const int64_t *shape, int axis,
                                   azr_error *err);
AZR_CHECKED int azri_shape_check(const azri_meta *m, int rank,
                                 const int64_t *shape, azr_error *err);
bool azri_shape_shrinks(const azri_meta *m, const int64_t *shape);

/* ---- transaction.c: behind azr_txn_… of the public header ---- */
AZR_CHECKED int azri_transaction_begin(azr_txn **out, const azr_txn_options *o,
                                       azr_error *err);
AZR_CHECKED int azri_transaction_read(azr_txn *t, azr_array *a,
                                      const azr_selection *sel,
                                      const azri_caller_memory *dst,
                                      azr_error *err);
AZR_CHECKED int azri_transaction_write(azr_txn *t, azr_array *a,
                                       const azr_selection *sel,
                                       const azri_caller_memory *src,
                                       azr_error *err);
AZR_CHECKED int azri_transaction_shape(azr_txn *t, azr_array *a,
                                       int64_t *shape_out, azr_error *err);
AZR_CHECKED int azri_transaction_append(azr_txn *t, azr_array *a, int axis,
                                        int64_t length,
                                        const azri_caller_memory *src,
                                        int64_t *offset_out, azr_error *err);
AZR_CHECKED int azri_transaction_resize(azr_txn *t, azr_array *a, int rank,
                                        const int64_t *shape, azr_error *err);
AZR_CHECKED int azri_transaction_attributes(azr_txn *t, azr_array *a,
                                            char **out, azr_error *err);
AZR_CHECKED int azri_transaction_set_attribute(azr_txn *t, azr_array *a,
                                               const char *name,
                                               const char *json,
                                               azr_error *err);
AZR_CHECKED int azri_transaction_create(azr_txn *t, azr_array **out,
                                        const char *path,
                                        const azr_array_spec *spec,
                                        const azr_open_options *options,
                                        azr_error *err);
AZR_CHECKED int azri_transaction_create_from(azr_txn *t, azr_array **out,
                                             const char *path,
                                             const azr_array_text *text,
                                             const azr_open_options *options,
                                             azr_error *err);
/* ---- txn_chunks.c: chunks as they are stored ---- */
/* From byte `offset` on (negative: from the end), at most `most` of them. *out is
 * NULL if there is no such chunk. */
AZR_CHECKED int azri_transaction_read_chunk(azr_txn *t, azr_array *a,
                                            const int64_t *index,
                                            int64_t offset, size_t most,
                                            azri_span *out, azr_error *err);
/* bytes.data NULL: there is to be none. */
AZR_CHECKED int azri_transaction_write_chunk(azr_txn *t, azr_array *a,
                                             const int64_t *index,
                                             azri_span bytes, azr_error *err);
/* ---- append_all.c ---- */
AZR_CHECKED int azri_append_all(azr_append_part *parts, size_t n,
                                const azr_txn_options *o, azr_error *err);
AZR_CHECKED int azri_transaction_commit(azr_txn *t, azr_error *err);
void azri_transaction_free(azr_txn *t);
AZR_CHECKED int azri_transaction_run(azr_txn_fn fn, void *arg,
                                     const azr_txn_options *o, azr_error *err);

/* ---- attributes.c ---- */
/* The attributes of parsed documents, as JSON text for azr_free. */
AZR_CHECKED int azri_attributes_text(char **out, const azri_meta *m,
                                     azr_error *err);
AZR_CHECKED int azri_array_dimension_name(azr_array *a, int d, char **out,
                                          azr_error *err);
AZR_CHECKED int azri_array_attributes(azr_array *a, char **out, azr_error *err);
AZR_CHECKED int azri_array_attribute_set(azr_array *a, const char *name,
                                         const char *json, azr_error *err);

/* ---- watch.c ---- */
AZR_CHECKED int azri_array_wait(azr_array *a, uint64_t *version,
                                azr_error *err);

/* ---- snapshot.c ---- */
AZR_CHECKED int azri_snapshot_take(azr_snapshot **out, azr_array *const *arrays,
                                   size_t n, const azr_snapshot_options *o,
                                   azr_error *err);
azr_array *azri_snapshot_array(const azr_snapshot *s, size_t i);
const char *azri_snapshot_path(const azr_snapshot *s, size_t i);
uint64_t azri_snapshot_chunks(const azr_snapshot *s);
void azri_snapshot_close(azr_snapshot *s);

/* ---- copy.c ---- */
AZR_CHECKED int azri_tree_copy(const char *from, const char *to,
                               const azr_copy_options *o, azr_copied *out,
                               azr_error *err);
/* An open document, whole. */
AZR_CHECKED int azri_document_read(azr_array *a, azr_object *o, const char *key,
                                   azri_buf *out, azr_error *err);

/* ---- inspect.c ---- */
AZR_CHECKED int azri_array_info(azr_array *a, azr_array_info *out,
                                azr_error *err);
AZR_CHECKED int azri_array_usage(azr_array *a, uint64_t *chunks_out,
                                 uint64_t *nbytes_out, azr_error *err);
AZR_CHECKED int azri_array_verify(azr_array *a, azr_finding_fn fn,
                                  azr_progress_fn progress, void *arg,
                                  azr_error *err);
/* Call `fn` for every file that is a chunk key of this array. */
typedef int (*azri_chunk_fn)(void *arg, const uint64_t *coords, const char *key,
                             azr_error *err);
typedef int (*azri_stray_fn)(void *arg, const char *key);
AZR_CHECKED int azri_list_chunks(azr_array *a, const azri_meta *m,
                                 azri_chunk_fn fn, azri_stray_fn stray,
                                 void *arg, azr_error *err);

#endif
