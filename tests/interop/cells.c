/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include "base/hash.h"
#include "codec/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------- tables --- */

static const cell_shape edge = {"edge", 2, {13, 40}, {8, 32}, false, true};
static const cell_shape full = {"full", 2, {13, 40}, {8, 32}, false, false};
static const cell_shape blank = {"blank", 1, {3}, {2}, true, false};

/* clang-format off */
static const cell_shape shapes[] = {
    {"scalar", 0, {0}, {0}, false, false},
    {"scalar-blank", 0, {0}, {0}, true, false},
    {"zero-rows", 2, {0, 5}, {2, 3}, false, false},
    {"zero-columns", 2, {4, 0}, {2, 1}, false, false},
    {"line", 1, {1000}, {128}, false, false},
    {"even", 2, {8, 8}, {4, 4}, false, false},
    {"one-chunk", 2, {3, 5}, {10, 7}, false, false},
    {"all-missing", 2, {5, 6}, {2, 4}, true, false},
    {"cube", 3, {5, 6, 7}, {2, 3, 4}, false, true},
    {"deep", 6, {2, 1, 3, 1, 4, 2}, {1, 1, 2, 1, 3, 2}, false, false},
};
/* clang-format on */
#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

/* How each codec of the registry is tried. `v2` and `v3`: formats that have it
 * so; the last ones combine several. */
static const struct codec_text {
    const char *name; /* in the registry */
    const char *text;
    bool v2, v3;
} codec_texts[] = {
    {"bytes", "none", true, true},
    {"transpose", NULL, false, false}, /* that is what orders are for */
    {"gzip", "gzip:6", true, true},
    {"numcodecs.zlib", "zlib:1", true, true},
    {"zstd", "zstd:0", true, true},
    {"numcodecs.lz4", "lz4:1", true, true},
    {"blosc", "blosc", true, true},
    {"blosc", "blosc:lz4hc:9:noshuffle", true, true},
    {"blosc", "blosc:blosclz:5:shuffle", true, true},
    {"blosc", "blosc:zlib:3:bitshuffle", true, true},
    {"blosc", "blosc:zstd:5:bitshuffle", true, true},
    {"crc32c", "crc32c", true, true},
    {"crc32c", "crc32c,zstd:3", false, true},
    {"gzip", "gzip:1,crc32c", false, true},
};
#define CODEC_COUNT (sizeof codec_texts / sizeof codec_texts[0])

static const struct key_way {
    int format;
    char encoding, separator;
} key_ways[] = {
    {2, '2', '.'}, {2, '2', '/'}, {3, 'd', '/'},
    {3, 'd', '.'}, {3, '2', '.'}, {3, '2', '/'},
};
#define KEY_COUNT (sizeof key_ways / sizeof key_ways[0])

static const char *const attribute_texts[][2] = {
    {"plain", "{\"answer\": 42, \"name\": \"level\"}"},
    {"nested",
     "{\"a\": {\"b\": [1, [2, {\"c\": null}]], \"d\": {}}, \"e\": []}"},
    {"unicode", "{\"\xc3\xa9t\xc3\xa9\": \"\xe3\x81\x9f \xf0\x9f\x8c\x8d\", "
                "\"e\": \"\\u00e9 \\ud83c\\udf0d\"}"},
    {"escapes", "{\"q\\\"\": \"tab\\t line\\n back\\\\ nul\\u0000\"}"},
    {"numbers", "{\"a\": 9223372036854775807, \"b\": -9223372036854775808, "
                "\"c\": 18446744073709551615, \"d\": 0.1, \"e\": 1e300, "
                "\"f\": -0.0, \"g\": 1.0, \"h\": true}"},
    {"not-finite", "{\"nan\": NaN, \"up\": Infinity, \"down\": -Infinity}"},
    {"xarray", "{\"_ARRAY_DIMENSIONS\": [\"y\", \"x\"], \"_FillValue\": -1}"},
    {"empty", "{}"},
};

static const char *const dimension_names[2] = {"y", NULL};

/* ---------------------------------------------------------- fill values --- */

static const char *usual_fill(const azri_dtype *t)
{
    switch (t->kind) {
    case AZRI_KIND_BOOL:
        return "true";
    case AZRI_KIND_FLOAT:
        return "1.5";
    case AZRI_KIND_COMPLEX:
        return "[1.5, -2.5]";
    case AZRI_KIND_INT:
    case AZRI_KIND_UINT:
        break;
    }
    return "7";
}

