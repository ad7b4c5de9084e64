/* Reading a key set. What a key says of itself is taken at its word in one direction only: a key that is not for
 * signing, for another algorithm, of another curve, or too short is passed over, and what is left is bound to the
 * algorithms that it fits. So a token can not talk a key into something else.
 *
 * The library (libcjose) makes keys of the JSON; a set never changes afterwards. */
#include "access/jwks.h"

#include <cjose/jwk.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

static const struct {
    const char *word, *kty, *crv;
    unsigned signature;
} algorithms_known[ALGORITHM_COUNT] = {
#define ALGORITHM(id, kty, crv, signature) {#id, kty, crv, signature},
#include "access/algorithm.def"
#undef ALGORITHM
};

struct jwks {
    struct jwks_key {
        char *kid; /* NULL: none */
        unsigned algorithms;
        cjose_jwk_t *key;
    } keys[JWKS_KEYS_MAX];
    unsigned count;
};

int algorithm_parse(struct slice word)
{
    for (int a = 0; a < ALGORITHM_COUNT; a++)
        if (slice_is(word, algorithms_known[a].word))
            return a;
    return -1;
}

unsigned algorithm_signature(enum algorithm a)
{
    return algorithms_known[a].signature;
}

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
        if ((wanted & 1u << a) == 0 || !slice_is(kty, algorithms_known[a].kty))
            continue;
        if (algorithms_known[a].crv != NULL && !slice_is(crv, algorithms_known[a].crv))
            continue;
        if (own == NULL || slice_is(alg, algorithms_known[a].word))
            found |= 1u << a;
    }
    return found;
}

static bool size_fits(const cjose_jwk_t *key)
{
    cjose_err e;
    size_t bits = cjose_jwk_get_keysize(key, &e);
    return cjose_jwk_get_kty(key, &e) != CJOSE_JWK_KTY_RSA || (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX);
}

/* Passed over unless it is of use; ERR_NOMEM. */
static int key_add(struct jwks *j, json_t *json, unsigned wanted)
{
    cjose_err e;
    struct slice kid = text_of(json, "kid");
    struct jwks_key key = {.algorithms = for_signatures(json) ? algorithms_of(json, wanted) : 0};
    if (key.algorithms == 0 || kid.len > JWKS_KID_MAX || j->count == JWKS_KEYS_MAX)
        return ERR_OK;
    key.key = cjose_jwk_import_json((cjose_header_t *)json, &e);
    if (key.key == NULL)
        return ERR_OK;
    if (!size_fits(key.key)) {
        cjose_jwk_release(key.key);
        return ERR_OK;
    }
    if (kid.ptr != NULL && (key.kid = strndup(kid.ptr, kid.len)) == NULL) {
        cjose_jwk_release(key.key);
        return ERR_NOMEM;
    }
    j->keys[j->count++] = key;
    return ERR_OK;
}

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
    if (code == ERR_OK && j->count == 0)
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
        cjose_jwk_release((*j)->keys[i].key);
        free((*j)->keys[i].kid);
    }
    free(*j);
    *j = NULL;
}

unsigned jwks_count(const struct jwks *j)
{
    return j->count;
}

const struct _cjose_jwk_int *jwks_find(const struct jwks *j, struct slice kid, enum algorithm a)
{
    const struct jwks_key *found = NULL;
    for (unsigned i = 0; i < j->count; i++) {
        const struct jwks_key *k = &j->keys[i];
        if ((k->algorithms & 1u << a) == 0 || (kid.len > 0 && (k->kid == NULL || !slice_is(kid, k->kid))))
            continue;
        if (found != NULL)
            return NULL; /* two of one name, or no name and several: it is not clear which */
        found = k;
    }
    return found == NULL ? NULL : found->key;
}
