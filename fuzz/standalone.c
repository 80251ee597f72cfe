/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: over files, over the files of
 * directories, and over mutations of them that depend on the seed alone.
 *
 *   fuzz_NAME [--mutate=COUNT] [--seed=N] [FILE|DIRECTORY]…
 *   fuzz_NAME --unwritten     MemorySanitizer must end this (msan.c)
 *
 * A fault ends the program as it would any other (build it with sanitizers), and
 * so does a minute without an end; the input that did it stands in `crash-input`
 * of the working directory. A target's own mutator is used half of the time.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#pragma weak LLVMFuzzerInitialize
#pragma weak LLVMFuzzerCustomMutator
#pragma weak fuzz_unwritten

#define INPUT_MAX (1u << 20)
#define HANG_S    60

struct input {
    uint8_t *data;
    size_t size;
};

static struct input *inputs;
static size_t input_count;
static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t x = random_state += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static size_t below(size_t n)
{
    return n ? (size_t)(next_random() % n) : 0;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(2);
}

static void *get_memory(void *old, size_t nbytes)
{
    void *p = realloc(old, nbytes ? nbytes : 1);

    if (!p)
        give_up("memory");
    return p;
}

static void add_input(const uint8_t *data, size_t size)
{
    struct input in = {get_memory(NULL, size), size};

    if (size)
        memcpy(in.data, data, size);
    inputs = get_memory(inputs, (input_count + 1) * sizeof *inputs);
    inputs[input_count++] = in;
}

static void add_path(const char *path);

static void add_directory(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);

    if (n < 0)
        give_up(path);
    for (int i = 0; i < n; i++) {
        char child[4096];

        if (names[i]->d_name[0] != '.') {
            if (snprintf(child, sizeof child, "%s/%s", path,
                         names[i]->d_name) >= (int)sizeof child)
                give_up(path);
            add_path(child);
        }
        free(names[i]);
    }
    free(names);
}

static void add_path(const char *path)
{
    struct stat st = {0};
    uint8_t *data;
    size_t size;
    FILE *f;

    if (stat(path, &st) < 0)
        give_up(path);
    if (S_ISDIR(st.st_mode)) {
        add_directory(path);
        return;
    }
    f = fopen(path, "rb");
    if (!f)
        give_up(path);
    data = get_memory(NULL, INPUT_MAX);
    size = fread(data, 1, INPUT_MAX, f);
    add_input(data, size);
    free(data);
    (void)fclose(f);
}

/* The target gets memory of exactly the input's size, so that a sanitizer sees
 * every step beyond it. The file is written first: the target may not return. */
static void run(const uint8_t *data, size_t size)
{
    static int fd = -1;
    uint8_t *exact = get_memory(NULL, size);

    /* once: what is cut off and written anew goes to the disk each time */
    if (fd < 0)
        fd = open("crash-input", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size ||
        ftruncate(fd, (off_t)size) != 0)
        give_up("crash-input");
    if (size)
        memcpy(exact, data, size);
    (void)alarm(HANG_S);
    (void)LLVMFuzzerTestOneInput(exact, size);
    (void)alarm(0);
    free(exact);
}

static size_t mutate_once(uint8_t *data, size_t size)
{
    static const uint8_t telling[] = {0,   1,   0x7f, 0x80, 0xff,
                                      '"', '{', '[',  '0',  '-'};
    size_t at = below(size), n = below(size - at) + 1;
    const struct input *other;

    switch (next_random() % 7) {
    case 0: /* flip a bit */
        if (size)
            data[at] ^= (uint8_t)(1u << below(8));
        return size;
    case 1: /* a byte */
        if (size)
            data[at] = telling[below(sizeof telling)];
        return size;
    case 2: /* any byte */
        if (size)
            data[at] = (uint8_t)next_random();
        return size;
    case 3: /* cut short */
        return at;
    case 4: /* remove a part */
        if (!size || n > size - at)
            return size;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 5: /* double a part */
        if (!size || n > size - at || n > INPUT_MAX - size)
            return size;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    default: /* go on as another input does */
        other = &inputs[below(input_count)];
        n = other->size > at ? other->size - at : 0;
        if (n)
            memcpy(data + at, other->data + at, n);
        return n ? at + n : size;
    }
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t nbytes, size_t max_nbytes)
{
    size_t changed = mutate_once(data, nbytes);

    return changed < max_nbytes ? changed : max_nbytes;
}

static void run_mutation(uint8_t *scratch)
{
    const struct input *in = &inputs[below(input_count)];
    size_t size = in->size, times = below(6) + 1;

    if (size)
        memcpy(scratch, in->data, size);
    while (times-- > 0)
        size = mutate_once(scratch, size);
    if (LLVMFuzzerCustomMutator && below(2) == 0)
        size = LLVMFuzzerCustomMutator(scratch, size, INPUT_MAX,
                                       (unsigned)next_random());
    run(scratch, size);
}

int main(int argc, char **argv)
{
    unsigned long long mutations = 0;
    uint8_t *scratch = get_memory(NULL, INPUT_MAX);
    uint64_t seed = 1;
    time_t begun = time(NULL);

    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    add_input(NULL, 0);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--mutate=", 9) == 0)
            mutations = strtoull(argv[i] + 9, NULL, 10);
        else if (strncmp(argv[i], "--seed=", 7) == 0)
            seed = strtoull(argv[i] + 7, NULL, 10);
        else if (strcmp(argv[i], "--unwritten") == 0 && fuzz_unwritten)
            fuzz_unwritten();
        else
            add_path(argv[i]);
    }
    if (input_count < 2) {
        fprintf(stderr, "no inputs\n");
        return 2;
    }
    random_state = seed;
    for (size_t i = 0; i < input_count; i++)
        run(inputs[i].data, inputs[i].size);
    for (unsigned long long n = 0; n < mutations; n++)
        run_mutation(scratch);
    (void)remove("crash-input");
    printf("seed %llu, %zu inputs, %llu mutations, %llu executions, %.0f s\n",
           (unsigned long long)seed, input_count, mutations,
           input_count + mutations, difftime(time(NULL), begun));

    for (size_t i = 0; i < input_count; i++)
        free(inputs[i].data);
    free(inputs);
    free(scratch);
    return 0;
}
