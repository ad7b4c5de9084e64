/* Signing in: a key comes once, in a body; what the browser keeps is a cookie that scripts cannot read, that other
 * sites cannot send (SameSite=Strict), and that goes over TLS only where there is TLS. The session holds no right of
 * its own: with every request the key is looked at again, so one that is taken back ends it at once.
 *
 * A wrong key costs a digest, as everywhere, and is noted like any refused caller. */
#include "api/session.h"

#include "api/daemon.h"
#include "base/sys.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define COOKIE "headgate_session"

enum { SIGN_IN_BYTES = 1024 };

/* --- what a request brings --- */

static bool cookie_of(const struct http_request *r, struct slice *id)
{
    struct slice field;
    static const char name[] = COOKIE "=";
    if (!http_field(r, "cookie", &field))
        return false;
    while (field.len > 0) {
        const char *end = memchr(field.ptr, ';', field.len);
        size_t len = end == NULL ? field.len : (size_t)(end - field.ptr);
        if (len >= sizeof name - 1 && memcmp(field.ptr, name, sizeof name - 1) == 0) {
            *id = slice_make(field.ptr + sizeof name - 1, len - (sizeof name - 1));
            return true;
        }
        len += end != NULL;
        while (len < field.len && field.ptr[len] == ' ')
            len++;
        field = slice_make(field.ptr + len, field.len - len);
    }
    return false;
}

bool api_session(struct api *api, struct http_request *r, struct session *out)
{
    struct slice id, other;
    if (r->listener != LISTENER_ADMIN || (api->admin_auth & AUTH_KEYS) == 0 || http_field(r, "authorization", &other) ||
        !cookie_of(r, &id) || !sessions_find(api->sessions, id, clock_ms(), out))
        return false;
    if (access_key_again(api->access, &out->key, &r->caller))
        return true;
    sessions_end(api->sessions, id);
    return false;
}

bool api_session_guarded(const struct http_request *r, const struct session *session, struct access_denial *why)
{
    struct slice token;
    if (r->method == HTTP_GET || r->method == HTTP_HEAD)
        return true;
    if (http_field(r, "x-csrf-token", &token) && token.len == SESSION_DIGITS &&
        CRYPTO_memcmp(token.ptr, session->token, SESSION_DIGITS) == 0)
        return true;
    *why = (struct access_denial){.status = 403,
                                  .word = "forbidden",
                                  .detail = "a change made with the page's cookie needs its token in X-CSRF-Token"};
    return false;
}

bool api_session_refused(struct http_request *r)
{
    struct slice length = {"", 0};
    if (r->method != HTTP_POST || !slice_is(r->path, "/v1/session") || !r->has_body)
        return false;
    if (http_field(r, "content-length", &length) && length.len <= 4 && strtoul(length.ptr, NULL, 10) <= SIGN_IN_BYTES)
        return false;
    api_problem(r, 413, "too-large", "signing in takes {\"key\":\"…\"} with its Content-Length, and nothing more");
    return true;
}

/* --- answers --- */