/* Fill value number i of a type: JSON text and name; false: no more. */
static bool fill_of(const azri_dtype *t, size_t i, const char **text,
                    const char **name)
{
    static const char *const bools[][2] = {{"true", "true"},
                                           {"false", "false"}};
    static const char *const least[] = {"-128", "-32768", "-2147483648",
                                        "-9223372036854775808"};
    static const char *const most[] = {"127", "32767", "2147483647",
                                       "9223372036854775807"};
    static const char *const umost[] = {"255", "65535", "4294967295",
                                        "18446744073709551615"};
    static const char *const tiny[] = {"5.960464477539063e-08",
                                       "1.401298464324817e-45", "5e-324"};
    static const char *const huge[] = {"65504", "3.4028234663852886e+38",
                                       "1.7976931348623157e+308"};
    static const char *const bits[] = {"\"0x7e01\"", "\"0x7fc00001\"",
                                       "\"0x7ff8000000000001\""};
    static const char *const complexes[][2] = {
        {"[0.0, 0.0]", "zero"},
        {"[0.1, -0.0]", "tenth"},
        {"[\"NaN\", \"-Infinity\"]", "not-finite"}};
    size_t width = t->nbytes == 1   ? 0
                   : t->nbytes == 2 ? 1
                   : t->nbytes == 4 ? 2
                                    : 3;
    const char *const ints[][2] = {{least[width], "least"},
                                   {"-1", "minus-one"},
                                   {"0", "zero"},
                                   {most[width], "most"}};
    const char *const uints[][2] = {{"0", "zero"}, {umost[width], "most"}};
    const size_t f = width ? width - 1 : 0;
    const char *const floats[][2] = {{"0.0", "zero"},
                                     {"-0.0", "minus-zero"},
                                     {"0.1", "tenth"},
                                     {"\"NaN\"", "nan"},
                                     {"\"Infinity\"", "infinity"},
                                     {"\"-Infinity\"", "minus-infinity"},
                                     {tiny[f], "tiny"},
                                     {huge[f], "huge"},
                                     {bits[f], "bits"}};
    const char *const(*table)[2] = ints;
    size_t count = 4;

    if (t->kind == AZRI_KIND_BOOL) {
        table = bools;
        count = 2;
    } else if (t->kind == AZRI_KIND_UINT) {
        table = uints;
        count = 2;
    } else if (t->kind == AZRI_KIND_FLOAT) {
        table = floats;
        count = 9;
    } else if (t->kind == AZRI_KIND_COMPLEX) {
        table = complexes;
        count = 3;
    }
    if (i >= count)
        return false;
    *text = table[i][0];
    *name = table[i][1];
    return true;
}

/* --------------------------------------------------------------- values --- */

static uint16_t half_of(size_t i, uint64_t x)
{
    /* every finite half is fine; NaN and infinities as such */
    uint16_t bits = (uint16_t)(x & 0xfbff);

    if (i % 50 == 17)
        return 0x7e00;
    return (bits & 0x7c00) == 0x7c00 ? 0xfc00 : bits;
}

static double double_of(size_t i, uint64_t x)
{
    if (i % 50 == 17)
        return (double)NAN;
    if (i % 50 == 18)
        return -(double)INFINITY;
    return ((double)(x % 2000) - 1000) * 0.125;
}

static void put_float(uint8_t *p, size_t nbytes, size_t i, uint64_t x)
{
    if (nbytes == 2) {
        uint16_t half = half_of(i, x);

        memcpy(p, &half, 2);
    } else if (nbytes == 4) {
        float single = (float)double_of(i, x);

        memcpy(p, &single, 4);
    } else {
        double d = double_of(i, x);

        memcpy(p, &d, 8);
    }
}

static void put_integer(uint8_t *p, size_t nbytes, uint64_t x)
{
    uint8_t u8 = (uint8_t)(x & 0xff);
    uint16_t u16 = (uint16_t)(x & 0xffff);
    uint32_t u32 = (uint32_t)(x & 0xffffffff);

    if (nbytes == 1)
        memcpy(p, &u8, 1);
    else if (nbytes == 2)
        memcpy(p, &u16, 2);
    else if (nbytes == 4)
        memcpy(p, &u32, 4);
    else
        memcpy(p, &x, 8);
}

/* Mostly small numbers with repetitions, so that compressors have something to
 * do, and now and then one of full width. */
