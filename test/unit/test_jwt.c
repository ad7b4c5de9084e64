/* Base64, key sets, signatures with the vectors of RFC 7515 (appendix A) and keys made here, and a token's shape. What
 * a token may say is tested from outside (test/flow/test_oidc.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/base64url.h"
#include "access/jwt.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALL = (1 << ALGORITHM_COUNT) - 1 };

#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC   "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define RSA                                                                                                            \
    "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"                                                                            \
    "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-" \
    "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"                  \
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"                                     \
    "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\""
#define SET(keys) "{\"keys\":[" keys "]}"
#define BODY      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static void test_base64(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: none */
    } samples[] = {
        {"", ""},     {"Zg", "f"},     {"Zm8", "fo"},      {"Zm9v", "foo"},  {"Zm9vYg", "foob"}, {"_-8", "\xff\xef"},
        {"Z", NULL},  {"Zm9vY", NULL}, {"Zg==", NULL},     {"Zm8=", NULL},   {"+/8", NULL},      {"Zm 9v", NULL},
        {"Zh", NULL}, {"Zm9", NULL},   {"Zm9v\nZg", NULL}, {"Zm\xC3", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        unsigned char out[16];
        long len = base64url_decode(slice_of(samples[i].text), out, sizeof out);
        bool same = samples[i].bytes == NULL
                        ? len == -1
                        : len == (long)strlen(samples[i].bytes) && memcmp(out, samples[i].bytes, (size_t)len) == 0;
        if (!same)
            fail_msg("%s: %ld", samples[i].text, len);
    }
    unsigned char out[3];
    assert_int_equal(base64url_decode(SLICE_LIT("Zm9v"), out, 3), 3);
    assert_int_equal(base64url_decode(SLICE_LIT("Zm9vYg"), out, 3), -1);
    assert_int_equal(base64url_decode(slice_make("Zm\0v", 4), out, 3), -1);
}

static void encode(const char *text, char *out)
{
    int len = EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text));
    while (len > 0 && out[len - 1] == '=')
        len--;
    out[len] = '\0';
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

static struct jwks *keys_of(const char *text, unsigned wanted)
{
    struct jwks *j = NULL;
    struct err e = {.text = ""};
    int code = jwks_parse(slice_of(text), wanted, &j, &e);
    assert_true(code == ERR_OK || (code == ERR_SYNTAX && j == NULL && e.text[0] != '\0'));
    return j;
}

