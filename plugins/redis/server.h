/* A Redis server: connected to when needed, one command at a time. The protocol is hiredis's; the bytes go through
 * common/peer, because Debian 12's hiredis has neither TLS nor a way to be interrupted. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include "common/peer.h"

#include <hiredis/hiredis.h>

struct server_settings {
    struct peer_settings peer;
    const char *user, *password; /* or NULL */
    int64_t database;
    int64_t connect_ms, request_ms;
};

enum { SERVER_ERROR_SIZE = 512 };

struct server {
    const struct hg_api *api;
    struct hg_host *host;
    struct server_settings settings;
    struct peer *peer; /* NULL: not connected */
    redisReader *reader;
    char error[SERVER_ERROR_SIZE]; /* of the last call that failed: the server's own words, where it had any */
    int broken;                    /* 1: only another setting can help */
};

void server_init(struct server *s, const struct server_settings *settings, struct hg_host *host,
                 const struct hg_api *api);
void server_drop(struct server *s); /* closes; the next command connects anew */

/* Connects, logs in, chooses the database, unless that was done. 0, or -1. */
int server_connect(struct server *s);

/* The answer (for freeReplyObject), which may be an error of the server's. NULL: none came, see `error`, and whether
 * the command was carried out is unknown; the connection is closed. */
redisReply *server_ask(struct server *s, int count, const char **args, const size_t *lens);

#endif
