#include "pushed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 250 };

void pushed_start(struct testkit *kit)
{
    if (testkit_start(kit) != HG_OPEN_OK)
        fail_msg("start: %s", testkit_fault(kit));
}

void pushed_gives(struct testkit *kit, size_t first, int result, const char *verdicts)
{
    static const char letters[] = "-odsrx";
    size_t count = strlen(verdicts);
    char got[ROWS_MAX + 1];
    assert_true(count <= ROWS_MAX);
    int rc = testkit_push(kit, first, count);
    for (size_t n = 0; n < count; n++)
        got[n] = letters[testkit_verdict(kit, first + n)];
    got[count] = '\0';
    if (strcmp(got, verdicts) != 0 || rc != result)
        fail_msg("result %d, verdicts %s instead of %s (%s)", rc, got, verdicts, testkit_push_reason(kit));
    assert_int_equal(testkit_forgotten(kit), 0);
}
