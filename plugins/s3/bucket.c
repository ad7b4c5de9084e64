/* One answer is read for three things only: its status, the code and message of an error, and the number of an upload.
 * Those are plain texts between tags, so no XML library is needed.
 *
 * Parts that a killed process has left behind cost space until the bucket's own rule for incomplete uploads removes
 * them; they are never seen as an object. */
#include "bucket.h"

#include "common/strbuf.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MOST = 64 * 1024,
    REASON_SIZE = 800,
    KEY_MOST = 1024, /* bytes of an object's name, in S3 and all that are like it */
    UPLOAD_SIZE = 1024,
    FIELDS_MOST = SIGV4_LINES + 1,
    PARTS_MOST = 10000,
    TEXT_MOST = 4 << 20,
};

struct bucket {
    const struct hg_api *api;
    struct bucket_settings settings;
    struct http_client *client;
    char *origin; /* http://host:port */
    char *host;   /* as in the field Host */
    struct strbuf path, url, parts;
    struct http_answer answer;
    char reason[REASON_SIZE];
};

/* --- addresses --- */

/* RFC 3986's unreserved characters stand for themselves, and the slash; as the signature wants it. */
static void encode(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/", *text))
            strbuf_addc(out, *text);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)*text);
    }
}

static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static int address_fill(struct bucket *b, const char *scheme, const char *host, const char *port)
{
    int usual = !port || strcmp(port, strcmp(scheme, "https") == 0 ? "443" : "80") == 0;
    const char *bucket = b->settings.virtual_host ? b->settings.name : "";
    if (asprintf(&b->host, "%s%s%s%s%s", bucket, *bucket ? "." : "", host, usual ? "" : ":", usual ? "" : port) < 0)
        b->host = NULL;
    else if (asprintf(&b->origin, "%s://%s", scheme, b->host) < 0)
        b->origin = NULL;
    return b->host && b->origin ? 0 : -1;
}

/* 0, or -1 with a sentence. */
static int address_parse(struct bucket *b, char *why, size_t why_size)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    snprintf(why, why_size, "URL has to be an address without a path: the bucket's name belongs into BUCKET");
    if (url && curl_url_set(url, CURLUPART_URL, b->settings.http.url, 0) == CURLUE_OK) {
        scheme = part_of(url, CURLUPART_SCHEME);
        host = part_of(url, CURLUPART_HOST);
        port = part_of(url, CURLUPART_PORT);
        path = part_of(url, CURLUPART_PATH);
        query = part_of(url, CURLUPART_QUERY);
    }
    int rc = scheme && host && path && !query && strcmp(path, "/") == 0 ? address_fill(b, scheme, host, port) : -1;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(url);
    return rc;
}

static int name_fault(const char *bucket)
{
    return strlen(bucket) < 3 || strlen(bucket) > 63 ||
           strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(bucket);
}

/* --- new and free --- */

static int text_fault(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return 1;
    return 0;
}

static int settings_check(struct bucket *b, char *why, size_t why_size)
{
    const struct sigv4_keys *k = &b->settings.keys;
    if (name_fault(b->settings.name))
        snprintf(why, why_size, "BUCKET: 3 to 63 small letters, digits, dots and hyphens");
    else if (text_fault(k->access_key) || text_fault(k->secret_key) || text_fault(k->session_token) ||
             text_fault(k->region))
        snprintf(why, why_size, "ACCESS_KEY, SECRET_KEY, SESSION_TOKEN and REGION hold visible ASCII characters only");
    else
        return address_parse(b, why, why_size);
    return -1;
}

struct bucket *bucket_new(const struct bucket_settings *settings, struct hg_host *host, const struct hg_api *api,
                          char *why, size_t why_size, int *broken)
{
    *broken = 0;
    struct bucket *b = calloc(1, sizeof(*b));
    if (!b) {
        snprintf(why, why_size, "no memory");
        return NULL;
    }
    b->api = api;
    b->settings = *settings;
    strbuf_init(&b->path, TEXT_MOST);
    strbuf_init(&b->url, TEXT_MOST);
    strbuf_init(&b->parts, TEXT_MOST);
    http_answer_init(&b->answer, ANSWER_MOST);
    *broken = settings_check(b, why, why_size) != 0;
    b->client = *broken ? NULL : http_client_new(&b->settings.http, host, api, why, why_size, broken);
    if (!b->client)
        bucket_free(&b);
    return b;
}

