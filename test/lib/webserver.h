/* A small real web server on loopback, in a thread: one connection at a time, kept alive. Each request is remembered
 * and answered by a function of the test; it can also be answered badly. */
#ifndef TEST_WEBSERVER_H
#define TEST_WEBSERVER_H

#include <stddef.h>

struct web_request {
    char *head; /* request line and fields, with a NUL */
    char *body; /* with a NUL */
    size_t len;
};

enum web_how {
    WEB_ANSWER, /* as it should be */
    WEB_CUT,    /* says a longer body than it sends, then closes */
    WEB_CHUNK_CUT,
    WEB_CLOSE, /* closes without an answer */
    WEB_HANG   /* says nothing until the client goes away */
};

struct web_reply {
    enum web_how how;
    int status;
    char fields[1024]; /* whole lines, each with \r\n */
    char body[16384];
    size_t filler; /* this many spaces are sent behind the body */
};

/* Fills the reply, which begins as 200 without a body. From the server's thread. */
typedef void (*web_respond)(void *arg, const struct web_request *request, struct web_reply *reply);

struct web;

/* `tls_folder`: NULL, or where it puts cert.pem and key.pem that it makes for 127.0.0.1 and speaks TLS with;
 * `ask_client`: it then takes only clients with that same certificate. */
struct web *web_start(web_respond respond, void *arg, const char *tls_folder, int ask_client);
void web_stop(struct web **web);

const char *web_url(const struct web *web); /* ends with "/rows" */

/* Requests so far; once there are no connections any more, or between pushes, they can be looked at. */
size_t web_count(struct web *web);
const struct web_request *web_request(struct web *web, size_t n);
void web_forget(struct web *web);

/* Value of a field of the head, "" when it isn't there; holds until the fourth call after it. */
const char *web_field(const struct web_request *request, const char *name);

/* A port on loopback where nobody listens. */
int web_dead_port(void);

#endif
