/* When a command cannot be sent to its end, what the server said until then is still read: a server that refuses a
 * command for its size says so and closes, while we are sending. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN_MS = 100, PIECE = 64 * 1024, AFTERWORD_MS = 500, NUMBER_SIZE = 24 };

void server_init(struct server *s, const struct server_settings *settings, struct hg_host *host,
                 const struct hg_api *api)
{
    *s = (struct server){.api = api, .host = host, .settings = *settings};
}

void server_drop(struct server *s)
{
    if (s->reader)
        redisReaderFree(s->reader);
    s->reader = NULL;
    peer_close(&s->peer);
}

static int64_t deadline_of(const struct server *s, int64_t most)
{
    int64_t left = s->api->time_left(s->host) - MARGIN_MS;
    return peer_clock() + (left < most ? left : most);
}

static redisReply *no_reply(struct server *s, const char *why)
{
    snprintf(s->error, sizeof(s->error), "%s", why);
    server_drop(s);
    return NULL;
}

static redisReply *reply_read(struct server *s, int64_t deadline)
{
    char piece[PIECE];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(s->reader, &reply) != REDIS_OK)
            return no_reply(s, s->reader->errstr);
        if (reply)
            return reply;
        long got = peer_receive(s->peer, piece, sizeof(piece), deadline);
        if (got < 0)
            return no_reply(s, peer_error(s->peer));
        if (redisReaderFeed(s->reader, piece, (size_t)got) != REDIS_OK)
            return no_reply(s, "no memory for the answer");
    }
}

static redisReply *ask(struct server *s, int count, const char **args, const size_t *lens, int64_t deadline)
{
    char *command = NULL, why[SERVER_ERROR_SIZE];
    int len = redisFormatCommandArgv(&command, count, args, lens);
    if (len < 0)
        return no_reply(s, "no memory for the command");
    int sent = peer_send(s->peer, command, (size_t)len, deadline);
    redisFreeCommand(command);
    if (sent == 0)
        return reply_read(s, deadline);
    snprintf(why, sizeof(why), "%s", peer_error(s->peer));
    redisReply *last = reply_read(s, peer_clock() + AFTERWORD_MS);
    if (last)
        server_drop(s);
    else
        no_reply(s, why);
    return last;
}

/* A command of connecting: its answer must not be an error. */
static int greet(struct server *s, int count, const char **args, int64_t deadline)
{
    redisReply *reply = ask(s, count, args, NULL, deadline);
    int rc = reply && reply->type != REDIS_REPLY_ERROR ? 0 : -1;
    if (reply && rc != 0)
        no_reply(s, reply->str);
    freeReplyObject(reply);
    return rc;
}

static int log_in(struct server *s, int64_t deadline)
{
    const char *user = s->settings.user, *password = s->settings.password;
    const char *both[] = {"AUTH", user, password}, *one[] = {"AUTH", password};
    if (!password)
        return 0;
    return user ? greet(s, 3, both, deadline) : greet(s, 2, one, deadline);
}

static int choose(struct server *s, int64_t deadline)
{
    char number[NUMBER_SIZE];
    const char *args[] = {"SELECT", number};
    snprintf(number, sizeof(number), "%lld", (long long)s->settings.database);
    return s->settings.database == 0 ? 0 : greet(s, 2, args, deadline);
}

int server_connect(struct server *s)
{
    if (s->peer)
        return 0;
    int64_t deadline = deadline_of(s, s->settings.connect_ms);
    s->peer = peer_open(&s->settings.peer, s->host, s->api, deadline, s->error, sizeof(s->error), &s->broken);
    s->reader = s->peer ? redisReaderCreate() : NULL;
    if (s->peer && !s->reader)
        no_reply(s, "no memory");
    return s->peer && log_in(s, deadline) == 0 && choose(s, deadline) == 0 ? 0 : -1;
}

redisReply *server_ask(struct server *s, int count, const char **args, const size_t *lens)
{
    return server_connect(s) == 0 ? ask(s, count, args, lens, deadline_of(s, s->settings.request_ms)) : NULL;
}
