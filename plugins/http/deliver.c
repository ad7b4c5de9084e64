/* A batch that the far end says is wrong (400, 413, 422) is halved, and the halves again, until the guilty rows stand
 * alone; the others are delivered on the way, so nothing else pays for them. Anything that is not about rows ends the
 * push at once; what was delivered until then stays delivered. */
#include "deliver.h"

#include "answer.h"

#include "common/gzip.h"
#include "common/http_status.h"
#include "common/pushtime.h"
#include "common/ranges.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REASON_SIZE = 800, REQUEST_MIN_MS = 200, FIELDS_MAX = 6, FIELD_SIZE = 320 };

struct field_lines {
    char text[FIELDS_MAX][FIELD_SIZE];
    const char *lines[FIELDS_MAX];
    size_t count;
};

#define FIELD_ADD(f, ...)                                                                                              \
    do {                                                                                                               \
        snprintf((f)->text[(f)->count], FIELD_SIZE, __VA_ARGS__);                                                      \
        (f)->lines[(f)->count] = (f)->text[(f)->count];                                                                \
        (f)->count++;                                                                                                  \
    } while (0)

static int fields_sign(struct field_lines *f, const struct deliver *d, const struct strbuf *body)
{
    char signature[SIGNATURE_SIZE];
    long long now = (long long)time(NULL);
    if (!d->secret)
        return 0;
    if (body_sign(signature, d->secret, now, body) != 0)
        return -1;
    FIELD_ADD(f, "X-Headgate-Timestamp: %lld", now);
    FIELD_ADD(f, "X-Headgate-Signature: sha256=%s", signature);
    return 0;
}

static int fields_fill(struct field_lines *f, const struct deliver *d, const struct hg_rows *rows, struct range r,
                       const struct strbuf *body)
{
    char key[BATCH_KEY_SIZE];
    if (body_key(key, d->api, rows, r.from, r.to) != 0)
        return -1;
    FIELD_ADD(f, "Idempotency-Key: %s", key);
    FIELD_ADD(f, "Accept: application/json");
    FIELD_ADD(f, "Content-Type: application/%s", d->shape == BODY_NDJSON ? "x-ndjson" : "json");
    if (d->pack)
        FIELD_ADD(f, "Content-Encoding: gzip");
    return fields_sign(f, d, body);
}

/* 0: an answer came. -1: none did; answer.error says why. */
static int range_send(struct deliver *d, const struct hg_rows *rows, struct range r)
{
    struct field_lines fields = {.count = 0};
    const struct strbuf *body = d->pack ? &d->packed : &d->text;
    body_build(&d->text, d->api, rows, r.from, r.to, d->shape);
    if (d->text.failed || (d->pack && gzip_pack(&d->packed, &d->text) != 0) ||
        fields_fill(&fields, d, rows, r, body) != 0) {
        snprintf(d->answer.error, sizeof(d->answer.error), "no memory for the rows");
        return -1;
    }
    struct http_request request = {d->method, body->ptr, body->len, fields.lines, fields.count, NULL};
    return http_client_send(d->client, &request, &d->answer);
}

static int delivered(struct deliver *d, struct hg_rows *rows, struct range r)
{
    if (answer_judge(&d->answer, d->api, rows, r.from, r.to - r.from) == ANSWER_UNREADABLE)
        return d->api->not_now(rows, 0, "the answer speaks of verdicts but cannot be understood");
    for (size_t n = r.from; n < r.to; n++)
        d->api->judge(rows, n, HG_OK, 0, NULL); /* of those that were judged the first verdict counts */
    return HG_JUDGED;
}

static int range_deliver(struct deliver *d, struct hg_rows *rows, struct range whole)
{
    struct ranges ranges;
    struct range r;
    char reason[REASON_SIZE];
    ranges_start(&ranges, whole.from, whole.to);
    while (ranges_next(&ranges, &r)) {
        if (pushtime_over(d->api, d->host, rows, REQUEST_MIN_MS))
            return HG_NOT_NOW;
        if (range_send(d, rows, r) != 0)
            return d->api->not_now(rows, 0, d->answer.error);
        http_answer_reason(&d->answer, reason, sizeof(reason));
        switch (http_status_meaning(d->answer.status)) {
        case HTTP_DELIVERED:
            if (delivered(d, rows, r) != HG_JUDGED)
                return HG_NOT_NOW;
            break;
        case HTTP_GUILTY:
            if (!ranges_halve(&ranges, r))
                d->api->judge(rows, r.from, HG_REJECT, 0, reason);
            break;
        case HTTP_NOT_NOW: return d->api->not_now(rows, d->answer.retry_after, reason);
        }
    }
    return HG_JUDGED;
}

int deliver_rows(struct deliver *d, struct hg_rows *rows)
{
    size_t count = d->api->row_count(rows), step = d->shape == BODY_SINGLE ? 1 : count;
    for (size_t n = 0; n < count; n += step) {
        int result = range_deliver(d, rows, (struct range){n, n + step});
        if (result != HG_JUDGED)
            return result;
    }
    return HG_JUDGED;
}

int deliver_probe(struct deliver *d, char *why, size_t size)
{
    struct field_lines fields = {.count = 0};
    const struct strbuf nothing = {.len = 0};
    if (fields_sign(&fields, d, &nothing) != 0) {
        snprintf(why, size, "no memory");
        return 0;
    }
    struct http_request request = {"HEAD", NULL, 0, fields.lines, fields.count, NULL};
    if (http_client_send(d->client, &request, &d->answer) != 0) {
        snprintf(why, size, "%s", d->answer.error);
        return 0;
    }
    http_answer_reason(&d->answer, why, size);
    return http_status_reachable(d->answer.status);
}
