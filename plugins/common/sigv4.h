/* Signatures of AWS, version 4, for requests whose body is at hand. Needs -lcrypto.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
#ifndef COMMON_SIGV4_H
#define COMMON_SIGV4_H

#include <stddef.h>
#include <time.h>

/* Texts live as long as they are used. */
struct sigv4_keys {
    const char *service, *region, *access_key, *secret_key;
    const char *session_token; /* or NULL */
};

struct sigv4_request {
    const char *method, *host; /* as in the field Host */
    const char *path;          /* encoded as it is sent */
    const char *query;         /* encoded, names in order, each with its '='; or "" */
    const void *body;
    size_t len;
    time_t now;
};

enum { SIGV4_LINES = 4, SIGV4_LINE_SIZE = 4096 };

struct sigv4_lines {
    char text[SIGV4_LINES][SIGV4_LINE_SIZE];
    size_t count;
};

/* The fields that sign the request. 0, or -1: no memory, or a text that is too long. */
int sigv4_sign(const struct sigv4_keys *keys, const struct sigv4_request *request, struct sigv4_lines *out);

#endif
