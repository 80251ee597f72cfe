/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

size_t azri_utf8_length(const uint8_t *p, size_t nbytes)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = p[0];
    size_t n = c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

    if (n < 2 || c > 0xF4)
        return n == 1;
    if (n > nbytes)
        return 0;
    c &= 0x7FU >> n;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3FU);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    return n;
}

void azri_one_line(char *text)
{
    size_t nbytes = strlen(text);

    for (size_t i = 0, n; i < nbytes; i += n) {
        const uint8_t *p = (const uint8_t *)text + i;

        n = azri_utf8_length(p, nbytes - i);
        if (n == 2 && p[0] == 0xC2 && p[1] < 0xA0) { /* U+0080 to U+009F */
            memset(text + i, '?', n);
        } else if (n == 0 || p[0] < 0x20 || p[0] == 0x7f) {
            text[i] = '?';
            n = 1;
        }
    }
}
