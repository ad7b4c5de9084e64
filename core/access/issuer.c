/* Fetching an issuer's keys.
 *
 * One thread sleeps until the keys are old, or a token came whose key is not known (the issuer has a new one), or it is
 * to end. Loops never wait for it: they judge by the keys that are there, under a lock for many readers. What is
 * fetched replaces the set as a whole; when fetching fails the set that is there stays, for as long as the issuer is
 * away: its tokens run out by themselves. Strangers can make it fetch, but only by naming this issuer, and only every
 * few seconds.
 *
 * Nothing is kept across a restart: until the first fetch tokens are answered with 503. */
#include "access/issuer.h"

#include "base/buf.h"
#include "base/sys.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS = 5000,
    TRANSFER_MS = 10000,
    ASKED_LEAST_MS = 5000, /* between fetches because of an unknown key */
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60000,
    URL_MAX = 2048,
};

struct issuer {
    struct jwt_rules rules;
    char *texts[8]; /* what the rules and the two below point to */
    size_t text_count;
    const char *jwks_url, *ca;
    int64_t refresh_ms;
    pthread_t thread;
    bool running;

    pthread_rwlock_t keys_lock;
    struct jwks *keys;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    bool stop, asked, fetching;
    int64_t fetched_ms; /* when the last fetch began */
    bool news;          /* not looked at yet: keys, or a failure */
    int news_code;
    struct err news_text;
};

/* --- fetching; the thread --- */

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    return buf_add(arg, bytes, size * count) == ERR_OK ? size * count : 0;
}

static int watch(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct issuer *i = arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    pthread_mutex_lock(&i->lock);
    bool stop = i->stop;
    pthread_mutex_unlock(&i->lock);
    return stop;
}

