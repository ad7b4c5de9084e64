/* Uploads by libcurl over protocols other than HTTP (files to a server, mails): one handle that keeps its connection,
 * bounded by the push's time, ended by a stop after a short while, with nothing taken from the surroundings. One
 * thread. Needs -lcurl. */
#ifndef COMMON_TRANSFER_H
#define COMMON_TRANSFER_H

#include "headgate.h"

#include <curl/curl.h>

/* Texts may be NULL, and must live as long as the transfer. */
struct transfer_settings {
    const char *protocols;       /* "ftp,ftps": the only ones that are spoken */
    const char *user, *password; /* without control characters: checked */
    const char *ca, *cert, *key; /* files in PEM */
    int verify;                  /* 0: takes any certificate */
    int starttls;                /* 1: a plain connection has to become TLS before anything else is said */
    int64_t connect_ms, request_ms;
};

struct transfer; /* after curlhandle_global_start() */

/* NULL with a sentence in `why`; `*broken` is 1 when only another setting can help. */
struct transfer *transfer_new(const struct transfer_settings *settings, struct hg_host *host, const struct hg_api *api,
                              char *why, size_t why_size, int *broken);
void transfer_free(struct transfer **t);

CURL *transfer_curl(struct transfer *t); /* for options of one protocol */

/* Uploads the bytes to the address and waits for the last answer. */
CURLcode transfer_send(struct transfer *t, const char *url, const void *body, size_t len);

/* Says one command there instead, as NOOP. */
CURLcode transfer_ask(struct transfer *t, const char *url, const char *command);

/* Of the last one that failed: libcurl's words, and the server's last line if that was a refusal. One line. */
const char *transfer_reason(const struct transfer *t);

/* The code of the server's last line, 0: there was none. */
long transfer_code(const struct transfer *t);

#endif
