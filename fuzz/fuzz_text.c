/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small languages of the command line. Byte 0 is a rank, byte 1 a data type;
 * the rest is text. As a selection: an error, or slices that the text's rank
 * allows. As a value: an error, or an element whose text reads back as itself.
 * As a shape, a data type, a list of codecs: an error, or something sound.
 */
#include "cli/elem.h"
#include "cli/region.h"
#include "fuzz.h"
#include "model/meta.h"

static void select_text(int rank, const char *text)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection s;

    memset(&s, 0xee, sizeof s);
    if (azr_selection_parse(&s, rank, text, &err) != AZR_OK) {
        require(err.code == AZR_EINVAL && fuzz_is_line(err.message));
        return;
    }
    require(s.struct_size == sizeof s && s.kind == AZR_SELECT_SLICES);
    require(s.rank == rank && s.flags == 0);
    for (int d = 0; d < rank; d++)
        require(s.step[d] >= 0);
}

/* Reads back as the same bytes; NaN as some NaN. */
static void value_text(int dtype, const char *text)
{
    unsigned char value[ELEM_NBYTES_MAX] = {0}, back[ELEM_NBYTES_MAX] = {0};
    char out[ELEM_TEXT_MAX], json[ELEM_TEXT_MAX], again[ELEM_TEXT_MAX];
    char why[200] = "";

    if (!elem_parse(value, dtype, text, why, sizeof why)) {
        require(why[0] != '\0');
        return;
    }
    elem_text(out, dtype, value);
    require(fuzz_is_line(out));
    require(elem_parse(back, dtype, out, why, sizeof why));
    if (strstr(out, "nan") == NULL)
        require(memcmp(value, back, azr_dtype_nbytes(dtype)) == 0);
    elem_text(again, dtype, back);
    if (strstr(out, "nan") == NULL)
        require(strcmp(out, again) == 0);
    elem_json(json, dtype, value);
    require(azri_json_check((azri_span){(const uint8_t *)json, strlen(json)},
                            "element", AZR_EINVAL, NULL) == AZR_OK);
}

static void codecs_text(int format, int dtype, const char *text)
{
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc = azri_codec_names_to_json(&out, format, azri_dtype_get(dtype), text,
                                      &err);

    if (fuzz_status(rc, &err) == AZR_OK)
        require(azri_json_check(azri_buf_span(&out), "codecs", AZR_EINVAL,
                                &err) == AZR_OK);
    azri_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    int64_t shape[AZR_MAX_RANK];
    azr_error err = AZR_ERROR_INIT;
    int rank, dtype, found, big, n;
    char *text;

    if (nbytes < 2)
        return 0;
    rank = data[0] % (AZR_MAX_RANK + 1);
    dtype = AZR_BOOL + data[1] % AZR_COMPLEX128;
    text = calloc(nbytes - 1, 1);
    require(text != NULL);
    memcpy(text, data + 2, nbytes - 2);
    select_text(rank, text);
    value_text(dtype, text);
    n = shape_parse(shape, text);
    require(n <= AZR_MAX_RANK);
    for (int d = 0; d < n; d++)
        require(shape[d] >= 0);
    if (fuzz_status(azr_dtype_parse(&found, &big, text, &err), &err) == AZR_OK)
        require(azr_dtype_nbytes(found) > 0 && (big == 0 || big == 1));
    codecs_text(data[0] & 64 ? 2 : 3, dtype, text);
    free(text);
    return 0;
}
