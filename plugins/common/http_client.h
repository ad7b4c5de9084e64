/* A client for one HTTP address: libcurl with everything off that could send rows or secrets somewhere else. No
 * redirects, no proxy from the environment, no .netrc, http and https only. One thread; the connection is kept between
 * requests. */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include "common/strbuf.h"
#include "headgate.h"

/* Where the field Authorization of each request comes from when it changes with time: see oauth. */
struct http_bearer {
    /* The whole line for the next request, which holds until the next call. NULL with a sentence: there is none now. */
    const char *(*line)(void *arg, char *why, size_t why_size);
    /* The last one was, by a 401. 1: another may help, and the request is sent again; 0 when it was drawn for that
     * request. */
    int (*refused)(void *arg);
    void *arg;
};

/* Texts may be NULL, and must live as long as the client. */
struct http_settings {
    const char *url;
    const char *ca, *cert, *key; /* files in PEM */
    int verify;                  /* 0: takes any certificate */
    const char *proxy;
    const char *user, *password; /* basic */
    const char *token;           /* bearer */
    const struct http_bearer *bearer;
    const struct hg_map *fields; /* of each request; one of the same name in a request gives way */
    int64_t connect_ms, request_ms;
};

struct http_request {
    const char *method;
    const void *body;
    size_t len;
    const char *const *fields; /* whole lines, "Name: value" */
    size_t field_count;
    const char *url; /* NULL: that of the settings. On the same server: the password goes along */
};

struct http_answer {
    long status;
    struct strbuf body;
    int overlong;        /* 1: the rest of the body was left out */
    int64_t retry_after; /* milliseconds; 0: not said */
    char etag[128];      /* with its quotes; "" when there is none, or a longer one */
    char error[256];     /* why there is no answer */
};

struct http_client;

/* NULL with a sentence in `why`; `*broken` is 1 when only another setting can help. */
struct http_client *http_client_new(const struct http_settings *settings, struct hg_host *host,
                                    const struct hg_api *api, char *why, size_t why_size, int *broken);
void http_client_free(struct http_client **c);

void http_answer_init(struct http_answer *a, size_t body_max);
void http_answer_fini(struct http_answer *a);

/* One line for a person: status, its name, and the first bytes of the body without control characters. */
void http_answer_reason(const struct http_answer *answer, char *out, size_t size);

/* Sends and waits, no longer than the settings and api->time_left() allow; a stop leaves it a short while. 0: a whole
 * answer came. -1: none did, see error; whether the far end took the request is unknown. */
int http_client_send(struct http_client *c, const struct http_request *request, struct http_answer *answer);

#endif