static void prepare(CURL *curl, const struct issuer *i, const char *url, struct buf *out, char fault[CURL_ERROR_SIZE])
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, strncmp(url, "https:", 6) == 0 ? "https" : "http");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "headgate/" HG_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TRANSFER_MS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, i);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fault);
    if (i->ca != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, i->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

static int fetch(const struct issuer *i, const char *url, struct buf *out, struct err *e)
{
    char fault[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    prepare(curl, i, url, out, fault);
    CURLcode got = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (got == CURLE_OK)
        return ERR_OK;
    return err_set(e, ERR_UNREACHABLE, "%s: %s", url, fault[0] != '\0' ? fault : curl_easy_strerror(got));
}

/* The discovery document must be the issuer's own (OpenID Connect Discovery 1.0, section 4.3), and an address that is
 * less safe than the issuer's is not taken. */
static int discovered(const struct issuer *i, struct slice text, char url[URL_MAX], struct err *e)
{
    json_t *root = json_loadb(text.ptr == NULL ? "" : text.ptr, text.len, 0, NULL);
    const char *issuer = json_string_value(json_object_get(root, "issuer"));
    const char *uri = json_string_value(json_object_get(root, "jwks_uri"));
    bool safe = strncmp(i->rules.issuer, "https:", 6) == 0;
    int code = ERR_OK;
    if (issuer == NULL || strcmp(issuer, i->rules.issuer) != 0)
        code = err_set(e, ERR_SYNTAX, "its discovery document is of the issuer %s", issuer == NULL ? "(none)" : issuer);
    else if (uri == NULL || strlen(uri) >= URL_MAX || strncmp(uri, safe ? "https://" : "http", safe ? 8 : 4) != 0)
        code = err_set(e, ERR_SYNTAX, "its discovery document has no jwks_uri that can be used");
    else
        memcpy(url, uri, strlen(uri) + 1);
    json_decref(root);
    return code;
}

static int discover(const struct issuer *i, char url[URL_MAX], struct err *e)
{
    char where[URL_MAX];
    struct buf text;
    size_t len = strlen(i->rules.issuer);
    len -= len > 0 && i->rules.issuer[len - 1] == '/';
    if (snprintf(where, sizeof where, "%.*s/.well-known/openid-configuration", (int)len, i->rules.issuer) >= URL_MAX)
        return err_set(e, ERR_LIMIT, "oidc.issuer is too long");
    buf_init(&text, JWKS_BYTES);
    int code = fetch(i, where, &text, e);
    if (code == ERR_OK)
        code = discovered(i, buf_slice(&text), url, e);
    buf_free(&text);
    return code;
}

static int fetch_keys(struct issuer *i, struct err *e)
{
    char url[URL_MAX];
    struct buf text;
    struct jwks *fresh = NULL;
    int code = ERR_OK;
    if (i->jwks_url == NULL)
        code = discover(i, url, e);
    else
        snprintf(url, sizeof url, "%s", i->jwks_url);
    if (code != ERR_OK)
        return code;
    buf_init(&text, JWKS_BYTES);
    code = fetch(i, url, &text, e);
    if (code == ERR_OK)
        code = jwks_parse(buf_slice(&text), i->rules.algorithms, &fresh, e);
    buf_free(&text);
    if (code != ERR_OK)
        return code;
    pthread_rwlock_wrlock(&i->keys_lock);
    struct jwks *old = i->keys;
    i->keys = fresh;
    pthread_rwlock_unlock(&i->keys_lock);
    jwks_free(&old);
    return ERR_OK;
}

/* Until then, or until a reason to fetch before; the lock is held. */
static void sleep_until(struct issuer *i, int64_t due_ms)
{
    while (!i->stop) {
        int64_t until = due_ms, now = clock_ms();
        if (i->asked && i->fetched_ms + ASKED_LEAST_MS < until)
            until = i->fetched_ms + ASKED_LEAST_MS;
        if (now >= until)
            return;
        const struct timespec at = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
        (void)pthread_cond_timedwait(&i->change, &i->lock, &at);
    }
}

static void *run(void *arg)
{
    struct issuer *i = arg;
    int64_t retry_ms = RETRY_MIN_MS;
    pthread_mutex_lock(&i->lock);
    while (!i->stop) {
        struct err e = {0};
        i->fetching = true;
        i->asked = false;
        i->fetched_ms = clock_ms();
        pthread_mutex_unlock(&i->lock);
        int code = fetch_keys(i, &e);
        pthread_mutex_lock(&i->lock);
        i->fetching = false;
        i->news = true;
        i->news_code = code;
        i->news_text = e;
        retry_ms = code == ERR_OK ? RETRY_MIN_MS : retry_ms * 2 < RETRY_MAX_MS ? retry_ms * 2 : RETRY_MAX_MS;
        sleep_until(i, clock_ms() + (code == ERR_OK ? i->refresh_ms : retry_ms));
    }
    pthread_mutex_unlock(&i->lock);
    return NULL;
}

/* --- life --- */

/* A copy that ends with the issuer; NULL stays NULL. */
static const char *keep(struct issuer *i, const char *text, bool *well)
{
    if (text == NULL)
        return NULL;
    char *copy = strdup(text);
    *well = *well && copy != NULL;
    i->texts[i->text_count++] = copy;
    return copy;
}

static bool keep_all(struct issuer *i, const struct issuer_options *o)
{
    bool well = true;
    i->rules = o->rules;
    i->rules.issuer = keep(i, o->rules.issuer, &well);
    i->rules.audience = keep(i, o->rules.audience, &well);
    i->rules.roles_claim = keep(i, o->rules.roles_claim, &well);
    i->rules.roles_prefix = keep(i, o->rules.roles_prefix, &well);
    i->rules.client_claim = keep(i, o->rules.client_claim, &well);
    i->jwks_url = keep(i, o->jwks_url, &well);
    i->ca = keep(i, o->ca, &well);
    i->refresh_ms = o->refresh_ms;
    return well;
}

static bool locks_init(struct issuer *i)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool well = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&i->change, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return well && pthread_mutex_init(&i->lock, NULL) == 0 && pthread_rwlock_init(&i->keys_lock, NULL) == 0;
}

int issuer_open(struct issuer **out, const struct issuer_options *options, struct err *e)
{
    struct issuer *i = calloc(1, sizeof *i);
    if (i == NULL || !locks_init(i)) {
        free(i);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    bool well = keep_all(i, options) && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    i->running = well && pthread_create(&i->thread, NULL, run, i) == 0;
    if (!i->running) {
        issuer_close(&i);
        return err_set(e, ERR_NOMEM, "out of memory, or no more threads");
    }
    *out = i;
    return ERR_OK;
}

void issuer_close(struct issuer **at)
{
    struct issuer *i = *at;
    if (i == NULL)
        return;
    pthread_mutex_lock(&i->lock);
    i->stop = true;
    pthread_cond_signal(&i->change);
    pthread_mutex_unlock(&i->lock);
    if (i->running)
        CHECK(pthread_join(i->thread, NULL) == 0);
    jwks_free(&i->keys);
    while (i->text_count > 0)
        free(i->texts[--i->text_count]);
    pthread_cond_destroy(&i->change);
    pthread_mutex_destroy(&i->lock);
    pthread_rwlock_destroy(&i->keys_lock);
    free(i);
    *at = NULL;
}

/* --- judging --- */

/* Ask for the keys; true while they may be on their way, or have never come. */
static bool ask_for_keys(struct issuer *i, bool none)
{
    pthread_mutex_lock(&i->lock);
    bool due = clock_ms() - i->fetched_ms >= ASKED_LEAST_MS;
    if (!i->asked && !i->fetching) {
        i->asked = true;
        pthread_cond_signal(&i->change);
    }
    bool wait = none || i->fetching || due;
    pthread_mutex_unlock(&i->lock);
    return wait;
}

enum jwt_result issuer_judge(struct issuer *i, struct slice token, int64_t now_s, struct jwt_caller *out, bool *wait)
{
    pthread_rwlock_rdlock(&i->keys_lock);
    bool none = i->keys == NULL;
    enum jwt_result result = jwt_judge(&i->rules, i->keys, token, now_s, out);
    pthread_rwlock_unlock(&i->keys_lock);
    *wait = result == JWT_NO_KEY && ask_for_keys(i, none);
    return result;
}

int issuer_look(struct issuer *i, bool *changed, struct err *e)
{
    pthread_mutex_lock(&i->lock);
    bool news = i->news;
    int code = news ? i->news_code : ERR_OK;
    if (e != NULL && code != ERR_OK)
        *e = i->news_text;
    i->news = false;
    pthread_mutex_unlock(&i->lock);
    *changed = news && code == ERR_OK;
    return code;
}
