/* What every handle of libcurl here has: trust, limits of time, an ear for a stop. `http_client` and `transfer` are
 * made of it. One thread. */
#ifndef COMMON_CURLHANDLE_H
#define COMMON_CURLHANDLE_H

#include "headgate.h"

#include <curl/curl.h>

struct curlhandle {
    CURL *curl;
    const struct hg_api *api;
    struct hg_host *host;
    int64_t request_ms;          /* the longest that one request may take */
    int64_t stop_seen;           /* clock when a stop was first seen during this request; 0: not yet */
    char error[CURL_ERROR_SIZE]; /* libcurl's own words; "" when it has none */
};

/* Borrowed until the handle is freed. */
struct curlhandle_settings {
    const char *protocols, *proxy; /* proxy NULL: none, nor the environment's */
    const char *ca, *cert, *key, *user, *password;
    int verify;
    int64_t connect_ms, request_ms;
};

/* Once a process, before any handle. 0, or -1. */
int curlhandle_global_start(void);
void curlhandle_global_stop(void);

/* A control character in a setting could forge what goes to the far end. NULL has none. */
int curlhandle_has_control(const char *text);

/* 0, or -1: libcurl refuses a setting, or there is no memory; curlhandle_close() in either case. It may not move
 * after. */
int curlhandle_open(struct curlhandle *h, const struct curlhandle_settings *settings, struct hg_host *host,
                    const struct hg_api *api);
void curlhandle_close(struct curlhandle *h);

/* How long a request that begins now may take, by the settings and the push; 0 or less: no time is left. */
int64_t curlhandle_ms(const struct curlhandle *h);
CURLcode curlhandle_perform(struct curlhandle *h);
/* What its failure comes to. */
const char *curlhandle_said(const struct curlhandle *h, CURLcode code);

#endif
