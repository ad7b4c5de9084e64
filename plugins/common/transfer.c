/* What a server answers comes by lines, which libcurl hands out as if they were header fields; the last one is kept,
 * for libcurl's own sentence has the code at the most. */
#include "common/transfer.h"

#include "common/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 2000, MARGIN_MS = 100, LINE_SIZE = 512, REASON_SIZE = 900 };

struct transfer {
    CURL *curl;
    const struct hg_api *api;
    struct hg_host *host;
    struct transfer_settings settings;
    const char *body; /* what is still to be sent */
    size_t left;
    int64_t stop_seen; /* clock when a stop was first seen during this transfer; 0: not yet */
    char line[LINE_SIZE];
    char error[CURL_ERROR_SIZE];
    char reason[REASON_SIZE];
};

int transfer_global_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

void transfer_global_stop(void)
{
    curl_global_cleanup();
}

int transfer_has_control(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return 1;
    return 0;
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- calls from libcurl --- */

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count < t->left ? size * count : t->left;
    memcpy(to, t->body, len);
    t->body += len;
    t->left -= len;
    return len;
}

static size_t on_line(char *ptr, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    if (size * count >= 3 && memcmp(ptr, "221", 3) == 0)
        return size * count; /* a goodbye is not the answer */
    snprintf(t->line, sizeof(t->line), "%.*s", (int)(size * count), ptr);
    return size * count;
}

static size_t on_body(char *ptr, size_t size, size_t count, void *arg)
{
    (void)ptr, (void)arg;
    return size * count;
}

/* Non-zero ends the transfer. A stop leaves what was begun a short while: its answer saves a repeat. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    struct transfer *t = arg;
    (void)a, (void)b, (void)d, (void)e;
    if (!t->api->stopping(t->host))
        return 0;
    if (t->stop_seen == 0)
        t->stop_seen = clock_ms();
    return clock_ms() - t->stop_seen >= STOP_GRACE_MS;
}

/* --- the handle --- */

/* All options take: an unknown one is a libcurl that cannot be trusted with the rest. */
#define SET(t, option, value)                                                                                          \
    do {                                                                                                               \
        if (curl_easy_setopt((t)->curl, option, value) != CURLE_OK)                                                    \
            return -1;                                                                                                 \
    } while (0)

static int handle_route(struct transfer *t)
{
    SET(t, CURLOPT_PROTOCOLS_STR, t->settings.protocols);
    SET(t, CURLOPT_PROXY, ""); /* also turns the environment's off */
    SET(t, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)t->settings.connect_ms);
    SET(t, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(t, CURLOPT_NOSIGNAL, 1L);
    SET(t, CURLOPT_UPLOAD, 1L);
    return 0;
}

static int handle_trust(struct transfer *t)
{
    const struct transfer_settings *s = &t->settings;
    SET(t, CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
    SET(t, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
    SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(t, CURLOPT_USE_SSL, (long)(s->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    if (s->ca)
        SET(t, CURLOPT_CAINFO, s->ca);
    if (s->cert) {
        SET(t, CURLOPT_SSLCERT, s->cert);
        SET(t, CURLOPT_SSLKEY, s->key);
    }
    if (s->user) {
        SET(t, CURLOPT_USERNAME, s->user);
        SET(t, CURLOPT_PASSWORD, s->password ? s->password : "");
    }
    return 0;
}

static int handle_calls(struct transfer *t)
{
    SET(t, CURLOPT_READFUNCTION, on_read);
    SET(t, CURLOPT_READDATA, t);
    SET(t, CURLOPT_WRITEFUNCTION, on_body);
    SET(t, CURLOPT_HEADERFUNCTION, on_line);
    SET(t, CURLOPT_HEADERDATA, t);
    SET(t, CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(t, CURLOPT_XFERINFODATA, t);
    SET(t, CURLOPT_NOPROGRESS, 0L);
    SET(t, CURLOPT_ERRORBUFFER, t->error);
    return 0;
}

static int settings_check(const struct transfer_settings *s, char *why, size_t size)
{
    if (transfer_has_control(s->user) || transfer_has_control(s->password))
        snprintf(why, size, "USER and PASSWORD must not hold control characters");
    else if (s->password && !s->user)
        snprintf(why, size, "PASSWORD needs USER");
    else if (s->cert && !s->key)
        snprintf(why, size, "CERT needs KEY");
    else
        return 0;
    return -1;
}

static int files_check(const struct transfer_settings *s, char *why, size_t size)
{
    const char *const files[] = {s->ca, s->cert, s->key};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!files[i] || access(files[i], R_OK) == 0)
            continue;
        snprintf(why, size, "%.300s cannot be read: %s", files[i], strerror(errno));
        return -1;
    }
    return 0;
}

struct transfer *transfer_new(const struct transfer_settings *settings, struct hg_host *host, const struct hg_api *api,
                              char *why, size_t why_size, int *broken)
{
    *broken = settings_check(settings, why, why_size) != 0;
    if (*broken || files_check(settings, why, why_size) != 0)
        return NULL;
    struct transfer *t = calloc(1, sizeof(*t));
    if (t) {
        *t = (struct transfer){.curl = curl_easy_init(), .api = api, .host = host, .settings = *settings};
    }
    if (!t || !t->curl || handle_route(t) != 0 || handle_trust(t) != 0 || handle_calls(t) != 0) {
        snprintf(why, why_size, "libcurl refuses the settings, or there is no memory");
        transfer_free(&t);
    }
    return t;
}

void transfer_free(struct transfer **t)
{
    if (!*t)
        return;
    curl_easy_cleanup((*t)->curl);
    free(*t);
    *t = NULL;
}

CURL *transfer_curl(struct transfer *t)
{
    return t->curl;
}

/* --- one upload --- */

static void reason_fill(struct transfer *t, CURLcode code)
{
    char text[CURL_ERROR_SIZE + LINE_SIZE + 8];
    const char *said = code == CURLE_ABORTED_BY_CALLBACK ? "stopping"
                       : t->error[0]                     ? t->error
                                                         : curl_easy_strerror(code);
    int refused = t->line[0] == '4' || t->line[0] == '5';
    snprintf(text, sizeof(text), "%s%s%s", said, refused ? ": " : "", refused ? t->line : "");
    reason_line(t->reason, sizeof(t->reason), text);
}

CURLcode transfer_send(struct transfer *t, const char *url, const void *body, size_t len)
{
    int64_t left = t->api->time_left(t->host) - MARGIN_MS;
    int64_t ms = left < t->settings.request_ms ? left : t->settings.request_ms;
    CURLcode code = CURLE_OPERATION_TIMEDOUT;
    t->error[0] = t->line[0] = t->reason[0] = '\0';
    t->stop_seen = 0;
    t->body = body;
    t->left = len;
    if (ms > 0 && (code = curl_easy_setopt(t->curl, CURLOPT_URL, url)) == CURLE_OK &&
        (code = curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, (long)ms)) == CURLE_OK &&
        (code = curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len)) == CURLE_OK)
        code = curl_easy_perform(t->curl);
    if (code != CURLE_OK)
        reason_fill(t, code);
    return code;
}

CURLcode transfer_ask(struct transfer *t, const char *url, const char *command)
{
    if (curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, command) != CURLE_OK ||
        curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 0L) != CURLE_OK ||
        curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = transfer_send(t, url, NULL, 0);
    curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(t->curl, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
    return code;
}

const char *transfer_reason(const struct transfer *t)
{
    return t->reason;
}

long transfer_code(const struct transfer *t)
{
    return strtol(t->line, NULL, 10);
}
