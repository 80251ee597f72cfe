/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the JSON text functions: the scanner itself. Of this room only. */
#ifndef AZRI_MODEL_JSONSCAN_H
#define AZRI_MODEL_JSONSCAN_H

#include "base/text.h"
#include "model/jsontext.h"

typedef struct azri_scanner {
    const uint8_t *text;
    size_t nbytes, at;
    const char *problem; /* set when a scan says false; `at` is the place */
    bool for_tree;       /* apply the limits of json-c as well */
    bool saw_nul;        /* the last string holds \u0000 */
    size_t value_count;
} azri_scanner;

azri_scanner azri_scan_begin(azri_span text); /* after BOM and white space */
void azri_scan_space(azri_scanner *s);
bool azri_scan_string(azri_scanner *s);
bool azri_scan_value(azri_scanner *s);
bool azri_scan_document(azri_scanner *s);
/* Say what a scan that failed has found. */
int azri_scan_fail(const azri_scanner *s, const char *what, int code,
                   azr_error *err);

#endif
