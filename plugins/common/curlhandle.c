/* Nothing is taken from the surroundings: no proxy, no .netrc, no signal handler. */
#include "common/curlhandle.h"

#include <time.h>

enum { STOP_GRACE_MS = 2000, MARGIN_MS = 100 };

int curlhandle_global_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

void curlhandle_global_stop(void)
{
    curl_global_cleanup();
}

int curlhandle_has_control(const char *text)
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

/* Non-zero ends the transfer. A stop leaves what was begun a short while: its answer saves a repeat. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    struct curlhandle *h = arg;
    (void)a, (void)b, (void)d, (void)e;
    if (!h->api->stopping(h->host))
        return 0;
    if (h->stop_seen == 0)
        h->stop_seen = clock_ms();
    return clock_ms() - h->stop_seen >= STOP_GRACE_MS;
}

/* All options take: an unknown one is a libcurl that cannot be trusted with the rest. */
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        if (curl_easy_setopt(h->curl, option, value) != CURLE_OK)                                                      \
            return -1;                                                                                                 \
    } while (0)

static int route_set(struct curlhandle *h, const struct curlhandle_settings *s)
{
    SET(CURLOPT_PROTOCOLS_STR, s->protocols);
    SET(CURLOPT_PROXY, s->proxy ? s->proxy : ""); /* "" also turns the environment's off */
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, h);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_ERRORBUFFER, h->error);
    return 0;
}

static int trust_set(struct curlhandle *h, const struct curlhandle_settings *s)
{
    SET(CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (s->ca)
        SET(CURLOPT_CAINFO, s->ca);
    if (s->cert) {
        SET(CURLOPT_SSLCERT, s->cert);
        SET(CURLOPT_SSLKEY, s->key);
    }
    if (s->user) {
        SET(CURLOPT_USERNAME, s->user);
        SET(CURLOPT_PASSWORD, s->password ? s->password : "");
    }
    return 0;
}

int curlhandle_open(struct curlhandle *h, const struct curlhandle_settings *settings, struct hg_host *host,
                    const struct hg_api *api)
{
    *h = (struct curlhandle){.curl = curl_easy_init(), .api = api, .host = host, .request_ms = settings->request_ms};
    return h->curl && route_set(h, settings) == 0 && trust_set(h, settings) == 0 ? 0 : -1;
}

void curlhandle_close(struct curlhandle *h)
{
    curl_easy_cleanup(h->curl);
    h->curl = NULL;
}

int64_t curlhandle_ms(const struct curlhandle *h)
{
    int64_t left = h->api->time_left(h->host) - MARGIN_MS;
    return left < h->request_ms ? left : h->request_ms;
}

CURLcode curlhandle_perform(struct curlhandle *h)
{
    h->error[0] = '\0';
    h->stop_seen = 0;
    return curl_easy_perform(h->curl);
}

const char *curlhandle_said(const struct curlhandle *h, CURLcode code)
{
    return code == CURLE_ABORTED_BY_CALLBACK ? "stopping" : h->error[0] ? h->error : curl_easy_strerror(code);
}
