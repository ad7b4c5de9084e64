/* The bytes that are signed are the bytes that are sent, after packing: a receiver can check the signature before it
 * unpacks or parses anything. */
#include "body.h"

#include "common/rowline.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

void body_build(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, size_t from, size_t to,
                enum body_shape shape)
{
    strbuf_clear(out);
    if (shape == BODY_ARRAY)
        strbuf_addc(out, '[');
    for (size_t n = from; n < to; n++) {
        if (shape == BODY_ARRAY && n > from)
            strbuf_addc(out, ',');
        rowline_add(out, api, api->row(rows, n));
        if (shape == BODY_NDJSON)
            strbuf_addc(out, '\n');
    }
    if (shape == BODY_ARRAY)
        strbuf_addc(out, ']');
}

static void hex_put(char *out, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int body_key(char out[BATCH_KEY_SIZE], const struct hg_api *api, const struct hg_rows *rows, size_t from, size_t to)
{
    struct batch_key key;
    batch_key_start(&key);
    for (size_t n = from; n < to; n++)
        batch_key_add(&key, api, api->row(rows, n));
    return batch_key_end(&key, out);
}

int body_sign(char out[SIGNATURE_SIZE], const char *secret, long long timestamp, const struct strbuf *body)
{
    char stamp[32], name[] = "SHA256";
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t mac_len = 0;
    int len = snprintf(stamp, sizeof(stamp), "%lld.", timestamp);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    int ok = ctx && EVP_MAC_init(ctx, (const unsigned char *)secret, strlen(secret), params) &&
             EVP_MAC_update(ctx, (const unsigned char *)stamp, (size_t)len) &&
             (body->len == 0 || EVP_MAC_update(ctx, (const unsigned char *)body->ptr, body->len)) &&
             EVP_MAC_final(ctx, mac, &mac_len, sizeof(mac));
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(hmac);
    if (!ok)
        return -1;
    hex_put(out, mac, mac_len);
    return 0;
}