static void test_key_sets(void **state)
{
    static const struct {
        const char *text;
        unsigned count;
    } samples[] = {
        {SET("{" EC "},{" RSA "}"), 2},
        {SET("{" EC ",\"use\":\"sig\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"],\"x5t\":1}"), 1},
        {SET("7,null,[],\"x\",{" EC "}"), 1},
        {SET(""), 0},
        {SET("{}"), 0},
        {"{\"keys\":{}}", 0},
        {"[]", 0},
        {"", 0},
        {"{\"keys\":[],\"keys\":[{" EC "}]}", 0},
        {SET("{" EC ",\"use\":\"enc\"}"), 0},
        {SET("{" EC ",\"use\":7}"), 0},
        {SET("{" EC ",\"key_ops\":[\"sign\"]}"), 0},
        {SET("{" EC ",\"key_ops\":\"verify\"}"), 0},
        {SET("{" EC ",\"alg\":\"ES384\"}"), 0},
        {SET("{" EC ",\"alg\":\"none\"}"), 0},
        {SET("{" EC ",\"alg\":1}"), 0},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"), 0},
        {SET("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"), 0},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}"), 0},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"), 0},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}"), 0}, /* not on the curve */
        {SET("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), 0},
        {SET("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), 0},
        {SET("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"alg\":\"HS256\"}"), 0},
        {SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" EC_X "\"}"), 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct jwks *j = keys_of(samples[i].text, ALL);
        if ((j == NULL ? 0 : jwks_count(j)) != samples[i].count)
            fail_msg("%s: %u", samples[i].text, j == NULL ? 0 : jwks_count(j));
        jwks_free(&j);
    }
    assert_null(keys_of(SET("{" EC "}"), 1u << ALGORITHM_RS256)); /* only what is wanted */
}

static void test_finding(void **state)
{
    (void)state;
    struct jwks *j =
        keys_of(SET("{" EC ",\"kid\":\"a\"},{" EC ",\"kid\":\"b\"},{" RSA ",\"kid\":\"c\",\"alg\":\"RS256\"}"), ALL);
    struct slice none = {NULL, 0};
    assert_non_null(jwks_find(j, SLICE_LIT("a"), ALGORITHM_ES256));
    assert_null(jwks_find(j, SLICE_LIT("a"), ALGORITHM_RS256));
    assert_null(jwks_find(j, SLICE_LIT("a"), ALGORITHM_ES384));
    assert_null(jwks_find(j, SLICE_LIT("d"), ALGORITHM_ES256));
    assert_null(jwks_find(j, none, ALGORITHM_ES256)); /* two that it could be */
    assert_non_null(jwks_find(j, none, ALGORITHM_RS256));
    assert_null(jwks_find(j, none, ALGORITHM_PS256));
    assert_null(jwks_find(j, SLICE_LIT("c"), ALGORITHM_RS512));
    assert_true(jwks_rules_out(j, SLICE_LIT("a"), ALGORITHM_RS256)); /* that key is not for it */
    assert_true(jwks_rules_out(j, SLICE_LIT("c"), ALGORITHM_RS512));
    assert_true(jwks_rules_out(j, none, ALGORITHM_ES256));
    assert_false(jwks_rules_out(j, SLICE_LIT("a"), ALGORITHM_ES256)); /* is found */
    assert_false(jwks_rules_out(j, SLICE_LIT("d"), ALGORITHM_ES256)); /* a newer set may have them */
    assert_false(jwks_rules_out(j, none, ALGORITHM_ES384));
    jwks_free(&j);
    j = keys_of(SET("{" EC ",\"kid\":\"a\"},{" RSA ",\"kid\":\"c\",\"use\":\"enc\"},{" RSA ",\"use\":\"enc\"}"), ALL);
    assert_int_equal(jwks_count(j), 1);
    assert_null(jwks_find(j, SLICE_LIT("c"), ALGORITHM_RS256)); /* of no use, but not unknown */
    assert_true(jwks_rules_out(j, SLICE_LIT("c"), ALGORITHM_RS256));
    assert_false(jwks_rules_out(j, none, ALGORITHM_RS256));
    jwks_free(&j);
    j = keys_of(SET("{" EC ",\"kid\":\"a\"},{" EC ",\"kid\":\"a\"}"), ALL);
    assert_null(jwks_find(j, SLICE_LIT("a"), ALGORITHM_ES256));
    jwks_free(&j);
}

static bool fits(const struct jwks *j, enum algorithm a, const char *data, const char *signature)
{
    unsigned char bytes[SIGNATURE_MAX];
    long len = base64url_decode(slice_of(signature), bytes, sizeof bytes);
    assert_true(len > 0);
    struct evp_pkey_st *key = jwks_find(j, (struct slice){NULL, 0}, a);
    assert_non_null(key);
    return signature_fits(key, a, slice_of(data), slice_make(bytes, (size_t)len));
}

/* RFC 7515 A.2 and A.3. */
static void test_signatures(void **state)
{
    static const char rs[] = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
                             "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN"
                             "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1"
                             "phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    static const char es[] = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    struct jwks *j = keys_of(SET("{" EC "},{" RSA "}"), ALL);
    (void)state;
    assert_true(fits(j, ALGORITHM_RS256, "eyJhbGciOiJSUzI1NiJ9." BODY, rs));
    assert_false(fits(j, ALGORITHM_RS256, "eyJhbGciOiJSUzI1NiJ8." BODY, rs));
    assert_false(fits(j, ALGORITHM_RS384, "eyJhbGciOiJSUzI1NiJ9." BODY, rs));
    assert_false(fits(j, ALGORITHM_PS256, "eyJhbGciOiJSUzI1NiJ9." BODY, rs));
    assert_true(fits(j, ALGORITHM_ES256, "eyJhbGciOiJFUzI1NiJ9." BODY, es));
    assert_false(fits(j, ALGORITHM_ES256, "eyJhbGciOiJFUzI1NiJ9." BODY "x", es));
    assert_false(fits(j, ALGORITHM_ES256, "eyJhbGciOiJFUzI1NiJ9." BODY, "AA"));
    char zeros[90];
    memset(zeros, 'A', 86);
    zeros[86] = '\0'; /* r and s of nothing, which some took for good */
    assert_false(fits(j, ALGORITHM_ES256, "eyJhbGciOiJFUzI1NiJ9." BODY, zeros));
    jwks_free(&j);
}

/* A token that no set of keys can make good is refused, not held up until the issuer has been asked: the answer must
 * not hang on when the keys were fetched last. */
static void test_what_is_worth_asking_for(void **state)
{
    static const struct {
        const char *kid, *alg; /* NULL: none */
        enum jwt_result wanted;
    } samples[] = {
        {"r", "ES256", JWT_BAD},      {"e", "RS256", JWT_BAD},      {"e", "ES384", JWT_BAD},
        {"x", "RS256", JWT_BAD},      {"r", "RS256", JWT_BAD},      {NULL, "RS256", JWT_BAD},
        {"new", "RS256", JWT_NO_KEY}, {"new", "ES256", JWT_NO_KEY}, {NULL, "ES384", JWT_NO_KEY},
        {"new", "HS256", JWT_BAD},    {"new", "none", JWT_BAD},
    };
    const struct jwt_rules rules = {.issuer = "joe", .audience = "gateway", .algorithms = ALL, .roles_claim = "r"};
    struct jwks *j =
        keys_of(SET("{" EC ",\"kid\":\"e\"},{" RSA ",\"kid\":\"r\"},{" RSA ",\"kid\":\"x\",\"use\":\"enc\"}"), ALL);
    struct jwt_caller caller;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        char header[200], token[1000];
        char coded[300];
        const char *kid = samples[i].kid;
        snprintf(header, sizeof header, "{\"alg\":\"%s\"%s%s%s}", samples[i].alg, kid == NULL ? "" : ",\"kid\":\"",
                 kid == NULL ? "" : kid, kid == NULL ? "" : "\"");
        encode(header, coded);
        snprintf(token, sizeof token, "%s." BODY ".AAAA", coded);
        enum jwt_result got = jwt_judge(&rules, j, slice_of(token), 0, &caller);
        if (got != samples[i].wanted)
            fail_msg("%s: %d", header, (int)got);
    }
    jwks_free(&j);
}

static void test_order_of_judging(void **state)
{
    const struct jwt_rules rules = {
        .issuer = "joe", .audience = "gateway", .algorithms = 1u << ALGORITHM_ES256, .roles_claim = "r"};
    static const char es[] = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    struct jwks *j = keys_of(SET("{" EC "}"), ALL);
    struct jwt_caller caller;
    char token[1000], longer[JWT_MAX + 10];
    (void)state;
    snprintf(token, sizeof token, "eyJhbGciOiJFUzI1NiJ9." BODY ".%s", es);
    assert_int_equal(jwt_judge(&rules, j, slice_of(token), 0, &caller), JWT_BAD); /* signed, but without `aud` */
    assert_int_equal(jwt_judge(&rules, NULL, slice_of(token), 0, &caller), JWT_NO_KEY);
    struct jwt_rules other = rules;
    other.issuer = "jim";
    assert_int_equal(jwt_judge(&other, NULL, slice_of(token), 0, &caller), JWT_BAD); /* not worth a fetch */
    other = rules;
    other.algorithms = 1u << ALGORITHM_RS256;
    assert_int_equal(jwt_judge(&other, NULL, slice_of(token), 0, &caller), JWT_BAD);
    memset(longer, 'A', sizeof longer);
    assert_int_equal(jwt_judge(&rules, j, slice_make(longer, sizeof longer), 0, &caller), JWT_BAD);
    for (size_t cut = 0; cut < strlen(token); cut++)
        assert_int_equal(jwt_judge(&rules, j, slice_make(token, cut), 0, &caller), JWT_BAD);
    jwks_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),           cmocka_unit_test(test_key_sets),
        cmocka_unit_test(test_finding),          cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_order_of_judging), cmocka_unit_test(test_what_is_worth_asking_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
