/* SPDX-License-Identifier: Apache-2.0 */
/* What a message may hold: one line of UTF-8 without control characters. */
#include "unit/checks.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

static void test_control_characters_become_marks(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    (void)azri_fail(&err, AZR_EINVAL,
                    "a%cb%cc%cd\xC2\x9B"
                    "e",
                    0x7f, '\n', 0x1b);
    assert_string_equal(err.message, "a?b?c?d??e");
}

static void test_only_utf8_is_kept(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    (void)azri_fail(&err, AZR_EINVAL, "%s",
                    "\xC3\xA9 \xFF \xE2\x82 \xED\xA0"
                    "\x80 \xF0\x9F\x98\x80");
    assert_string_equal(err.message, "\xC3\xA9 ? ?? ??? \xF0\x9F\x98\x80");
}

/* Cut in the midst of a character. */
static void test_a_cut_message_is_utf8(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    text[sizeof text - 2] = '\0';
    (void)azri_fail(&err, AZR_EINVAL, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(err.message[sizeof err.message - 2], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_characters_become_marks),
        cmocka_unit_test(test_only_utf8_is_kept),
        cmocka_unit_test(test_a_cut_message_is_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
