/* Keys, their file, roles, the Authorization field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/bearer.h"
#include "access/keys.h"
#include "base/sys.h"

#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char *dir;

static int begin(void **state)
{
    (void)state;
    sys = &sys_plain;
    dir = scratch_make();
    return 0;
}

static int end(void **state)
{
    (void)state;
    sys = &sys_plain;
    scratch_remove(&dir);
    return 0;
}

/* --- the field --- */

static void test_bearer(void **state)
{
    static const struct {
        const char *value, *token; /* NULL: none */
    } samples[] = {
        {"Bearer abc", "abc"},
        {"bEARER   a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="},
        {"Bearer", NULL},
        {"Bearer ", NULL},
        {"Bearerabc", NULL},
        {"Bearer\tabc", NULL},
        {"Bearer abc def", NULL},
        {"Bearer abc ", NULL},
        {"Bearer abc, Bearer abc", NULL},
        {"Bearer =", NULL},
        {"Bearer a=b", NULL},
        {"Bearer \"abc\"", NULL},
        {"Basic abc", NULL},
        {"abc", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct slice token = {NULL, 0};
        bool found = bearer_token(slice_of(samples[i].value), &token);
        if (found != (samples[i].token != NULL) || (found && !slice_is(token, samples[i].token)))
            fail_msg("\"%s\": \"%.*s\"", samples[i].value, (int)token.len, token.ptr);
    }
    struct slice token;
    assert_false(bearer_token(slice_make("Bearer abc\0x", 12), &token));
}

/* --- roles and clients --- */

static void test_roles(void **state)
{
    unsigned roles = 0;
    struct err e;
    struct buf text;
    (void)state;
    assert_int_equal(roles_parse("ingest, read", &roles, &e), ERR_OK);
    assert_int_equal(roles, ROLE_INGEST | ROLE_READ);
    assert_int_equal(roles_parse("root", &roles, &e), ERR_UNKNOWN);
    assert_int_equal(roles_parse("", &roles, &e), ERR_UNKNOWN);
    assert_int_equal(roles_parse(" , ", &roles, &e), ERR_UNKNOWN);
    assert_int_equal(roles, ROLE_INGEST | ROLE_READ); /* untouched by what failed */
    assert_int_equal(roles_with_lesser(ROLE_ADMIN), ROLE_ALL);
    assert_int_equal(roles_with_lesser(ROLE_OPERATE), ROLE_OPERATE | ROLE_READ);
    assert_int_equal(roles_with_lesser(ROLE_INGEST), ROLE_INGEST);
    assert_int_equal(roles_with_lesser(ROLE_READ), ROLE_READ);
    buf_init(&text, 100);
    assert_int_equal(roles_show(ROLE_ADMIN | ROLE_INGEST, &text), ERR_OK);
    assert_string_equal(buf_str(&text), "ingest,admin");
    buf_free(&text);
}

static void test_client_names(void **state)
{
    char long_one[CLIENT_MAX + 2];
    (void)state;
    memset(long_one, 'a', sizeof long_one);
    assert_true(client_valid(slice_of("lab-a.b_c@d")));
    assert_true(client_valid(slice_make(long_one, CLIENT_MAX)));
    assert_false(client_valid(slice_make(long_one, CLIENT_MAX + 1)));
    assert_false(client_valid(slice_of("")));
    assert_false(client_valid(slice_of("a b")));
    assert_false(client_valid(slice_of("a/b")));
    assert_false(client_valid(slice_make("a\0b", 3)));
}

/* --- keys --- */

static struct key drawn(char text[KEY_TEXT + 1])
{
    struct key k = {.roles = ROLE_INGEST, .created_s = 1000};
    assert_int_equal(key_draw(&k, text), ERR_OK);
    return k;
}

static void test_a_key(void **state)
{
    char text[KEY_TEXT + 1], other[KEY_TEXT + 1], id[KEY_ID + 1];
    (void)state;
    struct key k = drawn(text), l = drawn(other);
    assert_int_equal(strlen(text), KEY_TEXT);
    assert_string_not_equal(text, other);
    assert_string_not_equal(k.id, l.id);
    assert_true(key_shaped(slice_of(text), id));
    assert_string_equal(id, k.id);
    assert_true(key_is(&k, slice_of(text)));
    assert_false(key_is(&k, slice_of(other)));
    for (size_t i = 0; i < KEY_TEXT; i++) { /* one character off, anywhere */
        char bent[KEY_TEXT + 1];
        memcpy(bent, text, sizeof bent);
        bent[i] = bent[i] == 'a' ? 'b' : 'a';
        assert_false(key_is(&k, slice_of(bent)));
    }
    assert_false(key_shaped(slice_make(text, KEY_TEXT - 1), id));
    text[5] = '\0';
    assert_false(key_shaped(slice_make(text, KEY_TEXT), id));
}

static ssize_t no_random(void *to, size_t len)
{
    (void)to;
    (void)len;
    return -1;
}

static void test_no_key_without_random_numbers(void **state)
{
    struct sys bent = sys_plain;
    struct key k;
    char text[KEY_TEXT + 1];
    (void)state;
    bent.random = no_random;
    sys = &bent;
    assert_int_equal(key_draw(&k, text), ERR_IO);
}

/* --- the file --- */

static void test_file_there_and_back(void **state)
{
    struct keyfile f = {0}, g;
    struct err e;
    char text[KEY_TEXT + 1];
    (void)state;
    assert_int_equal(keyfile_read(dir, &g, &e), ERR_OK); /* none yet */
    assert_int_equal(g.count, 0);
    for (int i = 0; i < 5; i++) {
        struct key k = drawn(text);
        snprintf(k.client, sizeof k.client, "%s", i % 2 == 0 ? "lab-a" : "");
        snprintf(k.name, sizeof k.name, "%s", i % 2 == 0 ? "the \"first\" \xc3\xa9" : "");
        k.expires_s = i == 3 ? 4102444800 : 0;
        assert_int_equal(keyfile_add(&f, &k, &e), ERR_OK);
        assert_non_null(keyfile_find(&f, k.id));
    }
    assert_int_equal(keyfile_write(dir, &f, &e), ERR_OK);
    assert_int_equal(keyfile_read(dir, &g, &e), ERR_OK);
    assert_int_equal(g.count, f.count);
    for (size_t i = 0; i < f.count; i++)
        assert_memory_equal(&f.keys[i], &g.keys[i], sizeof f.keys[i]);
    struct stat st;
    assert_int_equal(stat(scratch_path(dir, "keys"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char gone[KEY_ID + 1];
    memcpy(gone, g.keys[2].id, sizeof gone);
    assert_true(keyfile_remove(&g, gone));
    assert_false(keyfile_remove(&g, gone));
    assert_int_equal(g.count, 4);
    keyfile_fini(&f);
    keyfile_fini(&g);
}

#define SUM       "\"sha256\": \"000000000000000000000000000000000000000000000000000000000000000f\""
#define ONE(rest) "{\"version\": 1, \"keys\": [{\"id\": \"aaaaaaaaaaaa\", " rest "}]}"

static void test_files_that_are_none(void **state)
{
    static const struct {
        const char *text;
        int code;
    } samples[] = {
        {ONE(SUM ", \"roles\": [\"ingest\"]"), ERR_OK},
        {ONE(SUM ", \"roles\": [\"ingest\"], \"later\": 1"), ERR_OK},
        {"", ERR_DAMAGED},
        {"[]", ERR_DAMAGED},
        {"{}", ERR_DAMAGED},
        {"{\"version\": 1}", ERR_DAMAGED},
        {"{\"version\": 2, \"keys\": []}", ERR_VERSION},
        {"{\"version\": 1, \"version\": 1, \"keys\": []}", ERR_DAMAGED},
        {ONE(SUM), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": []"), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": [\"root\"]"), ERR_DAMAGED},
        {ONE("\"sha256\": \"00\", \"roles\": [\"ingest\"]"), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": [\"ingest\"], \"client\": \"a b\""), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": [\"ingest\"], \"client\": 7"), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": [\"ingest\"], \"expires\": \"soon\""), ERR_DAMAGED},
        {ONE(SUM ", \"roles\": [\"ingest\"], \"expires\": 7"), ERR_DAMAGED},
        {"{\"version\": 1, \"keys\": [{\"id\": \"short\", " SUM ", \"roles\": [\"read\"]}]}", ERR_DAMAGED},
        {"{\"version\": 1, \"keys\": [{\"id\": \"aaaaaaaaaaaa\", " SUM ", \"roles\": [\"read\"]}, {\"id\": "
         "\"aaaaaaaaaaaa\", " SUM ", \"roles\": [\"read\"]}]}",
         ERR_DAMAGED},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct keyfile f;
        struct err e = {0};
        scratch_write(scratch_path(dir, "keys"), samples[i].text, strlen(samples[i].text));
        int code = keyfile_read(dir, &f, &e);
        if (code != samples[i].code)
            fail_msg("%s: %s %s", samples[i].text, err_text(code), e.text);
        keyfile_fini(&f);
    }
}

