/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of groups and consolidated metadata. Byte 0 picks the version of
 * Zarr (even: 2), the rest is the document. Whatever it holds: an error, or
 * values; what we make of it can be read again, and equals itself.
 */
#include "fuzz.h"
#include "model/consolidated.h"
#include "model/node.h"

static void change(const azri_node *n)
{
    azri_buf out = AZRI_BUF_INIT;
    azri_node changed = *n;

    require(azri_node_attributes(&out, n, NULL) == AZR_OK);
    out.nbytes = 0;
    if (azri_node_with_attribute(&out, n, "k", "[1]", NULL) == AZR_OK) {
        if (n->zarr_format == 2)
            changed.attributes = azri_buf_span(&out);
        else
            changed.text = azri_buf_span(&out);
        require(azri_group_check(&changed, NULL) == AZR_OK);
    }
    azri_buf_dispose(&out);
}

static void compose_again(int format, azri_consolidated *c)
{
    azri_span value, found, root = {(const uint8_t *)"{}", 2};
    azri_consolidated *again = NULL;
    azri_gathering *g = NULL;
    azri_buf out = AZRI_BUF_INIT;
    const char *key;
    size_t at = 0;

    require(azri_gathering_new(&g, format, NULL) == AZR_OK);
    while ((key = azri_consolidated_unseen(c, &at, &value)) != NULL) {
        bool same = false;

        require(azri_documents_agree(&same, value, value, false, NULL) ==
                AZR_OK);
        require(same);
        if (azri_json_type_of(value) == AZRI_JSON_OBJECT)
            require(azri_gathering_add(g, key, 1, value, NULL) == AZR_OK);
    }
    if (azri_gathering_compose(&out, g, root, NULL) == AZR_OK) {
        require(azri_consolidated_parse(&again, format, azri_buf_span(&out),
                                        NULL) == AZR_OK);
        at = 0;
        while ((key = azri_consolidated_unseen(again, &at, &value)) != NULL)
            require(azri_consolidated_find(c, key, &found));
    }
    azri_consolidated_free(again);
    azri_buf_dispose(&out);
    azri_gathering_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    azri_consolidated *c = NULL;
    azri_node n = {0};
    int kind;

    if (nbytes < 1)
        return 0;
    n.zarr_format = data[0] % 2 ? 3 : 2;
    n.text = (azri_span){data + 1, nbytes - 1};
    (void)!azri_node_kind(&kind, n.text, NULL);
    if (azri_group_check(&n, NULL) == AZR_OK)
        change(&n);
    if (azri_consolidated_parse(&c, n.zarr_format, n.text, NULL) == AZR_OK)
        compose_again(n.zarr_format, c);
    azri_consolidated_free(c);
    return 0;
}
