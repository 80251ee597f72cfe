/* SPDX-License-Identifier: Apache-2.0 */
#include "model/dtype.h"

#include <string.h>

// clang-format off
static const azri_dtype table[] = {
    {AZR_BOOL,       "bool",       "b1",  AZRI_KIND_BOOL,    1,  1},
    {AZR_INT8,       "int8",       "i1",  AZRI_KIND_INT,     1,  1},
    {AZR_INT16,      "int16",      "i2",  AZRI_KIND_INT,     2,  2},
    {AZR_INT32,      "int32",      "i4",  AZRI_KIND_INT,     4,  4},
    {AZR_INT64,      "int64",      "i8",  AZRI_KIND_INT,     8,  8},
    {AZR_UINT8,      "uint8",      "u1",  AZRI_KIND_UINT,    1,  1},
    {AZR_UINT16,     "uint16",     "u2",  AZRI_KIND_UINT,    2,  2},
    {AZR_UINT32,     "uint32",     "u4",  AZRI_KIND_UINT,    4,  4},
    {AZR_UINT64,     "uint64",     "u8",  AZRI_KIND_UINT,    8,  8},
    {AZR_FLOAT16,    "float16",    "f2",  AZRI_KIND_FLOAT,   2,  2},
    {AZR_FLOAT32,    "float32",    "f4",  AZRI_KIND_FLOAT,   4,  4},
    {AZR_FLOAT64,    "float64",    "f8",  AZRI_KIND_FLOAT,   8,  8},
    {AZR_COMPLEX64,  "complex64",  "c8",  AZRI_KIND_COMPLEX, 8,  4},
    {AZR_COMPLEX128, "complex128", "c16", AZRI_KIND_COMPLEX, 16, 8},
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
