/* One HTTP request after another to one daemon, with libcurl: TCP or a unix socket, no proxy, no redirect, answers
 * bounded. Keeps its connection. Used by one thread. */
#ifndef HG_CLI_CALL_H
#define HG_CLI_CALL_H

#include "base/buf.h"
#include "cli/target.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct call_request;

struct call {
    CURL *curl;
    struct target target;
    const char *why;                    /* of everything but GET, for the audit log; borrowed; NULL: not said */
    char *authorization;                /* a whole header line, or NULL */
    const char *ca, *cert, *cert_key;   /* files, borrowed; NULL: the system's authorities, no certificate of our own */
    const struct call_request *request; /* while it is under way */
    /* of the last answer: */
    long status;
    struct buf body;
    int64_t retry_after_ms; /* 0: not said */
    bool replayed;          /* Idempotency-Replayed: true */
    bool unaudited;         /* Headgate-Audit: not-written */
    char fault[CURL_ERROR_SIZE];
};

struct call_request {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *path;   /* with its query, encoded */
    const char *type;   /* of the body; NULL: application/json */
    const char *key;    /* Idempotency-Key, or NULL */
    struct slice body;  /* ptr NULL: none */
    int64_t timeout_ms; /* of the whole exchange; 0: only while bytes move */
    /* The body of a 200 goes here bit by bit, however long it takes, and not into call.body; false: enough, end with
     * ERR_LIMIT. NULL: the whole body is wanted. */
    bool (*part)(void *arg, struct slice bytes);
    void *part_arg;
};

/* `token` NULL: none. `ca` NULL: HEADGATE_CA, else the system's; a certificate of our own is named by HEADGATE_CERT and
 * HEADGATE_CERT_KEY. ERR_SYNTAX: the token has characters that no header can carry. */
int call_open(struct call *c, const struct target *target, const char *token, const char *ca, struct err *e) MUST_CHECK;
void call_close(struct call *c);
/* 0 with status and body, whatever the status; ERR_UNREACHABLE (no connection), ERR_TIMEOUT, ERR_CLOSED (broke off;
 * unknown whether it was taken), ERR_LIMIT (the answer is too large), ERR_NOMEM. */
int call_send(struct call *c, const struct call_request *request, struct err *e) MUST_CHECK;

/* HEADGATE_TOKEN or the content of HEADGATE_TOKEN_FILE (one newline at the end is cut); NULL in `*out` when neither is
 * set. The caller frees. ERR_CONFIG: both set, or the file cannot be read. */
int call_token(char **out, struct err *e) MUST_CHECK;

/* `text` percent-encoded onto `path`. */
int call_encode(struct buf *path, const char *text) MUST_CHECK;
/* "?name=value" or "&name=value", encoded; nothing when `value` is NULL. */
int call_query(struct buf *path, const char *name, const char *value) MUST_CHECK;

#endif
