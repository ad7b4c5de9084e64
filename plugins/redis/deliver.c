/* A push goes in commands of some rows each, one after the other. The script stops at the first row that the server
 * does not take; what stands before it is written, and the rows behind it go on in the next command, but for those of
 * the same uuid, which wait with it.
 *
 * A row that is too large is refused by the server's protocol reader, which names no row and closes the connection:
 * then the command is halved until the row stands alone. */
#include "deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 1000, BYTES_MOST = 4 << 20, REQUEST_MIN_MS = 200, PENDING = 0, SETTLED = 1 };

/* What the rows of one push have come to, beside the verdicts. */
struct push {
    struct hg_rows *rows;
    char *done; /* of each row: judged, or held back */
    size_t count, left;
};

void deliver_init(struct deliver *d)
{
    script_init(&d->script);
    d->most = ROWS_MOST;
}

void deliver_fini(struct deliver *d)
{
    script_fini(&d->script);
    server_drop(&d->server);
    free(d->rows);
}

static int text_same(struct hg_text a, struct hg_text b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static void settle(struct deliver *d, struct push *p, size_t n, uint32_t verdict, const char *reason)
{
    d->api->judge(p->rows, n, verdict, 0, reason);
    p->done[n] = SETTLED;
    p->left--;
}

/* This row has to wait, and so have those behind it of the same uuid. */
static void hold(struct deliver *d, struct push *p, size_t n, const char *reason)
{
    struct hg_text uuid = d->api->uuid(d->api->row(p->rows, n));
    for (size_t i = n; i < p->count; i++)
        if (p->done[i] == PENDING && text_same(d->api->uuid(d->api->row(p->rows, i)), uuid))
            settle(d, p, i, HG_RETRY, reason);
}

/* Takes pending rows into a command. How many it holds; none when all of them were refused here. */
static size_t gather(struct deliver *d, struct push *p)
{
    size_t taken = 0;
    script_begin(&d->script, &d->plan);
    for (size_t n = 0; n < p->count && taken < d->most && (taken == 0 || script_bytes(&d->script) < BYTES_MOST); n++) {
        if (p->done[n] != PENDING)
            continue;
        const char *never = script_row(&d->script, &d->plan, d->api, d->api->row(p->rows, n));
        if (never)
            settle(d, p, n, HG_REJECT, never);
        else
            d->rows[taken++] = n;
    }
    return taken;
}

/* --- what the server said --- */

static int starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* About the size of what one row carries. */
static int speaks_of_size(const char *text)
{
    return starts(text, "ERR Protocol error: invalid bulk length") ||
           starts(text, "ERR Protocol error: invalid multibulk length") || starts(text, "ERR Elements are too large");
}

/* About the row's key, which is of another kind or full: other keys may go on. */
static int speaks_of_key(const char *text)
{
    return starts(text, "WRONGTYPE") || starts(text, "ERR ");
}

/* The last element of the answer, about row `n`. */
static int row_refused(struct deliver *d, struct push *p, size_t n, const char *text)
{
    if (speaks_of_size(text))
        settle(d, p, n, HG_REJECT, text);
    else if (speaks_of_key(text))
        hold(d, p, n, text);
    else
        return d->api->not_now(p->rows, 0, text);
    return HG_JUDGED;
}

/* An element is a number, or at the end a text; anything else is no answer of the script. */
static int answer_judge(struct deliver *d, struct push *p, const redisReply *reply, size_t taken)
{
    int result = HG_JUDGED;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > taken || reply->elements == 0)
        return d->api->not_now(p->rows, 0, "the server's answer cannot be understood");
    for (size_t i = 0; i < reply->elements && result == HG_JUDGED; i++) {
        const redisReply *one = reply->element[i];
        if (one->type == REDIS_REPLY_INTEGER)
            settle(d, p, d->rows[i], one->integer == 1 ? HG_OK : HG_DUPLICATE, NULL);
        else if (one->type == REDIS_REPLY_STRING)
            result = row_refused(d, p, d->rows[i], one->str);
        else
            result = d->api->not_now(p->rows, 0, "the server's answer cannot be understood");
    }
    return result;
}

/* The whole command was refused. */
static int command_refused(struct deliver *d, struct push *p, const char *text, size_t taken)
{
    server_drop(&d->server); /* it may be a server that was replaced by another: look its address up again */
    if (!speaks_of_size(text))
        return d->api->not_now(p->rows, 0, text);
    if (taken == 1)
        settle(d, p, d->rows[0], HG_REJECT, text);
    else
        d->most = taken / 2;
    return HG_JUDGED;
}

static int command_run(struct deliver *d, struct push *p, size_t taken)
{
    int count = script_command(&d->script);
    if (count == 0)
        return d->api->not_now(p->rows, 0, "no memory for the rows");
    redisReply *reply = server_ask(&d->server, count, d->script.argv, d->script.lens);
    if (!reply)
        return d->api->not_now(p->rows, 0, d->server.error);
    int result;
    if (reply->type == REDIS_REPLY_ERROR) {
        result = command_refused(d, p, reply->str, taken);
    } else {
        result = answer_judge(d, p, reply, taken);
        d->most = d->most * 2 < ROWS_MOST ? d->most * 2 : ROWS_MOST;
    }
    freeReplyObject(reply);
    return result;
}

static int push_room(struct deliver *d, struct push *p)
{
    if (p->count > d->row_room) {
        size_t *rows = realloc(d->rows, p->count * sizeof(*rows));
        if (!rows)
            return -1;
        d->rows = rows;
        d->row_room = p->count;
    }
    p->done = calloc(p->count + 1, 1);
    return p->done ? 0 : -1;
}

int deliver_rows(struct deliver *d, struct hg_rows *rows)
{
    struct push p = {.rows = rows, .count = d->api->row_count(rows), .left = d->api->row_count(rows)};
    int result = HG_JUDGED;
    if (push_room(d, &p) != 0)
        return d->api->not_now(rows, 0, "no memory for the rows");
    while (result == HG_JUDGED && p.left > 0) {
        if (d->api->stopping(d->host))
            result = d->api->not_now(rows, 0, "stopping");
        else if (d->api->time_left(d->host) < REQUEST_MIN_MS)
            result = d->api->not_now(rows, 1, "the time of this push is over; the rest comes with the next");
        else {
            size_t taken = gather(d, &p);
            result = taken > 0 ? command_run(d, &p, taken) : HG_JUDGED;
        }
    }
    free(p.done);
    return result;
}

int deliver_probe(struct deliver *d, char *why, size_t size)
{
    script_begin(&d->script, &d->plan);
    int count = script_command(&d->script);
    redisReply *reply = count ? server_ask(&d->server, count, d->script.argv, d->script.lens) : NULL;
    int fine = reply && reply->type == REDIS_REPLY_ARRAY;
    if (!fine)
        snprintf(why, size, "%s", reply && reply->type == REDIS_REPLY_ERROR ? reply->str : d->server.error);
    freeReplyObject(reply);
    return fine;
}
