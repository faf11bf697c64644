/* Texts of unknown origin: what is kept of them can be shown. */
#include "support.h"

#include "text.h"

#define assert_copied(size, from, expected)                                                        \
    do {                                                                                           \
        char copy_[64];                                                                            \
        memset(copy_, '#', sizeof copy_);                                                          \
        bl_text_copy(copy_, (size), (from));                                                       \
        assert_string_equal(copy_, (expected));                                                    \
        assert_int_equal(copy_[(size)], '#');                                                      \
    } while (0)

static void test_copy_keeps_text(void **state)
{
    (void)state;
    assert_copied(40, "", "");
    assert_copied(40, "Fe foil, 5 um", "Fe foil, 5 um");
    assert_copied(40, "\xc2\xb5m \xe2\x84\xab \xf0\x9f\x99\x82",
                  "\xc2\xb5m \xe2\x84\xab \xf0\x9f\x99\x82");
}

static void test_copy_cuts_between_characters(void **state)
{
    (void)state;
    assert_copied(1, "foil", "");
    assert_copied(4, "foil", "foi");
    assert_copied(5, "foil", "foil");
    assert_copied(4, "5 \xc2\xb5m", "5 ");
    assert_copied(5, "5 \xc2\xb5m", "5 \xc2\xb5");
    assert_copied(3, "\xe2\x84\xab", "");
    assert_copied(4, "\xf0\x9f\x99\x82", "");
    assert_copied(5, "\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82");
}

static void test_copy_replaces_what_cannot_be_shown(void **state)
{
    (void)state;
    assert_copied(40, "a\tb\x1b[1m\x7f", "a?b?[1m?");
    assert_copied(40, "5 \xb5m", "5 ?m"); /* Latin-1 */
    assert_copied(40, "\xc2\x85", "??");  /* a control character of Latin-1 */
    assert_copied(40, "caf\xe9", "caf?"); /* ends inside of a character */
    assert_copied(40, "\xe2\x84", "??");
    assert_copied(40, "\xc0\xaf\xc1\xbf", "????"); /* longer than need be */
    assert_copied(40, "\xe0\x80\xaf", "???");
    assert_copied(40, "\xf0\x80\x80\xaf", "????");
    assert_copied(40, "\xed\xa0\x80", "???");           /* a surrogate */
    assert_copied(40, "\xf4\x90\x80\x80\xff", "?????"); /* beyond Unicode */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_keeps_text),
        cmocka_unit_test(test_copy_cuts_between_characters),
        cmocka_unit_test(test_copy_replaces_what_cannot_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
