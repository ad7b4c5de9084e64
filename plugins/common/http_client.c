/* One easy handle for each worker. Everything that goes into a request's head is checked when the client is made: a
 * control character in a setting could otherwise forge fields. */
#include "common/http_client.h"

#include "common/curlhandle.h"
#include "common/http_status.h"
#include "common/retry_after.h"
#include "common/tlsfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { REASON_BODY_MAX = 500 };

/* What belongs to the client, or to the frame of the message. */
static const char *const own_fields[] = {
    "content-length", "transfer-encoding", "content-encoding", "connection", "host", "expect", "te", "trailer",
    "upgrade"};

struct http_client {
    struct curlhandle handle;
    struct http_settings settings;
    struct curl_slist *fields; /* of every request */
    struct http_answer *answer;
};

/* The settings' own field `name` of `len` bytes. */
static int fields_have(const struct hg_map *fields, const char *name, size_t len)
{
    for (size_t i = 0; fields && i < fields->count; i++)
        if (strlen(fields->names[i]) == len && strncasecmp(fields->names[i], name, len) == 0)
            return 1;
    return 0;
}

/* --- checks of settings --- */

static int field_allowed(const char *name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (*name == '\0' || strspn(name, token) != strlen(name))
        return 0;
    for (size_t i = 0; i < sizeof(own_fields) / sizeof(own_fields[0]); i++)
        if (strcasecmp(name, own_fields[i]) == 0)
            return 0;
    return 1;
}

static int fields_check(const struct hg_map *fields, char *why, size_t size)
{
    for (size_t i = 0; fields && i < fields->count; i++) {
        if (field_allowed(fields->names[i]) && !curlhandle_has_control(fields->values[i]))
            continue;
        snprintf(why, size, "the header field '%.40s' has a name or value that cannot be sent",
                 curlhandle_has_control(fields->names[i]) ? "?" : fields->names[i]);
        return -1;
    }
    return 0;
}

static int url_check(const char *url, char *why, size_t size)
{
    char *user = NULL;
    CURLU *parsed = curl_url();
    int rc = !parsed || curlhandle_has_control(url) || strchr(url, ' ') ||
             curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK;
    if (rc)
        snprintf(why, size, "the address is not a URL");
    else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK) {
        snprintf(why, size, "the address holds a user name, which belongs into USER and PASSWORD");
        rc = 1;
    }
    curl_free(user);
    curl_url_cleanup(parsed);
    return rc ? -1 : 0;
}

static int settings_check(const struct http_settings *s, char *why, size_t size)
{
    if (curlhandle_has_control(s->proxy) || curlhandle_has_control(s->user) || curlhandle_has_control(s->password) ||
        curlhandle_has_control(s->token)) {
        snprintf(why, size, "a proxy, user, password or token must not hold control characters");
        return -1;
    }
    if ((s->token && s->user) || (s->bearer && (s->token || s->user)) || (s->password && !s->user) ||
        (s->user && strchr(s->user, ':'))) {
        snprintf(why, size, "either a token, or a user without ':' and a password");
        return -1;
    }
    if ((s->token || s->user || s->bearer) && fields_have(s->fields, "authorization", strlen("authorization"))) {
        snprintf(why, size, "a token or user, or a header field Authorization, not both");
        return -1;
    }
    const char *fault = tlsfiles_fault(1, s->ca, s->cert, s->key);
    if (fault) {
        snprintf(why, size, "%s", fault);
        return -1;
    }
    return url_check(s->url, why, size) != 0 || fields_check(s->fields, why, size) != 0 ? -1 : 0;
}

/* --- what comes back --- */

static size_t on_body(char *ptr, size_t size, size_t count, void *arg)
{
    struct http_answer *a = ((struct http_client *)arg)->answer;
    size_t len = size * count, room = a->body.max - a->body.len;
    strbuf_add(&a->body, ptr, len < room ? len : room);
    a->overlong |= len > room || a->body.failed;
    return len;
}

/* The value of the field `name` (with its colon), spaces around it left out; NULL: it is another one. */
static const char *field_value(const char *line, size_t len, const char *name, size_t *value_len)
{
    size_t skip = strlen(name);
    if (len <= skip || strncasecmp(line, name, skip) != 0)
        return NULL;
    while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
        skip++;
    while (len > skip && strchr(" \t\r\n", line[len - 1]))
        len--;
    *value_len = len - skip;
    return line + skip;
}