static int add_roles(struct buf *b, unsigned roles)
{
    bool more = false;
    int code = buf_adds(b, "\"roles\":[");
    for (int i = 0; code == ERR_OK && i < ROLE_COUNT; i++) {
        if ((roles & 1u << i) == 0)
            continue;
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = buf_addf(b, "\"%s\"", role_word((enum role_number)i));
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

/* `session` NULL: the caller needs none. */
static int describe(struct buf *b, const struct http_caller *caller, const struct session *session)
{
    int code = buf_adds(b, "{\"in\":true,");
    if (code == ERR_OK)
        code = add_roles(b, caller->roles);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"client\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(caller->client));
    if (code == ERR_OK && session != NULL)
        code = buf_adds(b, ",\"name\":");
    if (code == ERR_OK && session != NULL)
        code = buf_add_json(b, slice_of(session->key.name));
    if (code == ERR_OK && session != NULL)
        code = buf_addf(b, ",\"key\":\"%s\",\"csrf\":\"%s\"", session->key.id, session->token);
    return code == ERR_OK ? buf_adds(b, "}\n") : code;
}

static void answer(struct http_request *r, int status, struct buf *b, int code, const char *cookie)
{
    char fields[256];
    if (code != ERR_OK) {
        buf_free(b);
        api_error(r, code, "the answer could not be built");
        return;
    }
    snprintf(fields, sizeof fields, "Cache-Control: no-store\r\n%s", cookie);
    api_send(r, &(struct http_answer){
                    .status = status, .content_type = "application/json", .body = buf_slice(b), .fields = fields});
    buf_free(b);
}

static void cookie_line(const struct http_request *r, const char *id, char *out, size_t size)
{
    snprintf(out, size, "Set-Cookie: " COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s%s\r\n", id,
             http_encrypted(r) ? "; Secure" : "", id[0] == '\0' ? "; Max-Age=0" : "");
}

/* --- routes --- */

/* The key's text out of {"key":"…"}, with blanks around it cut: it was pasted. */
static bool key_of(struct slice body, char out[KEY_TEXT + 1])
{
    json_t *document = json_loadb(body.ptr == NULL ? "" : body.ptr, body.len, 0, NULL);
    const char *text = json_string_value(json_object_get(document, "key"));
    bool fits = text != NULL;
    if (fits) {
        text += strspn(text, " \t\r\n");
        size_t len = strcspn(text, " \t\r\n");
        fits = len == KEY_TEXT && text[len + strspn(text + len, " \t\r\n")] == '\0';
        snprintf(out, KEY_TEXT + 1, "%.*s", fits ? KEY_TEXT : 0, text);
    }
    json_decref(document);
    return fits;
}

void api_session_begin(struct api *api, struct http_request *r, const struct api_params *params)
{
    char text[KEY_TEXT + 1] = "", id[SESSION_DIGITS + 1], cookie[200];
    struct key key;
    struct session session;
    (void)params;
    if ((api->admin_auth & AUTH_KEYS) == 0) {
        api_problem(r, 409, "conflict", "nobody signs in with a key here (admin.auth)");
        return;
    }
    bool good = key_of(r->body, text) && access_key(api->access, slice_of(text), &key);
    OPENSSL_cleanse(text, sizeof text);
    if (!good) {
        api_problem(r, 401, "unauthorized",
                    "this key is not valid here; it may have been mistyped, expired or revoked");
        return;
    }
    struct buf b;
    buf_init(&b, 4096);
    int code = sessions_begin(api->sessions, &key, clock_ms(), id, &session);
    if (code == ERR_OK && !access_key_again(api->access, &session.key, &r->caller))
        code = ERR_GONE;
    if (code == ERR_OK)
        code = describe(&b, &r->caller, &session);
    cookie_line(r, code == ERR_OK ? id : "", cookie, sizeof cookie);
    answer(r, 201, &b, code, cookie);
}

void api_session_show(struct api *api, struct http_request *r, const struct api_params *params)
{
    static const struct access_need any = {.roles = ROLE_ALL, .own = true};
    struct session session;
    struct access_denial why;
    struct buf b;
    (void)params;
    buf_init(&b, 4096);
    int code;
    if (api_session(api, r, &session))
        code = describe(&b, &r->caller, &session);
    else if (access_allows(api->access, r, api->admin_auth, &any, &why))
        code = describe(&b, &r->caller, NULL);
    else
        code = buf_addf(&b, "{\"in\":false,\"keys\":%s}\n", (api->admin_auth & AUTH_KEYS) != 0 ? "true" : "false");
    answer(r, 200, &b, code, "");
}

void api_keys(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    api_json(r, 200, &b, access_keys_print(api->access, &b));
}

void api_session_end(struct api *api, struct http_request *r, const struct api_params *params)
{
    char cookie[200];
    struct slice id;
    struct buf b;
    (void)params;
    if (cookie_of(r, &id))
        sessions_end(api->sessions, id);
    buf_init(&b, 256);
    cookie_line(r, "", cookie, sizeof cookie);
    answer(r, 200, &b, buf_adds(&b, "{\"in\":false}\n"), cookie);
}