static void put_value(uint8_t *p, const azri_dtype *t, size_t i, unsigned seed)
{
    uint64_t x =
        i % 16 == 5 ? azri_splitmix64(i + seed) : (uint64_t)(i / 4 % 23) + seed;

    switch (t->kind) {
    case AZRI_KIND_BOOL:
        *p = x % 3 == 0;
        break;
    case AZRI_KIND_FLOAT:
        put_float(p, t->nbytes, i, x);
        break;
    case AZRI_KIND_COMPLEX:
        put_float(p, t->nbytes / 2, i, x);
        put_float(p + t->nbytes / 2, t->nbytes / 2, i + 1, x + 3);
        break;
    case AZRI_KIND_INT:
    case AZRI_KIND_UINT:
        put_integer(p, t->nbytes, x);
        break;
    }
}

/* In the chunk at the end of the first row of chunks? */
static bool is_in_gap(const cell_shape *s, const int64_t *shape, size_t i)
{
    bool inside = true;

    for (int d = s->rank - 1; d >= 0; d--) {
        int64_t at = (int64_t)(i % (size_t)shape[d]);
        int64_t first = (shape[d] - 1) / s->chunks[d] * s->chunks[d];

        i /= (size_t)shape[d];
        if (d == s->rank - 1)
            inside &= at >= first;
        else
            inside &= at < s->chunks[d];
    }
    return inside;
}

uint8_t *cell_values(const cell *c, const int64_t *shape, unsigned seed)
{
    size_t n = element_count(shape, c->shape->rank);
    size_t item = c->dtype->nbytes;
    uint8_t *data = need_memory(n * item), fill[AZRI_FILL_NBYTES];
    bool has_fill;
    azr_error err = AZR_ERROR_INIT;

    if (azri_fill_parse(fill, &has_fill, c->dtype, c->format, c->fill,
                        strlen(c->fill), &err) < 0)
        die("fill value %s: %s", c->fill, err.message);
    for (size_t i = 0; i < n; i++) {
        if (c->shape->is_blank ||
            (c->shape->has_gap && is_in_gap(c->shape, shape, i)))
            memcpy(data + i * item, fill, item);
        else
            put_value(data + i * item, c->dtype, i, seed);
    }
    return data;
}

/* ---------------------------------------------------------- enumeration --- */

void cell_id(char out[TEXT_MAX], const cell *c)
{
    static const char *const crashes[] = {"",      "write",  "append",
                                          "erase", "shrink", "attribute"};

    text_of(out, "%s v%d %s %s %s %c %c%c %s%s%s%s%s%s%s", c->kind, c->format,
            c->dtype->v3_name, c->big_endian ? "big" : "little", c->codecs,
            c->order, c->encoding, c->separator, c->shape->name,
            c->fill_name ? " fill-" : "", c->fill_name ? c->fill_name : "",
            c->attributes_name ? " attributes-" : "",
            c->attributes_name ? c->attributes_name : "", c->crash ? " " : "",
            crashes[c->crash]);
}

static bool has_codec(const struct codec_text *t, int format)
{
    return format == 2 ? t->v2 : t->v3;
}

/* Number n, counted round, of those that `format` has. */
static const char *nth_codec(int format, size_t n)
{
    for (size_t i = 0;; i = (i + 1) % CODEC_COUNT) {
        if (has_codec(&codec_texts[i], format) && n-- == 0)
            return codec_texts[i].text;
    }
}

static const struct key_way *nth_key(int format, size_t n)
{
    return format == 2 ? &key_ways[n % 2] : &key_ways[2 + n % 4];
}

static void check_registry(void)
{
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const char *name = azri_codec_at(i)->name;
        size_t k = 0;

        while (k < CODEC_COUNT && strcmp(codec_texts[k].name, name) != 0)
            k++;
        if (k == CODEC_COUNT)
            die("cells.c says nothing of codec %s", name);
    }
    for (size_t k = 0; k < CODEC_COUNT; k++) {
        if (!azri_codec_find(codec_texts[k].name, 3))
            die("the registry has no codec %s", codec_texts[k].name);
    }
}

/* Data type × byte order, the outer loop of everything. */
typedef struct typed {
    const azri_dtype *dtype;
    bool big_endian;
} typed;