void bucket_free(struct bucket **bucket)
{
    struct bucket *b = *bucket;
    if (!b)
        return;
    http_client_free(&b->client);
    http_answer_fini(&b->answer);
    strbuf_fini(&b->path);
    strbuf_fini(&b->url);
    strbuf_fini(&b->parts);
    free(b->origin);
    free(b->host);
    free(b);
    *bucket = NULL;
}

const char *bucket_reason(const void *bucket)
{
    const struct bucket *b = bucket;
    return b->reason;
}

static int64_t bucket_after(const void *bucket)
{
    const struct bucket *b = bucket;
    return b->answer.retry_after;
}

/* --- requests --- */

/* The text between <tag> and </tag>; 0: it is not there, or too long. */
static int tag_text(struct http_answer *answer, const char *tag, char *out, size_t size)
{
    char open[64];
    const char *body = strbuf_str(&answer->body);
    snprintf(open, sizeof(open), "<%s>", tag);
    const char *from = strstr(body, open);
    const char *to = from ? strchr(from + 1, '<') : NULL;
    if (!to || (size_t)(to - from) - strlen(open) >= size)
        return 0;
    snprintf(out, size, "%.*s", (int)(to - from - (long)strlen(open)), from + strlen(open));
    return 1;
}

/* What an answer that is no success means. */
static enum object_outcome refused(struct bucket *b)
{
    char code[100] = "", message[500] = "";
    long status = b->answer.status;
    if (tag_text(&b->answer, "Code", code, sizeof(code))) {
        tag_text(&b->answer, "Message", message, sizeof(message));
        snprintf(b->reason, sizeof(b->reason), "HTTP %ld: %s: %s", status, code, message);
    } else {
        http_answer_reason(&b->answer, b->reason, sizeof(b->reason));
    }
    if (strcmp(code, "KeyTooLongError") == 0 || strcmp(code, "XMinioInvalidObjectName") == 0)
        return OBJECT_NAME;
    if (strcmp(code, "EntityTooLarge") == 0 || status == 413)
        return OBJECT_SIZE;
    return (status >= 300 && status < 500 && status != 408) || status == 503 ? OBJECT_REFUSED : OBJECT_UNKNOWN;
}

struct call {
    const char *method, *key, *query, *type; /* type: or NULL */
    const void *body;
    size_t len;
};

/* OBJECT_STORED: a success, whose answer is in b->answer. */
static enum object_outcome ask(struct bucket *b, const struct call *c)
{
    struct sigv4_lines signature;
    const char *fields[FIELDS_MOST];
    char type[64];
    strbuf_clear(&b->path);
    strbuf_clear(&b->url);
    strbuf_addc(&b->path, '/');
    if (!b->settings.virtual_host)
        strbuf_addf(&b->path, "%s/", b->settings.name);
    encode(&b->path, c->key);
    strbuf_addf(&b->url, "%s%s%s%s", b->origin, strbuf_str(&b->path), *c->query ? "?" : "", c->query);
    struct sigv4_request to_sign = {c->method, b->host, strbuf_str(&b->path), c->query, c->body, c->len, time(NULL)};
    if (b->path.failed || b->url.failed || sigv4_sign(&b->settings.keys, &to_sign, &signature) != 0) {
        snprintf(b->reason, sizeof(b->reason), "no memory for the request");
        return OBJECT_REFUSED;
    }
    struct http_request request = {c->method, c->body, c->len, fields, 0, strbuf_str(&b->url)};
    for (size_t i = 0; i < signature.count; i++)
        fields[request.field_count++] = signature.text[i];
    snprintf(type, sizeof(type), "Content-Type: %s", c->type ? c->type : "application/xml");
    fields[request.field_count++] = type;
    if (http_client_send(b->client, &request, &b->answer) != 0) {
        snprintf(b->reason, sizeof(b->reason), "%s", b->answer.error);
        return OBJECT_UNKNOWN;
    }
    return b->answer.status >= 200 && b->answer.status < 300 ? OBJECT_STORED : refused(b);
}

/* --- in parts --- */