static size_t on_field(char *ptr, size_t size, size_t count, void *arg)
{
    struct http_answer *a = ((struct http_client *)arg)->answer;
    size_t len = size * count, value_len;
    const char *value;
    if (len > 5 && memcmp(ptr, "HTTP/", 5) == 0) {
        a->retry_after = 0; /* another head: what an interim answer said does not count */
        a->etag[0] = '\0';
    } else if ((value = field_value(ptr, len, "retry-after:", &value_len)))
        a->retry_after = retry_after_ms(value, value_len, (int64_t)time(NULL));
    else if ((value = field_value(ptr, len, "etag:", &value_len)) && value_len < sizeof(a->etag))
        snprintf(a->etag, sizeof(a->etag), "%.*s", (int)value_len, value);
    return len;
}

/* --- the handle --- */

/* All options take: an unknown one is a libcurl that cannot be trusted with the rest. */
#define SET(c, option, value)                                                                                          \
    do {                                                                                                               \
        if (curl_easy_setopt((c)->handle.curl, option, value) != CURLE_OK)                                             \
            return -1;                                                                                                 \
    } while (0)

static int handle_open(struct http_client *c, struct hg_host *host, const struct hg_api *api)
{
    const struct http_settings *s = &c->settings;
    const struct curlhandle_settings settings = {.protocols = "http,https",
                                                 .proxy = s->proxy,
                                                 .ca = s->ca,
                                                 .cert = s->cert,
                                                 .key = s->key,
                                                 .user = s->user,
                                                 .password = s->password,
                                                 .verify = s->verify,
                                                 .connect_ms = s->connect_ms,
                                                 .request_ms = s->request_ms};
    if (curlhandle_open(&c->handle, &settings, host, api) != 0)
        return -1;
    SET(c, CURLOPT_PATH_AS_IS, 1L);
    SET(c, CURLOPT_FOLLOWLOCATION, 0L);
    SET(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy is not given the token */
    SET(c, CURLOPT_USERAGENT, "headgate");
    SET(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    SET(c, CURLOPT_WRITEFUNCTION, on_body);
    SET(c, CURLOPT_WRITEDATA, c);
    SET(c, CURLOPT_HEADERFUNCTION, on_field);
    SET(c, CURLOPT_HEADERDATA, c);
    return 0;
}

static int field_append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return -1;
    *list = longer;
    return 0;
}

static int field_append_pair(struct curl_slist **list, const char *name, const char *value)
{
    char *line;
    int empty = *value == '\0'; /* libcurl's way to write an empty value */
    if (asprintf(&line, empty ? "%s;%s" : "%s: %s", name, value) < 0)
        return -1;
    int rc = field_append(list, line);
    free(line);
    return rc;
}

static int client_fields(struct http_client *c)
{
    const struct hg_map *fields = c->settings.fields;
    int rc = field_append(&c->fields, "Expect:"); /* no wait for a 100 */
    for (size_t i = 0; rc == 0 && fields && i < fields->count; i++)
        rc = field_append_pair(&c->fields, fields->names[i], fields->values[i]);
    if (rc == 0 && c->settings.token) {
        char *value;
        if (asprintf(&value, "Bearer %s", c->settings.token) < 0)
            return -1;
        rc = field_append_pair(&c->fields, "Authorization", value);
        free(value);
    }
    return rc;
}

struct http_client *http_client_new(const struct http_settings *settings, struct hg_host *host,
                                    const struct hg_api *api, char *why, size_t why_size, int *broken)
{
    *broken = settings_check(settings, why, why_size) != 0;
    if (*broken || tlsfiles_check(settings->ca, settings->cert, settings->key, why, why_size) != 0)
        return NULL;
    struct http_client *c = calloc(1, sizeof(*c));
    if (c)
        c->settings = *settings;
    if (!c || handle_open(c, host, api) != 0 || client_fields(c) != 0) {
        snprintf(why, why_size, "libcurl refuses the settings, or there is no memory");
        http_client_free(&c);
    }
    return c;
}

void http_client_free(struct http_client **c)
{
    if (!*c)
        return;
    curlhandle_close(&(*c)->handle);
    curl_slist_free_all((*c)->fields);
    free(*c);
    *c = NULL;
}

void http_answer_init(struct http_answer *a, size_t body_max)
{
    *a = (struct http_answer){0};
    strbuf_init(&a->body, body_max);
}

void http_answer_fini(struct http_answer *a)
{
    strbuf_fini(&a->body);
}

void http_answer_reason(const struct http_answer *answer, char *out, size_t size)
{
    const char *name = http_status_text(answer->status);
    int used = snprintf(out, size, "HTTP %ld%s%s", answer->status, *name ? " " : "", name);
    size_t len = answer->body.len < REASON_BODY_MAX ? answer->body.len : REASON_BODY_MAX;
    if (len == 0 || used < 0 || (size_t)used + len + 3 > size)
        return;
    while (len > 0 && len < answer->body.len && ((unsigned char)answer->body.ptr[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    char *at = out + used;
    *at++ = ':';
    *at++ = ' ';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)answer->body.ptr[i];
        *at++ = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    *at = '\0';
}

/* --- one request --- */

static int request_set(struct http_client *c, const struct http_request *r, struct curl_slist *fields, int64_t ms)
{
    int head = strcmp(r->method, "HEAD") == 0;
    SET(c, CURLOPT_NOBODY, head ? 1L : 0L);
    if (strcmp(r->method, "GET") == 0)
        SET(c, CURLOPT_HTTPGET, 1L);
    else if (!head) {
        SET(c, CURLOPT_POST, 1L);
        SET(c, CURLOPT_POSTFIELDS, r->len ? r->body : "");
        SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
    }
    SET(c, CURLOPT_URL, r->url ? r->url : c->settings.url);
    SET(c, CURLOPT_CUSTOMREQUEST, r->method);
    SET(c, CURLOPT_HTTPHEADER, fields);
    SET(c, CURLOPT_TIMEOUT_MS, (long)ms);
    return 0;
}

/* NULL with a sentence in the answer. */
static struct curl_slist *request_fields(const struct http_client *c, const struct http_request *r,
                                         struct http_answer *answer)
{
    struct curl_slist *all = NULL;
    const struct http_bearer *bearer = c->settings.bearer;
    const char *line = bearer ? bearer->line(bearer->arg, answer->error, sizeof(answer->error)) : NULL;
    if (bearer && !line)
        return NULL;
    int rc = line ? field_append(&all, line) : 0;
    for (const struct curl_slist *f = c->fields; rc == 0 && f; f = f->next)
        rc = field_append(&all, f->data);
    for (size_t i = 0; rc == 0 && i < r->field_count; i++)
        if (!fields_have(c->settings.fields, r->fields[i], strcspn(r->fields[i], ":")))
            rc = field_append(&all, r->fields[i]);
    if (rc != 0) {
        snprintf(answer->error, sizeof(answer->error), "no memory");
        curl_slist_free_all(all);
        all = NULL;
    }
    return all;
}

static int send_perform(struct http_client *c, struct http_answer *answer)
{
    c->answer = answer;
    CURLcode code = curlhandle_perform(&c->handle);
    c->answer = NULL;
    curl_easy_getinfo(c->handle.curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (code == CURLE_OK)
        return 0;
    snprintf(answer->error, sizeof(answer->error), "%s", curlhandle_said(&c->handle, code));
    return -1;
}

static int request_send(struct http_client *c, const struct http_request *request, struct http_answer *answer)
{
    strbuf_clear(&answer->body);
    answer->status = 0;
    answer->overlong = 0;
    answer->retry_after = 0;
    answer->etag[0] = '\0';
    struct curl_slist *fields = request_fields(c, request, answer);
    if (!fields)
        return -1;
    int64_t ms = curlhandle_ms(&c->handle);
    int rc = -1;
    if (ms <= 0)
        snprintf(answer->error, sizeof(answer->error), "no time left for a request");
    else if (request_set(c, request, fields, ms) != 0)
        snprintf(answer->error, sizeof(answer->error), "no memory");
    else
        rc = send_perform(c, answer);
    curl_easy_setopt(c->handle.curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(fields);
    return rc;
}

int http_client_send(struct http_client *c, const struct http_request *request, struct http_answer *answer)
{
    const struct http_bearer *bearer = c->settings.bearer;
    int rc;
    do
        rc = request_send(c, request, answer);
    while (rc == 0 && answer->status == 401 && bearer && bearer->refused(bearer->arg));
    return rc;
}
