/* What strangers send to be let in, and the files that say who may: the Authorization field, tokens (with keys that are
 * known, so that signatures are looked at), key sets, lines of tls.client_roles. The first byte picks one. */
#include "access/bearer.h"
#include "access/certs.h"
#include "access/jwt.h"
#include "base/check.h"

#include <stdlib.h>

enum { ALL_ALGORITHMS = (1 << ALGORITHM_COUNT) - 1 };

/* Two public keys: P-256 of RFC 7515 A.3, RSA of A.2. */
static const char keys_text[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"RSA\",\"kid\":\"rsa\",\"e\":\"AQAB\",\"n\":"
    "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
    "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg"
    "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWy"
    "uXpoQ\"}]}";

static const struct jwt_rules rules = {.issuer = "joe",
                                       .audience = "gateway",
                                       .algorithms = ALL_ALGORITHMS,
                                       .leeway_s = 30,
                                       .roles_claim = "a.b",
                                       .roles_prefix = "x-",
                                       .client_claim = "azp"};

static void token_is(struct slice input)
{
    static struct jwks *keys;
    struct jwt_caller caller = {.roles = 0};
    if (keys == NULL)
        CHECK(jwks_parse(SLICE_LIT(keys_text), ALL_ALGORITHMS, &keys, NULL) == ERR_OK && jwks_count(keys) == 2);
    if (jwt_judge(&rules, keys, input, 1300819300, &caller) == JWT_GOOD)
        CHECK(caller.client[0] != '\0');
}

static void field_is(struct slice input)
{
    struct slice token;
    if (!bearer_token(input, &token))
        return;
    CHECK(token.len > 0 && token.ptr > input.ptr && token.ptr + token.len == input.ptr + input.len);
    CHECK(memchr(token.ptr, ' ', token.len) == NULL && memchr(token.ptr, '\0', token.len) == NULL);
}

static void keys_are(struct slice input)
{
    struct jwks *keys = NULL;
    struct err e;
    if (jwks_parse(input, ALL_ALGORITHMS, &keys, &e) == ERR_OK)
        CHECK(jwks_count(keys) > 0);
    else
        CHECK(keys == NULL);
    jwks_free(&keys);
}

static void lines_are(struct slice input)
{
    struct certfile f;
    struct err e;
    if (certfile_parse(input, &f, &e) != ERR_OK)
        return;
    for (size_t i = 0; i < f.count; i++)
        CHECK(f.rules[i].roles != 0 && f.rules[i].value != NULL &&
              (f.rules[i].client[0] == '\0' || client_valid(slice_of(f.rules[i].client))));
    certfile_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const all[])(struct slice) = {token_is, field_is, keys_are, lines_are};
    if (size == 0)
        return 0;
    char *copy = malloc(size - 1); /* exactly so long: a byte read beyond it shows */
    CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    all[data[0] % COUNT_OF(all)](slice_make(copy, size - 1));
    free(copy);
    return 0;
}
