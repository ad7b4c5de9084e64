/* The file of tls.client_roles, and which certificate fits which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/certs.h"
#include "base/sys.h"

#include "certs.h"
#include "scratch.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

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
    scratch_remove(&dir);
    return 0;
}

static void test_lines(void **state)
{
    static const char text[] = "# a comment\n"
                               "\n"
                               "  dns:A.Example\tingest   lab-a\r\n"
                               "cn:operator operate,ingest\n"
                               "uri:spiffe://lab/ns/x  read  lab.b\n"
                               "sha256:AA:bb:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc admin";
    struct certfile f;
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(certfile_parse(SLICE_LIT(text), &f, &e), ERR_OK);
    assert_int_equal(f.count, 4);
    assert_int_equal(f.rules[0].kind, CERT_DNS);
    assert_string_equal(f.rules[0].value, "a.example");
    assert_string_equal(f.rules[0].client, "lab-a");
    assert_int_equal(f.rules[1].roles, ROLE_OPERATE | ROLE_INGEST);
    assert_string_equal(f.rules[1].client, "");
    assert_string_equal(f.rules[2].value, "spiffe://lab/ns/x");
    assert_int_equal(strlen(f.rules[3].value), 64);
    certfile_fini(&f);
    assert_int_equal(certfile_parse(SLICE_LIT(""), &f, &e), ERR_OK);
    assert_int_equal(f.count, 0);
}

static void test_lines_that_are_none(void **state)
{
    static const struct {
        const char *text, *words;
    } samples[] = {
        {"operator ingest", "line 1: it begins with"},
        {"cn: ingest", "line 1: it begins with"},
        {"ip:1.2.3.4 ingest", "line 1: it begins with"},
        {"\n#\ncn:x", "line 3: the second word"},
        {"cn:x root", "line 1: the second word"},
        {"cn:x ingest, read", "line 1: the second word"}, /* a blank too many must not make `read` a client */
        {"cn:x ingest a b", "nothing follows"},
        {"cn:x ingest a/b", "the third word"},
        {"sha256:aabb ingest", "64 hexadecimal"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct certfile f;
        struct err e = {.text = ""};
        int code = certfile_parse(slice_of(samples[i].text), &f, &e);
        if (code != ERR_SYNTAX || strstr(e.text, samples[i].words) == NULL)
            fail_msg("%s: %d %s", samples[i].text, code, e.text);
    }
    struct certfile f;
    assert_int_equal(certfile_parse(slice_make("cn:x\0y ingest", 13), &f, NULL), ERR_SYNTAX);
}

static X509 *certificate(const char *cn, const char *names)
{
    cert_make(dir, "one", cn, names, NULL, 1);
    FILE *file = fopen(scratch_path(dir, "one.pem"), "r");
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(cert);
    return cert;
}

static bool fits(const X509 *cert, const char *line)
{
    struct certfile f;
    assert_int_equal(certfile_parse(slice_of(line), &f, NULL), ERR_OK);
    bool found = certfile_find(&f, cert) != NULL;
    certfile_fini(&f);
    return found;
}

static void test_fitting(void **state)
{
    (void)state;
    X509 *cert = certificate("a.example", "DNS:b.example,URI:spiffe://lab/x,email:Me@lab.example");
    assert_true(fits(cert, "cn:a.example read"));
    assert_false(fits(cert, "cn:A.example read"));
    assert_false(fits(cert, "cn:a.exampl read"));
    assert_true(fits(cert, "dns:B.EXAMPLE read"));
    assert_false(fits(cert, "dns:a.example read")); /* a name is not a host because it looks like one */
    assert_false(fits(cert, "dns:example read"));
    assert_false(fits(cert, "dns:*.example read"));
    assert_true(fits(cert, "uri:spiffe://lab/x read"));
    assert_false(fits(cert, "uri:spiffe://lab/X read"));
    assert_false(fits(cert, "uri:b.example read"));
    assert_true(fits(cert, "email:me@lab.example read"));
    unsigned char sum[32];
    char line[128] = "sha256:";
    assert_int_equal(X509_digest(cert, EVP_sha256(), sum, NULL), 1);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%02X", i > 0 ? ":" : "", sum[i]);
    strncat(line, " read", sizeof line - strlen(line) - 1);
    assert_true(fits(cert, line));
    line[10] = line[10] == '0' ? '1' : '0';
    assert_false(fits(cert, line));
    X509_free(cert);
    cert = certificate("a", NULL);
    assert_false(fits(cert, "dns:b.example read"));
    assert_false(fits(cert, "cn:b read\ncn:c read"));
    X509_free(cert);
}

static void test_in_force(void **state)
{
    struct certs *certs = NULL;
    struct err e = {.text = ""};
    unsigned roles;
    char client[CLIENT_MAX + 1], path[512], who[CERT_WHO_MAX + 1];
    bool changed;
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_path(dir, "roles"));
    assert_int_not_equal(certs_open(&certs, path, &e), ERR_OK);
    assert_non_null(strstr(e.text, "roles"));
    scratch_write(path, "cn:a ingest lab-a\ncn:a admin\n", 29);
    assert_int_equal(certs_open(&certs, path, &e), ERR_OK);
    X509 *cert = certificate("a", NULL);
    assert_true(certs_find(certs, cert, &roles, client, who)); /* the first line counts */
    assert_int_equal(roles, ROLE_INGEST);
    assert_string_equal(client, "lab-a");
    scratch_write(path, "cn:a admi", 9);
    assert_int_equal(certs_look(certs, &changed, &e), ERR_SYNTAX);
    assert_int_equal(certs_look(certs, &changed, &e), ERR_OK); /* told once; what was in force stays */
    assert_true(certs_find(certs, cert, &roles, client, who));
    scratch_write(path, "cn:b admin", 10);
    assert_int_equal(certs_look(certs, &changed, &e), ERR_OK);
    assert_true(changed);
    assert_false(certs_find(certs, cert, &roles, client, who));
    X509_free(cert);
    certs_close(&certs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test_setup_teardown(test_fitting, begin, end),
        cmocka_unit_test_setup_teardown(test_in_force, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