static int no_rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = ENOSPC;
    return -1;
}

static int no_sync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static void test_a_failed_write_leaves_the_old_one(void **state)
{
    struct keyfile f = {0}, g;
    struct err e;
    char text[KEY_TEXT + 1];
    struct sys bent = sys_plain;
    (void)state;
    struct key k = drawn(text);
    assert_int_equal(keyfile_add(&f, &k, &e), ERR_OK);
    assert_int_equal(keyfile_write(dir, &f, &e), ERR_OK);
    k = drawn(text);
    assert_int_equal(keyfile_add(&f, &k, &e), ERR_OK);
    for (int i = 0; i < 2; i++) {
        bent = sys_plain;
        if (i == 0)
            bent.rename = no_rename;
        else
            bent.fsync = no_sync;
        sys = &bent;
        assert_int_not_equal(keyfile_write(dir, &f, &e), ERR_OK);
        sys = &sys_plain;
        assert_int_equal(keyfile_read(dir, &g, &e), ERR_OK);
        assert_int_equal(g.count, 1);
        keyfile_fini(&g);
        assert_int_equal(scratch_count(dir), 1); /* and nothing half written */
    }
    keyfile_fini(&f);
}

/* --- in a daemon --- */

static void put(struct keyfile *f, struct key *k)
{
    struct err e;
    assert_int_equal(keyfile_add(f, k, &e), ERR_OK);
    assert_int_equal(keyfile_write(dir, f, &e), ERR_OK);
}

