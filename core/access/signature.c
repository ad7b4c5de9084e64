/* Checking signatures with OpenSSL: RSA (RFC 8017) with either padding, and ECDSA, whose two numbers JOSE writes one
 * behind the other where OpenSSL wants DER. */
#include "access/signature.h"

#include "base/check.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

const struct algorithm_row algorithm_rows[ALGORITHM_COUNT] = {
#define ALGORITHM(id, kty, crv, coordinate, digest) {#id, kty, crv, coordinate},
#include "access/algorithm.def"
#undef ALGORITHM
};

static const EVP_MD *digest_of(enum algorithm a)
{
    switch (a) {
#define ALGORITHM(id, kty, crv, coordinate, digest)                                                                    \
    case ALGORITHM_##id:                                                                                               \
        return digest();
#include "access/algorithm.def"
#undef ALGORITHM
    case ALGORITHM_COUNT: break;
    }
    return NULL;
}

int algorithm_parse(struct slice word)
{
    for (int a = 0; a < ALGORITHM_COUNT; a++)
        if (slice_is(word, algorithm_rows[a].word))
            return a;
    return -1;
}

static bool is_pss(enum algorithm a)
{
    return algorithm_rows[a].word[0] == 'P';
}

static bool verified(EVP_PKEY *key, enum algorithm a, struct slice data, const unsigned char *signature, size_t len)
{
    EVP_PKEY_CTX *details;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool well = context != NULL && EVP_DigestVerifyInit(context, &details, digest_of(a), NULL, key) == 1;
    if (well && is_pss(a)) /* the salt is as long as the digest (RFC 7518 section 3.5) */
        well = EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1;
    well = well && EVP_DigestVerify(context, signature, len, (const unsigned char *)data.ptr, data.len) == 1;
    EVP_MD_CTX_free(context);
    return well;
}

static bool verified_ec(EVP_PKEY *key, enum algorithm a, struct slice data, struct slice signature)
{
    size_t half = algorithm_rows[a].coordinate;
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    unsigned char *der = NULL;
    if (signature.len != 2 * half)
        return false;
    BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL), *s = BN_bin2bn(bytes + half, (int)half, NULL);
    ECDSA_SIG *both = ECDSA_SIG_new();
    bool well = r != NULL && s != NULL && both != NULL && ECDSA_SIG_set0(both, r, s) == 1;
    if (!well) { /* still ours */
        BN_free(r);
        BN_free(s);
    }
    int len = well ? i2d_ECDSA_SIG(both, &der) : -1;
    well = len > 0 && verified(key, a, data, der, (size_t)len);
    OPENSSL_free(der);
    ECDSA_SIG_free(both);
    return well;
}

bool signature_fits(EVP_PKEY *key, enum algorithm a, struct slice data, struct slice signature)
{
    if (algorithm_rows[a].crv != NULL)
        return verified_ec(key, a, data, signature);
    return signature.len == (size_t)EVP_PKEY_get_size(key) &&
           verified(key, a, data, (const unsigned char *)signature.ptr, signature.len);
}
