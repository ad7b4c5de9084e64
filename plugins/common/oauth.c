/* Whatever goes wrong here is the identity provider's state, or the operator's setting, and never a row's fault: there
 * is no token, so there is no request, and the rows wait. What the provider answers with a 2xx is never shown, for a
 * token may stand in it. */
#include "common/oauth.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { ANSWER_MAX = 256 * 1024, TEXT_MAX = 128 * 1024, REASON_SIZE = 700 };
enum { EARLY_MOST = 30, LIFE_MOST = 365 * 24 * 3600 /* seconds */ };

struct oauth {
    struct oauth_settings settings;
    struct http_client *client;
    struct http_answer answer;
    struct strbuf body;
    struct strbuf line;  /* Authorization: Bearer … */
    int64_t until;       /* seconds of the monotonic clock; 0: there is no token */
    int used;            /* the token was sent before: a refusal may mean that its time is over */
    char *user, *secret; /* encoded, as both ways of saying them want it (RFC 6749 section 2.3.1) */
    struct http_bearer bearer;
};

static int64_t clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec;
}

/* --- the answer --- */

/* Visible characters alone (RFC 6750 section 2.1 allows fewer): it becomes a field of a request's head. */
static int token_ok(const char *token)
{
    if (!token || *token == '\0')
        return 0;
    for (; *token; token++)
        if ((unsigned char)*token <= 0x20 || (unsigned char)*token >= 0x7f)
            return 0;
    return 1;
}

/* Seconds that the token is kept. One that does not say how long it lives is kept until it is refused. */
static int64_t life_of(const json_t *answer)
{
    const json_t *said = json_object_get(answer, "expires_in");
    int64_t life = json_is_number(said) ? (int64_t)json_number_value(said) : LIFE_MOST;
    life = life > LIFE_MOST ? LIFE_MOST : life;
    int64_t early = life / 10 < EARLY_MOST ? life / 10 : EARLY_MOST;
    return life - early < 1 ? 1 : life - early;
}

static int token_take(struct oauth *o, char *why, size_t size)
{
    json_t *answer = o->answer.overlong ? NULL : json_loadb(o->answer.body.ptr, o->answer.body.len, 0, NULL);
    const char *token = json_string_value(json_object_get(answer, "access_token"));
    const char *kind = json_string_value(json_object_get(answer, "token_type"));
    int rc = token_ok(token) && (!kind || strcasecmp(kind, "bearer") == 0) ? 0 : -1;
    if (rc == 0) {
        strbuf_clear(&o->line);
        strbuf_addf(&o->line, "Authorization: Bearer %s", token);
        o->used = 0;
        o->until = clock_seconds() + life_of(answer);
        rc = strbuf_str(&o->line)[0] != '\0' && !o->line.failed ? 0 : -1;
    }
    if (rc != 0)
        snprintf(why, size, "the identity provider's answer holds no bearer token");
    json_decref(answer);
    return rc;
}

/* --- the request --- */

static void pair_add(struct strbuf *body, const char *name, const char *value)
{
    char *encoded = curl_easy_escape(NULL, value, 0);
    strbuf_addf(body, "&%s=%s", name, encoded ? encoded : "");
    body->failed |= encoded == NULL;
    curl_free(encoded);
}

static int body_make(struct oauth *o)
{
    strbuf_clear(&o->body);
    strbuf_adds(&o->body, "grant_type=client_credentials");
    if (o->settings.scope && *o->settings.scope)
        pair_add(&o->body, "scope", o->settings.scope);
    if (o->settings.form)
        strbuf_addf(&o->body, "&client_id=%s&client_secret=%s", o->user, o->secret);
    return o->body.failed ? -1 : 0;
}

