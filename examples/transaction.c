/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several reads and writes as one step: money is moved between accounts by two
 * processes at once, and the sum stays what it was.
 *
 *   transaction [PATH]
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNTS  8 /* a chunk each */
#define TRANSFERS 100

typedef struct transfer {
    azr_array *array;
    int64_t from, to;
    int32_t amount;
} transfer;

/* The body may run several times: it must do nothing but read and write. */
static int move(azr_txn *txn, void *arg, azr_error *err)
{
    const transfer *t = arg;
    azr_selection from = azr_select_box(1, &t->from, (int64_t[]){1}, NULL);
    azr_selection to = azr_select_box(1, &t->to, (int64_t[]){1}, NULL);
    int32_t a, b;
    int rc = azr_txn_read(txn, t->array, &from, &a, sizeof a, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(txn, t->array, &to, &b, sizeof b, err);
    if (rc != AZR_OK || a < t->amount)
        return rc; /* too poor: commit nothing */
    a -= t->amount;
    b += t->amount;
    rc = azr_txn_write(txn, t->array, &from, &a, sizeof a, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(txn, t->array, &to, &b, sizeof b, err);
    return rc;
}

static int run_transfers(const char *path, unsigned seed)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    transfer t = {.amount = 3};
    int rc;

    options.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&t.array, path, &options, &err);
    for (unsigned i = 0; rc == AZR_OK && i < TRANSFERS; i++) {
        t.from = (int64_t)((seed + i) % ACCOUNTS);
        t.to = (int64_t)((seed + 3 * i + 1) % ACCOUNTS);
        if (t.from == t.to)
            continue;
        /* AZR_ECONFLICT is run again; after three of them, under locks */
        rc = azr_txn_run(move, &t, NULL, &err);
    }
    if (rc != AZR_OK)
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
    azr_array_close(t.array);
    return rc == AZR_OK ? 0 : 1;
}

static int make_accounts(azr_array **out, const char *path, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    const int32_t hundred = 100;
    int rc;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = ACCOUNTS;
    spec.chunks[0] = 1;
    rc = azr_array_create(out, path, &spec, NULL, err);
    if (rc == AZR_OK)
        rc = azr_array_fill(*out, &all, &hundred, sizeof hundred, err);
    return rc;
}

int main(int argc, char **argv)
{
    char scratch[] = "transaction-XXXXXX";
    const char *path = argc > 1 ? argv[1] : mkdtemp(scratch);
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    int32_t balance[ACCOUNTS];
    azr_array *array = NULL;
    int status = 1, failed = 0, sum = 0;
    int rc = make_accounts(&array, path, &err);
    pid_t child;

    if (rc != AZR_OK)
        goto done;
    child = fork();
    if (child == 0)
        _exit(run_transfers(path, 1));
    failed = run_transfers(path, 5);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        failed = 1;
    rc = azr_array_read(array, &all, balance, sizeof balance, &err);
    for (int i = 0; rc == AZR_OK && i < ACCOUNTS; i++)
        sum += balance[i];
    if (rc == AZR_OK)
        printf("%d accounts hold %d\n", ACCOUNTS, sum);
done:
    if (rc != AZR_OK)
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
    azr_array_close(array);
    return rc == AZR_OK && !failed && sum == 100 * ACCOUNTS ? 0 : 1;
}
