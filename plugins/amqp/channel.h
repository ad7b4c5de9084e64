/* One connection to an AMQP 0-9-1 broker with one channel in confirm mode. One thread: everything happens within these
 * calls. */
#ifndef AMQP_CHANNEL_H
#define AMQP_CHANNEL_H

#include "headgate.h"

#include <amqp.h>
#include <stddef.h>
#include <stdint.h>

enum { CHANNEL_ERROR_SIZE = 512, CHANNEL_TOO_LARGE = 406 };

/* Texts live as long as the channel; only the certificates may be NULL. */
struct channel_settings {
    const char *host, *vhost, *user, *password;
    int64_t port;
    int tls, verify;
    const char *ca, *cert, *key;
    int64_t connect_ms, request_ms;
};

/* What the broker says of messages, which are numbered from 1 on: it took (or did not take) this one, or all up to this
 * one; it has no queue for the one with this message-id, which it will say that it took next. */
typedef void channel_confirmed(void *arg, uint64_t number, int multiple, int taken);
typedef void channel_returned(void *arg, struct hg_text id, const char *why);

struct channel {
    const struct hg_api *api;
    struct hg_host *host;
    struct channel_settings settings;
    amqp_connection_state_t connection; /* NULL: not connected */
    channel_confirmed *confirmed;
    channel_returned *returned;
    void *arg;
    uint64_t last;  /* number of the last message that was sent */
    int blocked;    /* the broker takes nothing for now (connection.blocked); `error` says why */
    int close_code; /* what it closed the channel with, 0: it did not; CHANNEL_TOO_LARGE: for a message's size */
    int64_t stop_seen;
    char return_why[CHANNEL_ERROR_SIZE];
    char error[CHANNEL_ERROR_SIZE];
};

void channel_init(struct channel *c, const struct channel_settings *settings, struct hg_host *host,
                  const struct hg_api *api);
void channel_drop(struct channel *c); /* what was not confirmed is forgotten; the next channel_ready() connects */

/* Connects unless it is. 0, or -1 with channel.error: not connected, or blocked. */
int channel_ready(struct channel *c);

/* 0, or -1 with channel.error, and the connection is gone. */
int channel_publish(struct channel *c, const char *exchange, const char *routing_key,
                    const amqp_basic_properties_t *properties, struct hg_text body);

/* Takes what the broker has said by now. 0, or -1: as channel_wait(). */
int channel_listen(struct channel *c);

/* Takes what it says until `*open` is 0. -1 with channel.error: the connection is gone, or it is blocked. */
int channel_wait(struct channel *c, const size_t *open);

/* Whether there is such an exchange. 0, or -1 with channel.error. */
int channel_has_exchange(struct channel *c, const char *exchange);

#endif
