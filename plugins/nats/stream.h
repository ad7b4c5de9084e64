/* One connection to a NATS server, and the acknowledgements that JetStream sends back over it. The library reads in a
 * thread of its own; every call here is made by the worker. */
#ifndef NATS_STREAM_H
#define NATS_STREAM_H

#include "headgate.h"

#include <nats/nats.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_ERROR_SIZE = 512 };
#define STREAM_NOBODY SIZE_MAX

/* Texts live as long as the connection; may be NULL but for the host. */
struct stream_settings {
    const char *host, *user, *password, *token, *credentials, *expected;
    int64_t port;
    int tls, verify;
    const char *ca, *cert, *key;
    int64_t connect_ms, request_ms;
};

struct stream {
    const struct hg_api *api;
    struct hg_host *host;
    struct stream_settings settings;
    natsConnection *connection; /* NULL: not connected */
    natsSubscription *answers;
    natsInbox *inbox;
    int broken; /* the last failure is one of the settings */
    int64_t deadline, stop_seen;
    char error[STREAM_ERROR_SIZE];
};

void stream_init(struct stream *s, const struct stream_settings *settings, struct hg_host *host,
                 const struct hg_api *api);
void stream_drop(struct stream *s); /* the next stream_ready() connects */

/* Connects unless it is. 0, or -1 with stream.error. */
int stream_ready(struct stream *s);

/* One message, whose answer will carry `number`. NATS_MAX_PAYLOAD: larger than the server takes, nothing was sent. */
natsStatus stream_send(struct stream *s, const char *subject, struct hg_text data, const char *id, size_t number);

/* From now on, as long as a request may take. */
void stream_begin(struct stream *s);

/* The next answer, which the caller destroys, and the number it is about; NULL and STREAM_NOBODY: nobody takes the
 * subject of one of the messages (the library does not say of which). -1 with stream.error: there will be none, and
 * the connection is gone. */
int stream_answer(struct stream *s, natsMsg **out, size_t *number);

/* Drops the connection with a sentence; -1. */
int stream_failed(struct stream *s, const char *what, natsStatus status);

#endif
