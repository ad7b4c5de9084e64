/* What a server answers comes by lines, which libcurl hands out as if they were header fields; the last one is kept,
 * for libcurl's own sentence has the code at the most. */
#include "common/transfer.h"

#include "common/curlhandle.h"
#include "common/reason.h"
#include "common/tlsfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 512, REASON_SIZE = 900 };

struct transfer {
    struct curlhandle handle;
    struct transfer_settings settings;
    const char *body; /* what is still to be sent */
    size_t left;
    char line[LINE_SIZE];
    char reason[REASON_SIZE];
};

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

/* --- the handle --- */

/* All options take: an unknown one is a libcurl that cannot be trusted with the rest. */
#define SET(t, option, value)                                                                                          \
    do {                                                                                                               \
        if (curl_easy_setopt((t)->handle.curl, option, value) != CURLE_OK)                                             \
            return -1;                                                                                                 \
    } while (0)

static int handle_open(struct transfer *t, struct hg_host *host, const struct hg_api *api)
{
    const struct transfer_settings *s = &t->settings;
    const struct curlhandle_settings settings = {.protocols = s->protocols,
                                                 .ca = s->ca,
                                                 .cert = s->cert,
                                                 .key = s->key,
                                                 .user = s->user,
                                                 .password = s->password,
                                                 .verify = s->verify,
                                                 .connect_ms = s->connect_ms,
                                                 .request_ms = s->request_ms};
    if (curlhandle_open(&t->handle, &settings, host, api) != 0)
        return -1;
    SET(t, CURLOPT_USE_SSL, (long)(s->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    SET(t, CURLOPT_UPLOAD, 1L);
    SET(t, CURLOPT_READFUNCTION, on_read);
    SET(t, CURLOPT_READDATA, t);
    SET(t, CURLOPT_WRITEFUNCTION, on_body);
    SET(t, CURLOPT_HEADERFUNCTION, on_line);
    SET(t, CURLOPT_HEADERDATA, t);
    return 0;
}

static int settings_check(const struct transfer_settings *s, char *why, size_t size)
{
    if (curlhandle_has_control(s->user) || curlhandle_has_control(s->password))
        snprintf(why, size, "USER and PASSWORD must not hold control characters");
    else if (s->password && !s->user)
        snprintf(why, size, "PASSWORD needs USER");
    else if (s->cert && !s->key)
        snprintf(why, size, "CERT needs KEY");
    else
        return 0;
    return -1;
}

struct transfer *transfer_new(const struct transfer_settings *settings, struct hg_host *host, const struct hg_api *api,
                              char *why, size_t why_size, int *broken)
{
    *broken = settings_check(settings, why, why_size) != 0;
    if (*broken || tlsfiles_check(settings->ca, settings->cert, settings->key, why, why_size) != 0)
        return NULL;
    struct transfer *t = calloc(1, sizeof(*t));
    if (t)
        t->settings = *settings;
    if (!t || handle_open(t, host, api) != 0) {
        snprintf(why, why_size, "libcurl refuses the settings, or there is no memory");
        transfer_free(&t);
    }
    return t;
}

void transfer_free(struct transfer **t)
{
    if (!*t)
        return;
    curlhandle_close(&(*t)->handle);
    free(*t);
    *t = NULL;
}

CURL *transfer_curl(struct transfer *t)
{
    return t->handle.curl;
}

/* --- one upload --- */

static void reason_fill(struct transfer *t, CURLcode code)
{
    char text[CURL_ERROR_SIZE + LINE_SIZE + 8];
    int refused = t->line[0] == '4' || t->line[0] == '5';
    snprintf(text, sizeof(text), "%s%s%s", curlhandle_said(&t->handle, code), refused ? ": " : "",
             refused ? t->line : "");
    reason_line(t->reason, sizeof(t->reason), text);
}

CURLcode transfer_send(struct transfer *t, const char *url, const void *body, size_t len)
{
    int64_t ms = curlhandle_ms(&t->handle);
    CURLcode code = CURLE_OPERATION_TIMEDOUT;
    t->handle.error[0] = t->line[0] = t->reason[0] = '\0';
    t->body = body;
    t->left = len;
    if (ms > 0 && (code = curl_easy_setopt(t->handle.curl, CURLOPT_URL, url)) == CURLE_OK &&
        (code = curl_easy_setopt(t->handle.curl, CURLOPT_TIMEOUT_MS, (long)ms)) == CURLE_OK &&
        (code = curl_easy_setopt(t->handle.curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len)) == CURLE_OK)
        code = curlhandle_perform(&t->handle);
    if (code != CURLE_OK)
        reason_fill(t, code);
    return code;
}

CURLcode transfer_ask(struct transfer *t, const char *url, const char *command)
{
    if (curl_easy_setopt(t->handle.curl, CURLOPT_CUSTOMREQUEST, command) != CURLE_OK ||
        curl_easy_setopt(t->handle.curl, CURLOPT_UPLOAD, 0L) != CURLE_OK ||
        curl_easy_setopt(t->handle.curl, CURLOPT_NOBODY, 1L) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = transfer_send(t, url, NULL, 0);
    curl_easy_setopt(t->handle.curl, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(t->handle.curl, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(t->handle.curl, CURLOPT_UPLOAD, 1L);
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