static enum object_outcome upload_begin(struct bucket *b, const char *key, const char *type, char upload[UPLOAD_SIZE])
{
    char text[UPLOAD_SIZE / 4];
    struct strbuf encoded;
    enum object_outcome outcome = ask(b, &(struct call){"POST", key, "uploads=", type, NULL, 0});
    if (outcome != OBJECT_STORED)
        return outcome == OBJECT_UNKNOWN ? OBJECT_REFUSED : outcome; /* an upload that has begun is no object */
    if (!tag_text(&b->answer, "UploadId", text, sizeof(text))) {
        snprintf(b->reason, sizeof(b->reason), "the answer has no UploadId");
        return OBJECT_REFUSED;
    }
    strbuf_init(&encoded, UPLOAD_SIZE - 1);
    for (const char *p = text; *p; p++) /* in a query the slash is encoded too */
        *p == '/' ? strbuf_adds(&encoded, "%2F") : encode(&encoded, (char[]){*p, '\0'});
    snprintf(upload, UPLOAD_SIZE, "%s", strbuf_str(&encoded));
    strbuf_fini(&encoded);
    return OBJECT_STORED;
}

static void upload_drop(struct bucket *b, const char *key, const char *upload)
{
    char query[UPLOAD_SIZE + 16], reason[REASON_SIZE];
    memcpy(reason, b->reason, sizeof(reason));
    snprintf(query, sizeof(query), "uploadId=%s", upload);
    ask(b, &(struct call){"DELETE", key, query, NULL, NULL, 0});
    memcpy(b->reason, reason, sizeof(reason));
}

static enum object_outcome upload_part(struct bucket *b, const char *key, const char *upload, int number,
                                       const char *body, size_t len)
{
    char query[UPLOAD_SIZE + 64];
    snprintf(query, sizeof(query), "partNumber=%d&uploadId=%s", number, upload);
    enum object_outcome outcome = ask(b, &(struct call){"PUT", key, query, "application/octet-stream", body, len});
    if (outcome == OBJECT_STORED)
        strbuf_addf(&b->parts, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, b->answer.etag);
    return outcome == OBJECT_UNKNOWN ? OBJECT_REFUSED : outcome;
}

/* A success may still turn out to be an error: it is sent before the parts are put together. */
static enum object_outcome upload_end(struct bucket *b, const char *key, const char *upload)
{
    char query[UPLOAD_SIZE + 16];
    snprintf(query, sizeof(query), "uploadId=%s", upload);
    strbuf_adds(&b->parts, "</CompleteMultipartUpload>");
    enum object_outcome outcome = ask(b, &(struct call){"POST", key, query, NULL, b->parts.ptr, b->parts.len});
    if (outcome == OBJECT_STORED && strstr(strbuf_str(&b->answer.body), "<Error>"))
        return refused(b) == OBJECT_SIZE ? OBJECT_SIZE : OBJECT_UNKNOWN;
    return outcome;
}

static enum object_outcome put_parts(struct bucket *b, const char *key, const char *type, const char *body, size_t len)
{
    char upload[UPLOAD_SIZE];
    size_t size = b->settings.part_size;
    if (len / size >= PARTS_MOST)
        size = len / PARTS_MOST + 1;
    enum object_outcome outcome = upload_begin(b, key, type, upload);
    if (outcome != OBJECT_STORED)
        return outcome;
    strbuf_clear(&b->parts);
    strbuf_adds(&b->parts, "<CompleteMultipartUpload>");
    int number = 0;
    for (size_t at = 0; outcome == OBJECT_STORED && at < len; at += size)
        outcome = upload_part(b, key, upload, ++number, body + at, len - at < size ? len - at : size);
    if (outcome == OBJECT_STORED)
        outcome = upload_end(b, key, upload);
    if (outcome != OBJECT_STORED)
        upload_drop(b, key, upload);
    return outcome;
}

static enum object_outcome bucket_put(void *bucket, const char *key, const char *type, const void *body, size_t len)
{
    struct bucket *b = bucket;
    if (strlen(key) > KEY_MOST) {
        snprintf(b->reason, sizeof(b->reason),
                 "KeyTooLong: the object's name would have %zu bytes, of %d that it may have", strlen(key), KEY_MOST);
        return OBJECT_NAME;
    }
    if (len > b->settings.part_size)
        return put_parts(b, key, type, body, len);
    return ask(b, &(struct call){"PUT", key, "", type, body, len});
}

enum object_outcome bucket_try(struct bucket *b, const char *key)
{
    char upload[UPLOAD_SIZE];
    enum object_outcome outcome = upload_begin(b, key, NULL, upload);
    if (outcome == OBJECT_STORED)
        upload_drop(b, key, upload);
    return outcome;
}

const struct object_store bucket_store = {bucket_put, bucket_reason, bucket_after};
