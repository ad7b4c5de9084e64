/* Reading a key set. What a key says of itself is taken at its word in one direction only: a key that is not for
 * signing, for another algorithm, of another curve, or too short is of no use, and what is left is bound to the
 * algorithms that it fits. So a token can not talk a key into something else. The ids of those of no use are kept: who
 * names one of them need not make us ask the issuer whether there is a newer set.
 *
 * A set never changes once it is read. */
#include "access/jwks.h"

#include "access/base64url.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, EXPONENT_MAX = 4 }; /* bytes: what is larger is only slow */

struct jwks {
    struct jwks_key {
        char *kid;           /* NULL: none */
        unsigned algorithms; /* 0: of no use */
        EVP_PKEY *key;       /* NULL: of no use */
    } keys[JWKS_KEYS_MAX];
    unsigned count, useful;
};

static struct slice text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? slice_make(json_string_value(v), json_string_length(v)) : slice_make(NULL, 0);
}

static bool for_signatures(const json_t *key)
{
    const json_t *use = json_object_get(key, "use"), *ops = json_object_get(key, "key_ops"), *one;
    size_t i;
    if (use != NULL && !slice_is(text_of(key, "use"), "sig"))
        return false;
    if (ops == NULL)
        return true;
    json_array_foreach(ops, i,
                       one) if (json_is_string(one) && strcmp(json_string_value(one), "verify") == 0) return true;
    return false;
}

/* Which of the wanted algorithms it can check. */
static unsigned algorithms_of(const json_t *key, unsigned wanted)
{
    unsigned found = 0;
    const json_t *own = json_object_get(key, "alg");
    struct slice kty = text_of(key, "kty"), crv = text_of(key, "crv"), alg = text_of(key, "alg");
    for (unsigned a = 0; a < ALGORITHM_COUNT; a++) {
        if ((wanted & 1u << a) == 0 || !slice_is(kty, algorithm_rows[a].kty))
            continue;
        if (algorithm_rows[a].crv != NULL && !slice_is(crv, algorithm_rows[a].crv))
            continue;
        if (own == NULL || slice_is(alg, algorithm_rows[a].word))
            found |= 1u << a;
    }
    return found;
}

/* --- a key --- */

/* A member that is a number in base64url; NULL when it is none. */
static BIGNUM *number_of(const json_t *key, const char *name, size_t most)
{
    unsigned char bytes[RSA_BITS_MAX / 8];
    long len = base64url_decode(text_of(key, name), bytes, most);
    return len > 0 ? BN_bin2bn(bytes, (int)len, NULL) : NULL;
}

/* The parameters are the builder's numbers; NULL when it is no public key. */
static EVP_PKEY *key_build(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters == NULL || make == NULL || EVP_PKEY_fromdata_init(make) != 1 ||
        EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX *check = key == NULL ? NULL : EVP_PKEY_CTX_new(key, NULL);
    if (check == NULL || EVP_PKEY_public_check(check) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(make);
    OSSL_PARAM_free(parameters);
    return key;
}

static EVP_PKEY *rsa_key(const json_t *json)
{
    EVP_PKEY *key = NULL;
    BIGNUM *n = number_of(json, "n", RSA_BITS_MAX / 8), *e = number_of(json, "e", EXPONENT_MAX);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (n != NULL && e != NULL && builder != NULL && BN_num_bits(n) >= RSA_BITS_MIN &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = key_build("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

static EVP_PKEY *ec_key(const json_t *json, enum algorithm a)
{
    EVP_PKEY *key = NULL;
    size_t half = algorithm_rows[a].coordinate;
    unsigned char point[1 + 2 * COORDINATE_MAX] = {4 /* both coordinates follow */};
    if (base64url_decode(text_of(json, "x"), point + 1, half) != (long)half ||
        base64url_decode(text_of(json, "y"), point + 1 + half, half) != (long)half)
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm_rows[a].crv, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half) == 1)
        key = key_build("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* Keys of one set fit algorithms of one kind and one curve. */
static EVP_PKEY *key_of(const json_t *json, unsigned fits)
{
    for (int a = 0; a < ALGORITHM_COUNT; a++)
        if ((fits & 1u << a) != 0)
            return algorithm_rows[a].crv == NULL ? rsa_key(json) : ec_key(json, (enum algorithm)a);
    return NULL;
}

/* Passed over when it is neither of use nor has an id; ERR_NOMEM. */
static int key_add(struct jwks *j, const json_t *json, unsigned wanted)
{
    struct slice kid = text_of(json, "kid");
    unsigned fits = for_signatures(json) ? algorithms_of(json, wanted) : 0;
    if (kid.len > JWKS_KID_MAX || j->count == JWKS_KEYS_MAX)
        return ERR_OK;
    struct jwks_key key = {.key = key_of(json, fits)};
    key.algorithms = key.key == NULL ? 0 : fits;
    if (key.key == NULL && kid.len == 0)
        return ERR_OK;
    if (kid.ptr != NULL && (key.kid = strndup(kid.ptr, kid.len)) == NULL) {
        EVP_PKEY_free(key.key);
        return ERR_NOMEM;
    }
    j->useful += key.key != NULL;
    j->keys[j->count++] = key;
    return ERR_OK;
}

/* --- the set --- */

int jwks_parse(struct slice text, unsigned algorithms, struct jwks **out, struct err *e)
{
    json_error_t where;
    json_t *root = json_loadb(text.ptr == NULL ? "" : text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
    const json_t *list = json_object_get(root, "keys");
    struct jwks *j = calloc(1, sizeof *j);
    int code = j == NULL              ? err_set(e, ERR_NOMEM, "out of memory")
               : !json_is_array(list) ? err_set(e, ERR_SYNTAX, "that is no set of keys: {\"keys\": [...]}")
                                      : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < json_array_size(list); i++)
        code = key_add(j, json_array_get(list, i), algorithms);
    if (code == ERR_OK && j->useful == 0)
        code = err_set(e, ERR_SYNTAX, "none of its %zu keys can check a signature by one of oidc.algorithms",
                       json_array_size(list));
    json_decref(root);
    if (code == ERR_OK)
        *out = j;
    else
        jwks_free(&j);
    return code;
}

void jwks_free(struct jwks **j)
{
    if (*j == NULL)
        return;
    for (unsigned i = 0; i < (*j)->count; i++) {
        EVP_PKEY_free((*j)->keys[i].key);
        free((*j)->keys[i].kid);
    }
    free(*j);
    *j = NULL;
}

unsigned jwks_count(const struct jwks *j)
{
    return j->useful;
}

static bool key_named(const struct jwks_key *k, struct slice kid)
{
    return k->kid != NULL && slice_is(kid, k->kid);
}

EVP_PKEY *jwks_find(const struct jwks *j, struct slice kid, enum algorithm a)
{
    const struct jwks_key *found = NULL;
    for (unsigned i = 0; i < j->count; i++) {
        const struct jwks_key *k = &j->keys[i];
        if ((k->algorithms & 1u << a) == 0 || (kid.len > 0 && !key_named(k, kid)))
            continue;
        if (found != NULL)
            return NULL; /* two of one name, or no name and several: it is not clear which */
        found = k;
    }
    return found == NULL ? NULL : found->key;
}

bool jwks_rules_out(const struct jwks *j, struct slice kid, enum algorithm a)
{
    for (unsigned i = 0; i < j->count; i++)
        if (kid.len > 0 ? key_named(&j->keys[i], kid) : (j->keys[i].algorithms & 1u << a) != 0)
            return jwks_find(j, kid, a) == NULL;
    return false;
}
