/* The bytes that are signed are the bytes that are sent, after packing: a receiver can check the signature before it
 * unpacks or parses anything. */
#include "body.h"

#include "common/rowline.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

enum { KEY_DIGEST_BYTES = 8 };

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

static int ids_digest(unsigned char out[EVP_MAX_MD_SIZE], const struct hg_api *api, const struct hg_rows *rows,
                      size_t from, size_t to)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (size_t n = from; ok && n < to; n++) {
        char id[HG_ROW_ID_SIZE];
        api->row_id(api->row(rows, n), id);
        ok = EVP_DigestUpdate(md, id, strlen(id)) && EVP_DigestUpdate(md, "\n", 1);
    }
    ok = ok && EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
    return ok ? 0 : -1;
}

int body_key(char out[IDEMPOTENCY_KEY_SIZE], const struct hg_api *api, const struct hg_rows *rows, size_t from,
             size_t to)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char first[HG_ROW_ID_SIZE], last[HG_ROW_ID_SIZE], hex[2 * KEY_DIGEST_BYTES + 1];
    if (ids_digest(digest, api, rows, from, to) != 0)
        return -1;
    api->row_id(api->row(rows, from), first);
    api->row_id(api->row(rows, to - 1), last);
    hex_put(hex, digest, KEY_DIGEST_BYTES);
    snprintf(out, IDEMPOTENCY_KEY_SIZE, "%s.%s.%zu.%s", first, last, to - from, hex);
    return 0;
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
