/* Sessions: what ends them, and how many there are. */
#include "access/sessions.h"
#include "base/sys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>

struct made {
    char id[SESSION_DIGITS + 1];
    struct session session;
};

static struct key key_named(const char *id)
{
    struct key k = {.roles = ROLE_READ};
    snprintf(k.id, sizeof k.id, "%s", id);
    return k;
}

static struct made begin(struct sessions *s, const char *key, int64_t now)
{
    struct made m;
    struct key k = key_named(key);
    assert_int_equal(sessions_begin(s, &k, now, m.id, &m.session), ERR_OK);
    return m;
}

static bool there(struct sessions *s, const struct made *m, int64_t now)
{
    struct session found;
    bool is = sessions_find(s, slice_of(m->id), now, &found);
    if (is) {
        assert_string_equal(found.key.id, m->session.key.id);
        assert_string_equal(found.token, m->session.token);
    }
    return is;
}

static void test_silence_ends_it(void **unused)
{
    (void)unused;
    struct sessions *s = sessions_new();
    struct made used = begin(s, "a", 1000), silent = begin(s, "a", 1000);
    int64_t now = 1000 + SESSION_IDLE_MS - 1;
    assert_true(there(s, &used, now));
    assert_int_equal(sessions_count(s, now), 2);
    assert_false(there(s, &silent, now + 1));
    assert_true(there(s, &used, now + 1));
    assert_int_equal(sessions_count(s, now + 1), 1);
    sessions_free(&s);
    assert_null(s);
}

static void test_it_does_not_last_for_ever(void **unused)
{
    (void)unused;
    struct sessions *s = sessions_new();
    struct made m = begin(s, "a", 0);
    int64_t now = 0;
    for (; now < SESSION_LONGEST_MS; now += SESSION_IDLE_MS / 2)
        assert_true(there(s, &m, now));
    assert_false(there(s, &m, now));
    sessions_free(&s);
}

static void test_ids(void **unused)
{
    (void)unused;
    struct sessions *s = sessions_new();
    struct session found;
    struct made one = begin(s, "a", 0), two = begin(s, "a", 0);
    assert_string_not_equal(one.id, two.id);
    assert_string_not_equal(one.id, one.session.token);
    assert_string_not_equal(one.session.token, two.session.token);
    assert_int_equal(strspn(one.id, "0123456789abcdefghjkmnpqrstvwxyz"), SESSION_DIGITS);
    assert_false(sessions_find(s, slice_make(one.id, SESSION_DIGITS - 1), 0, &found));
    assert_false(sessions_find(s, slice_make(NULL, 0), 0, &found));
    sessions_end(s, slice_of(one.id));
    sessions_end(s, slice_of("no such id"));
    assert_false(there(s, &one, 0));
    assert_true(there(s, &two, 0));
    sessions_free(&s);
}

/* The many of one key end the oldest of that key; where all places are taken, it is the one that was silent longest. */
static void test_how_many(void **unused)
{
    (void)unused;
    struct sessions *s = sessions_new();
    struct made other = begin(s, "other", 0), first = begin(s, "many", 1), second = begin(s, "many", 2);
    for (int i = 2; i < SESSIONS_OF_KEY; i++)
        (void)begin(s, "many", 3);
    assert_true(there(s, &first, 4)); /* used: now the second is the oldest */
    (void)begin(s, "many", 5);
    assert_true(there(s, &first, 6));
    assert_false(there(s, &second, 6));
    char name[KEY_ID + 1];
    for (int i = 0; sessions_count(s, 7) < SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "k%d", i);
        (void)begin(s, name, 7);
    }
    assert_true(there(s, &first, 8));
    (void)begin(s, "last", 9);
    assert_int_equal(sessions_count(s, 9), SESSIONS_MAX);
    assert_false(there(s, &other, 9));
    assert_true(there(s, &first, 9));
    sessions_free(&s);
}

static ssize_t no_random(void *out, size_t len)
{
    (void)out, (void)len;
    return -1;
}

static void test_without_random_numbers(void **unused)
{
    (void)unused;
    struct sys broken = *sys;
    const struct sys *before = sys;
    struct sessions *s = sessions_new();
    struct key k = key_named("a");
    struct made m;
    broken.random = no_random;
    sys = &broken;
    assert_int_equal(sessions_begin(s, &k, 0, m.id, &m.session), ERR_IO);
    sys = before;
    assert_int_equal(sessions_count(s, 0), 0);
    sessions_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_ends_it),
        cmocka_unit_test(test_it_does_not_last_for_ever),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_without_random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