static size_t all_types(typed out[64])
{
    size_t count, n = 0;
    const azri_dtype *table = azri_dtype_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (n + 2 > 64)
            die("too many data types");
        out[n++] = (typed){&table[i], false};
        if (table[i].swap_unit > 1)
            out[n++] = (typed){&table[i], true};
    }
    return n;
}

static cell base_cell(const char *kind, const typed *t, int format)
{
    cell c = {.kind = kind,
              .format = format,
              .dtype = t->dtype,
              .big_endian = t->big_endian,
              .codecs = "none",
              .order = 'C',
              .shape = &edge,
              .fill = usual_fill(t->dtype)};

    return c;
}

static void set_key(cell *c, const struct key_way *k)
{
    c->encoding = k->encoding;
    c->separator = k->separator;
}

static void matrix(const typed *t, cell_fn fn, void *arg)
{
    for (size_t k = 0; k < KEY_COUNT; k++) {
        for (size_t i = 0; i < CODEC_COUNT * 2; i++) {
            const struct codec_text *text = &codec_texts[i / 2];
            cell c = base_cell("matrix", t, key_ways[k].format);

            set_key(&c, &key_ways[k]);
            c.codecs = text->text;
            c.order = i % 2 ? 'F' : 'C';
            if (has_codec(text, c.format))
                fn(&c, arg);
        }
    }
}

/* Every shape with every type; codecs, orders and keys take turns. */
static void other_shapes(const typed *t, size_t turn, cell_fn fn, void *arg)
{
    for (int format = 2; format <= 3; format++) {
        for (size_t s = 0; s < SHAPE_COUNT; s++) {
            const char *orders = format == 2           ? "CF"
                                 : shapes[s].rank >= 3 ? "CFP"
                                                       : "CF";

            for (const char *o = orders; *o; o++, turn++) {
                cell c = base_cell("shape", t, format);

                c.shape = &shapes[s];
                c.order = *o;
                c.codecs = nth_codec(format, turn);
                set_key(&c, nth_key(format, turn / 3));
                fn(&c, arg);
            }
        }
    }
}

static void fill_values(const typed *t, cell_fn fn, void *arg)
{
    for (int format = 2; format <= 3; format++) {
        cell c = base_cell("fill", t, format);

        set_key(&c, nth_key(format, 0));
        c.shape = &blank;
        for (size_t i = 0;; i++) {
            if (!fill_of(t->dtype, i, &c.fill, &c.fill_name))
                break;
            if (format == 2 && strcmp(c.fill_name, "bits") == 0)
                continue; /* v2 has no way to say it */
            fn(&c, arg);
        }
        if (format == 2) {
            c.shape = &full;
            c.fill = "null";
            c.fill_name = "null";
            fn(&c, arg);
        }
    }
}

static void documents(cell_fn fn, void *arg)
{
    const typed t = {azri_dtype_get(AZR_INT32), false};

    for (int format = 2; format <= 3; format++) {
        for (size_t i = 0;
             i < sizeof attribute_texts / sizeof attribute_texts[0]; i++) {
            cell c = base_cell("attributes", &t, format);

            set_key(&c, nth_key(format, i));
            c.attributes_name = attribute_texts[i][0];
            c.attributes = attribute_texts[i][1];
            fn(&c, arg);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        cell c = base_cell("names", &t, 3);

        set_key(&c, nth_key(3, i));
        c.names = dimension_names;
        fn(&c, arg);
    }
}

static void crashes(bool recovered, cell_fn fn, void *arg)
{
    const typed t = {azri_dtype_get(AZR_INT32), false};

    for (size_t k = 0; k < KEY_COUNT; k++) {
        for (int crash = CRASH_WRITE; crash <= CRASH_ATTRIBUTE; crash++) {
            cell c = base_cell(recovered ? "recovered" : "pending", &t,
                               key_ways[k].format);

            set_key(&c, &key_ways[k]);
            c.codecs = "zstd:0";
            c.shape = &full;
            c.attributes = "{\"answer\": 42}";
            c.crash = (cell_crash)crash;
            c.recovered = recovered;
            fn(&c, arg);
        }
    }
}

void for_each_cell(cell_fn fn, void *arg)
{
    typed types[64];
    size_t n = all_types(types);

    check_registry();
    for (size_t i = 0; i < n; i++) {
        matrix(&types[i], fn, arg);
        other_shapes(&types[i], i, fn, arg);
        fill_values(&types[i], fn, arg);
    }
    documents(fn, arg);
    crashes(false, fn, arg);
    crashes(true, fn, arg);
}
