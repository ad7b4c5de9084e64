/* One connection to an MQTT broker and the messages that it has not acknowledged yet. One thread: everything happens
 * within these calls, no thread of libmosquitto's runs. */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H

#include "headgate.h"

#include <mosquitto.h>
#include <stddef.h>
#include <stdint.h>

enum { SESSION_ERROR_SIZE = 512 };

/* Texts live as long as the session; may be NULL but for the host. */
struct session_settings {
    const char *host, *client_id, *user, *password;
    int64_t port;
    int version5;
    int tls, verify;
    const char *ca, *cert, *key;
    int64_t connect_ms, request_ms;
};

/* About the message `id`: 0, or why the broker did not take it (an MQTT 5 reason code of 128 or more). */
typedef void session_acked(void *arg, int id, int reason);

struct session {
    const struct hg_api *api;
    struct hg_host *host;
    struct session_settings settings;
    struct mosquitto *mosquitto; /* NULL: not connected */
    int accepted;                /* the broker took the connection */
    session_acked *acked;
    void *arg;
    int64_t stop_seen;
    char error[SESSION_ERROR_SIZE];
};

void session_init(struct session *s, const struct session_settings *settings, struct hg_host *host,
                  const struct hg_api *api);
void session_drop(struct session *s); /* what was not acknowledged is forgotten; the next session_ready() connects */

/* Whether the settings can be used at all: 0, or -1 with session.error. Does not connect. */
int session_check(struct session *s);

/* Connects unless it is. 0, or -1 with session.error. */
int session_ready(struct session *s);

/* Sends and receives until `*open` is 0; `acked` is called for each message. -1 with session.error: the rest is not
 * acknowledged, and the connection is gone. */
int session_wait(struct session *s, const size_t *open);

/* Drops the connection with a sentence about `rc` of libmosquitto's; -1. */
int session_failed(struct session *s, const char *what, int rc);

#endif