static int token_draw(struct oauth *o, char *why, size_t size)
{
    static const char *const fields[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"};
    char reason[REASON_SIZE];
    if (body_make(o) != 0) {
        snprintf(why, size, "no memory");
        return -1;
    }
    struct http_request request = {"POST", o->body.ptr, o->body.len, fields, 2, NULL};
    if (http_client_send(o->client, &request, &o->answer) != 0) {
        snprintf(why, size, "the identity provider: %s", o->answer.error);
        return -1;
    }
    if (o->answer.status >= 200 && o->answer.status < 300)
        return token_take(o, why, size);
    http_answer_reason(&o->answer, reason, sizeof(reason));
    snprintf(why, size, "the identity provider: %s", reason);
    return -1;
}

/* --- what the client of the far end asks --- */

static const char *bearer_line(void *arg, char *why, size_t size)
{
    struct oauth *o = arg;
    if (o->until != 0 && clock_seconds() < o->until) {
        o->used = 1;
        return o->line.ptr;
    }
    o->until = 0;
    return token_draw(o, why, size) == 0 ? o->line.ptr : NULL;
}

/* One that was drawn for this very request is not the reason. */
static int bearer_refused(void *arg)
{
    struct oauth *o = arg;
    o->until = 0;
    return o->used;
}

/* --- open and close --- */

static const char *settings_fault(const struct oauth_settings *s, const struct http_settings *trust)
{
    if (!s->url)
        return s->client || s->secret || s->scope ? "OAUTH_CLIENT, OAUTH_SECRET and OAUTH_SCOPE need an OAUTH_URL"
                                                  : NULL;
    if (!s->client || !*s->client || !s->secret || !*s->secret)
        return "OAUTH_URL needs an OAUTH_CLIENT and an OAUTH_SECRET";
    if (trust->token || trust->user)
        return "either OAUTH_URL, or a token, or a user and a password";
    return NULL;
}

static int client_make(struct oauth *o, const struct http_settings *trust, struct hg_host *host,
                       const struct hg_api *api, char *why, size_t size, int *broken)
{
    char inner[REASON_SIZE];
    struct http_settings mine = {.url = o->settings.url,
                                 .ca = trust->ca,
                                 .cert = trust->cert,
                                 .key = trust->key,
                                 .verify = trust->verify,
                                 .proxy = trust->proxy,
                                 .user = o->settings.form ? NULL : o->user,
                                 .password = o->settings.form ? NULL : o->secret,
                                 .connect_ms = trust->connect_ms,
                                 .request_ms = trust->request_ms};
    o->client = http_client_new(&mine, host, api, inner, sizeof(inner), broken);
    if (!o->client)
        snprintf(why, size, "OAUTH_URL: %s", inner);
    return o->client ? 0 : -1;
}

int oauth_open(struct oauth **out, const struct oauth_settings *settings, const struct http_settings *trust,
               struct hg_host *host, const struct hg_api *api, char *why, size_t why_size, int *broken)
{
    const char *fault = settings_fault(settings, trust);
    *out = NULL;
    if (fault)
        snprintf(why, why_size, "%s", fault);
    *broken = fault != NULL;
    if (fault || !settings->url)
        return fault ? -1 : 0;
    struct oauth *o = calloc(1, sizeof(*o));
    snprintf(why, why_size, "no memory");
    if (!o)
        return -1;
    o->settings = *settings;
    o->bearer = (struct http_bearer){bearer_line, bearer_refused, o};
    strbuf_init(&o->body, TEXT_MAX);
    strbuf_init(&o->line, TEXT_MAX);
    http_answer_init(&o->answer, ANSWER_MAX);
    o->user = curl_easy_escape(NULL, settings->client, 0);
    o->secret = curl_easy_escape(NULL, settings->secret, 0);
    if (!o->user || !o->secret || client_make(o, trust, host, api, why, why_size, broken) != 0) {
        oauth_close(&o);
        return -1;
    }
    *out = o;
    return 0;
}

void oauth_close(struct oauth **o)
{
    if (!*o)
        return;
    http_client_free(&(*o)->client);
    http_answer_fini(&(*o)->answer);
    strbuf_fini(&(*o)->body);
    strbuf_fini(&(*o)->line);
    curl_free((*o)->user);
    curl_free((*o)->secret);
    free(*o);
    *o = NULL;
}

const struct http_bearer *oauth_bearer(const struct oauth *o)
{
    return o ? &o->bearer : NULL;
}
