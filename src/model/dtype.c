/* SPDX-License-Identifier: Apache-2.0 */
#include "model/dtype.h"

#include <string.h>

// clang-format off
static const azri_dtype table[] = {
    {AZR_BOOL,       AZRI_KIND_BOOL,    "bool",       "b1",  1,  1},
    {AZR_INT8,       AZRI_KIND_INT,     "int8",       "i1",  1,  1},
    {AZR_INT16,      AZRI_KIND_INT,     "int16",      "i2",  2,  2},
    {AZR_INT32,      AZRI_KIND_INT,     "int32",      "i4",  4,  4},
    {AZR_INT64,      AZRI_KIND_INT,     "int64",      "i8",  8,  8},
    {AZR_UINT8,      AZRI_KIND_UINT,    "uint8",      "u1",  1,  1},
    {AZR_UINT16,     AZRI_KIND_UINT,    "uint16",     "u2",  2,  2},
    {AZR_UINT32,     AZRI_KIND_UINT,    "uint32",     "u4",  4,  4},
    {AZR_UINT64,     AZRI_KIND_UINT,    "uint64",     "u8",  8,  8},
    {AZR_FLOAT16,    AZRI_KIND_FLOAT,   "float16",    "f2",  2,  2},
    {AZR_FLOAT32,    AZRI_KIND_FLOAT,   "float32",    "f4",  4,  4},
    {AZR_FLOAT64,    AZRI_KIND_FLOAT,   "float64",    "f8",  8,  8},
    {AZR_COMPLEX64,  AZRI_KIND_COMPLEX, "complex64",  "c8",  8,  4},
    {AZR_COMPLEX128, AZRI_KIND_COMPLEX, "complex128", "c16", 16, 8},
};
// clang-format on

#define ROW_COUNT (sizeof table / sizeof table[0])

const azri_dtype *azri_dtype_table(size_t *count_out)
{
    *count_out = ROW_COUNT;
    return table;
}

const azri_dtype *azri_dtype_get(int id)
{
    /* the ids are the rows, from 1; a test holds us to it */
    if (id < 1 || (size_t)id > ROW_COUNT)
        return NULL;
    return &table[id - 1];
}

const azri_dtype *azri_dtype_opaque(void)
{
    static const azri_dtype opaque = {
        AZR_DTYPE_NONE, AZRI_KIND_UINT, "", "", 1, 1};

    return &opaque;
}

const azri_dtype *azri_dtype_by_v3_name(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(table[i].v3_name, name) == 0)
            return &table[i];
    }
    return NULL;
}

const azri_dtype *azri_dtype_by_v2_code(const char *code)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(table[i].v2_code, code) == 0)
            return &table[i];
    }
    return NULL;
}

size_t azr_dtype_nbytes(int dtype)
{
    const azri_dtype *type = azri_dtype_get(dtype);

    return type ? type->nbytes : 0;
}

const char *azr_dtype_name(int dtype)
{
    const azri_dtype *type = azri_dtype_get(dtype);

    return type ? type->v3_name : NULL;
}

/* "<i4", ">f8", "|b1", "i4"; '|' only where byte order means nothing. */
static const azri_dtype *parse_code(const char *name, int *big_endian)
{
    char order = '<';
    const azri_dtype *type;

    if (*name && strchr("<>|", *name))
        order = *name++;
    type = azri_dtype_by_v2_code(name);
    if (!type || (order == '|' && type->nbytes > 1))
        return NULL;
    *big_endian = order == '>';
    return type;
}

int azr_dtype_parse(int *out, int *big_endian, const char *name, azr_error *err)
{
    const azri_dtype *type;
    int is_big = 0;

    azri_error_reset(err);
    if (!out || !name)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_dtype_parse: `out` or `name` is NULL");
    type = azri_dtype_by_v3_name(name);
    if (!type)
        type = parse_code(name, &is_big);
    if (!type)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_DTYPE,
                             "data type \"%.40s\" is not known: need a name "
                             "such as \"int32\" or \"<i4\"",
                             name);
    *out = type->id;
    if (big_endian)
        *big_endian = is_big;
    return AZR_OK;
}
