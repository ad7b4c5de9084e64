/* libcurl can sign too, but Debian 12's leaves queries out of what it signs. Signed are Host and the x-amz- fields; the
 * body goes in by its SHA-256, which the server compares with what it got. */
#include "common/sigv4.h"

#include "common/strbuf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST = 32, HEX_SIZE = 2 * DIGEST + 1, STAMP_SIZE = 32, SCOPE_SIZE = 256, TEXT_MAX = 64 * 1024 };

static void hex_put(char out[HEX_SIZE], const unsigned char digest[DIGEST])
{
    for (size_t i = 0; i < DIGEST; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int digest_hex(char out[HEX_SIZE], const void *ptr, size_t len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(len ? ptr : "", len, digest, NULL, EVP_sha256(), NULL))
        return -1;
    hex_put(out, digest);
    return 0;
}

static int mac(unsigned char out[DIGEST], const void *key, size_t key_len, const char *text)
{
    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out, NULL) ? 0 : -1;
}

/* The key of this day, place and service. */
static int signing_key(unsigned char out[DIGEST], const struct sigv4_keys *keys, const char *day)
{
    char first[SIGV4_LINE_SIZE];
    int len = snprintf(first, sizeof(first), "AWS4%s", keys->secret_key);
    if (len < 0 || (size_t)len >= sizeof(first))
        return -1;
    return mac(out, first, (size_t)len, day) || mac(out, out, DIGEST, keys->region) ||
                   mac(out, out, DIGEST, keys->service) || mac(out, out, DIGEST, "aws4_request")
               ? -1
               : 0;
}

static const char *signed_fields(const struct sigv4_keys *keys)
{
    return keys->session_token ? "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
                               : "host;x-amz-content-sha256;x-amz-date";
}

static int canonical_hex(char out[HEX_SIZE], const struct sigv4_keys *keys, const struct sigv4_request *r,
                         const char *payload, const char *stamp)
{
    struct strbuf text;
    strbuf_init(&text, TEXT_MAX);
    strbuf_addf(&text, "%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n", r->method, r->path, r->query,
                r->host, payload, stamp);
    if (keys->session_token)
        strbuf_addf(&text, "x-amz-security-token:%s\n", keys->session_token);
    strbuf_addf(&text, "\n%s\n%s", signed_fields(keys), payload);
    int rc = text.failed ? -1 : digest_hex(out, text.ptr, text.len);
    strbuf_fini(&text);
    return rc;
}

static int signature_hex(char out[HEX_SIZE], const struct sigv4_keys *keys, const char *stamp, const char *scope,
                         const char *canonical)
{
    char text[SCOPE_SIZE + STAMP_SIZE + HEX_SIZE + 32], day[9];
    unsigned char key[DIGEST], digest[DIGEST];
    snprintf(day, sizeof(day), "%.8s", stamp);
    snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, canonical);
    if (signing_key(key, keys, day) != 0 || mac(digest, key, DIGEST, text) != 0)
        return -1;
    hex_put(out, digest);
    return 0;
}

static int line_add(struct sigv4_lines *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int line_add(struct sigv4_lines *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out->text[out->count++], SIGV4_LINE_SIZE, format, args);
    va_end(args);
    return len < SIGV4_LINE_SIZE ? 0 : -1;
}

int sigv4_sign(const struct sigv4_keys *keys, const struct sigv4_request *r, struct sigv4_lines *out)
{
    char stamp[STAMP_SIZE], scope[SCOPE_SIZE], payload[HEX_SIZE], canonical[HEX_SIZE], signature[HEX_SIZE];
    struct tm tm = {0};
    gmtime_r(&r->now, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
    int len = snprintf(scope, sizeof(scope), "%.8s/%s/%s/aws4_request", stamp, keys->region, keys->service);
    if (len < 0 || (size_t)len >= sizeof(scope) || digest_hex(payload, r->body, r->len) != 0 ||
        canonical_hex(canonical, keys, r, payload, stamp) != 0 ||
        signature_hex(signature, keys, stamp, scope, canonical) != 0)
        return -1;
    out->count = 0;
    int rc = line_add(out, "X-Amz-Date: %s", stamp);
    rc |= line_add(out, "X-Amz-Content-Sha256: %s", payload);
    rc |= line_add(out, "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                   keys->access_key, scope, signed_fields(keys), signature);
    if (keys->session_token)
        rc |= line_add(out, "X-Amz-Security-Token: %s", keys->session_token);
    return rc;
}