static void test_in_force(void **state)
{
    struct keyfile f = {0};
    struct keys *keys = NULL;
    struct key out;
    struct err e = {0};
    char first[KEY_TEXT + 1], second[KEY_TEXT + 1];
    bool changed;
    (void)state;
    assert_int_equal(keys_open(&keys, dir, &e), ERR_OK);
    struct key a = drawn(first), b = drawn(second);
    b.expires_s = 2000;
    snprintf(b.client, sizeof b.client, "lab-b");
    assert_int_equal(keys_find(keys, slice_of(first), 1500, &out), KEY_UNKNOWN);
    put(&f, &a);
    put(&f, &b);
    assert_int_equal(keys_look(keys, &changed, &e), ERR_OK);
    assert_true(changed);
    assert_int_equal(keys_look(keys, &changed, &e), ERR_OK);
    assert_false(changed);
    assert_int_equal(keys_find(keys, slice_of(first), 1500, &out), KEY_GOOD);
    assert_string_equal(out.client, "");
    assert_int_equal(keys_find(keys, slice_of(second), 1999, &out), KEY_GOOD);
    assert_string_equal(out.client, "lab-b");
    assert_int_equal(keys_find(keys, slice_of(second), 2000, &out), KEY_EXPIRED);
    first[KEY_TEXT - 1] = first[KEY_TEXT - 1] == '0' ? '1' : '0'; /* its id, another secret */
    assert_int_equal(keys_find(keys, slice_of(first), 1500, &out), KEY_UNKNOWN);

    scratch_write(scratch_path(dir, "keys"), "{", 1); /* told once; what was in force stays */
    assert_int_equal(keys_look(keys, &changed, &e), ERR_DAMAGED);
    assert_int_equal(keys_look(keys, &changed, &e), ERR_OK);
    assert_int_equal(keys_find(keys, slice_of(second), 1500, &out), KEY_GOOD);

    assert_int_equal(remove(scratch_path(dir, "keys")), 0); /* no file: no keys */
    assert_int_equal(keys_look(keys, &changed, &e), ERR_OK);
    assert_true(changed);
    assert_int_equal(keys_find(keys, slice_of(second), 1500, &out), KEY_UNKNOWN);
    keys_close(&keys);
    keyfile_fini(&f);
}

static void test_last_use(void **state)
{
    struct keyfile f = {0};
    struct keys *keys = NULL;
    struct key out;
    struct err e;
    struct buf text;
    char shown[KEY_TEXT + 1];
    bool any, changed;
    int64_t used[2] = {7, 7};
    (void)state;
    struct key k = drawn(shown);
    put(&f, &k);
    buf_init(&text, KEYFILE_BYTES);
    assert_int_equal(keys_open(&keys, dir, &e), ERR_OK);
    assert_int_equal(keys_used_take(keys, &text, &any), ERR_OK);
    assert_false(any);
    assert_int_equal(keys_find(keys, slice_of(shown), 1234, &out), KEY_GOOD);
    assert_int_equal(keys_used_take(keys, &text, &any), ERR_OK);
    assert_true(any);
    assert_int_equal(keys_used_write(keys, buf_slice(&text)), ERR_OK);
    keyfile_used_read(dir, &f, used);
    assert_int_equal(used[0], 1234);
    buf_clear(&text);
    assert_int_equal(keys_used_take(keys, &text, &any), ERR_OK);
    assert_false(any); /* not used since */

    assert_int_equal(keys_find(keys, slice_of(shown), 5678, &out), KEY_GOOD); /* survives a change of the file */
    struct key other = drawn(shown);
    put(&f, &other);
    assert_int_equal(keys_look(keys, &changed, &e), ERR_OK);
    assert_int_equal(keys_used_take(keys, &text, &any), ERR_OK);
    assert_non_null(strstr(buf_str(&text), "1970-01-01T01:34:38Z"));
    keys_close(&keys);
    keyfile_fini(&f);
    buf_free(&text);
    scratch_write(scratch_path(dir, "keys.used"), "rubbish", 7);
    used[0] = used[1] = 7;
    f.count = 0;
    keyfile_used_read(dir, &f, used); /* nothing hangs on it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_client_names),
        cmocka_unit_test(test_a_key),
        cmocka_unit_test_setup_teardown(test_no_key_without_random_numbers, begin, end),
        cmocka_unit_test_setup_teardown(test_file_there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(test_files_that_are_none, begin, end),
        cmocka_unit_test_setup_teardown(test_a_failed_write_leaves_the_old_one, begin, end),
        cmocka_unit_test_setup_teardown(test_in_force, begin, end),
        cmocka_unit_test_setup_teardown(test_last_use, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
