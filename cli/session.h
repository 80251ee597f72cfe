/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs do with an array, alone or as a line of `azr txn`: then the handles
 * are those of the transaction, and what is done is a part of it. Functions return
 * the library's status unless they say otherwise.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli.h"

/** As cli_open; in a transaction always for writing. `cli_close` afterwards. */
int cli_take(struct cli *cli, azr_array **out, const char *path,
             uint32_t flags);
void cli_close(struct cli *cli, azr_array *array);

int cli_info(struct cli *cli, azr_array *a, azr_array_info *out,
             azr_error *err);
int cli_read(struct cli *cli, azr_array *a, const azr_selection *sel, void *dst,
             size_t dst_nbytes, azr_error *err);
int cli_write(struct cli *cli, azr_array *a, const azr_selection *sel,
              const void *src, size_t src_nbytes, azr_error *err);
int cli_fill(struct cli *cli, azr_array *a, const azr_selection *sel,
             const void *value, size_t value_nbytes, azr_error *err);
int cli_append(struct cli *cli, azr_array *a, int axis, int64_t length,
               const void *src, size_t src_nbytes, int64_t *offset,
               azr_error *err);
int cli_resize(struct cli *cli, azr_array *a, int rank, const int64_t *shape,
               azr_error *err);
int cli_set_attribute(struct cli *cli, azr_array *a, const char *name,
                      const char *json, azr_error *err);
int cli_create(struct cli *cli, azr_array **out, const char *path,
               const azr_array_spec *spec, uint32_t flags, azr_error *err);
/** Alone only: 0, or the exit code, said. */
int cli_alone(struct cli *cli, const char *what);

struct cli_session *cli_session_new(const char *name);
void cli_session_free(struct cli_session *s);
/** A try begins in `txn`: arrays that the last one meant to create are gone. */
void cli_session_begin(struct cli_session *s, azr_txn *txn);
void cli_session_line(struct cli_session *s, size_t line);
/** The name and line of the script, in front of what is said; "" outside. */
void cli_session_place(char *out, size_t size, const struct cli *cli);
/** The document of an error, with --json: of a line it is kept until the output of
 *  the lines has been dropped, and shown by cli_session_tell. */
void cli_error_document(int exit_code, const char *name, const char *text);
void cli_session_failed(struct cli_session *s, int exit_code, const char *name,
                        const char *text);
void cli_session_tell(const struct cli_session *s);
/** Has a line failed because of a conflict? It has said nothing then. */
bool cli_session_conflict(const struct cli_session *s);
/** Is `status` that, in a transaction? It is kept in mind. */
bool cli_session_note(const struct cli *cli, int status);

#endif
