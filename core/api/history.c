/* Three rings of points: a minute by seconds, an hour by ten seconds, a day by five minutes. Each ring keeps what the
 * counters said at its last point; a point is what came since then. Counters only grow, so nothing has to be noted
 * where rows pass: everything here is read off once a second.
 *
 * A pusher's points lie in rings of the same shape, at the same places. One that appears later has zeros before; the
 * track of one that has gone is given to the next that comes. */
#include "api/history.h"

#include "base/sys.h"

#include <math.h>
#include <stdlib.h>

enum { SPANS = HISTORY_SPANS, NOW_POINTS = 5, TRACKS_MAX = 256, TRACK_NAME = 128 };
enum { MINUTE, HOUR, DAY };

static const struct {
    const char *word;
    uint32_t step_s, size;
} shapes[SPANS] = {
    [MINUTE] = {"minute", 1, 60},
    [HOUR] = {"hour", 10, 360},
    [DAY] = {"day", 300, 288},
};

struct point {
    float rows, bytes; /* a second */
    float p50, p99;    /* seconds; NAN: nothing came */
};

struct track_point {
    float delivered, retries, dead; /* a second */
    float lag;                      /* rows */
};

struct totals {
    uint64_t delivered, retries, dead;
};

struct track {
    char name[TRACK_NAME]; /* "": free */
    bool seen;
    struct totals before[SPANS];
    struct track_point *points[SPANS];
};

struct span {
    int64_t last_ms, last_wall_us;
    uint32_t next, count; /* place of the next point; how many there are */
    struct intake_counts before;
    struct point *points;
};

struct history {
    int64_t due_ms;
    struct span spans[SPANS];
    struct track *tracks;
    uint32_t track_count;
    uint64_t minute[REQUEST_BUCKETS + 1][60]; /* the histogram of each second of the last minute */
};

struct history *history_new(int64_t now_ms)
{
    struct history *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->due_ms = now_ms + 1000;
    for (int k = 0; k < SPANS; k++) {
        h->spans[k].last_ms = now_ms;
        h->spans[k].last_wall_us = clock_wall_us();
        h->spans[k].points = calloc(shapes[k].size, sizeof *h->spans[k].points);
        if (h->spans[k].points == NULL)
            history_free(&h);
        if (h == NULL)
            return NULL;
    }
    return h;
}

static void track_fini(struct track *t)
{
    for (int k = 0; k < SPANS; k++)
        free(t->points[k]);
}

void history_free(struct history **h)
{
    if (*h == NULL)
        return;
    for (uint32_t i = 0; i < (*h)->track_count; i++)
        track_fini(&(*h)->tracks[i]);
    for (int k = 0; k < SPANS; k++)
        free((*h)->spans[k].points);
    free((*h)->tracks);
    free(*h);
    *h = NULL;
}

/* --- points --- */

/* The value below which the share `q` lies, between a bucket's bounds as if they were spread evenly. */
static double quantile(const uint64_t counts[REQUEST_BUCKETS + 1], double q)
{
    uint64_t total = 0;
    for (int i = 0; i <= REQUEST_BUCKETS; i++)
        total += counts[i];
    if (total == 0)
        return NAN;
    double rank = q * (double)total, below = 0;
    for (int i = 0; i < REQUEST_BUCKETS; i++) {
        double here = (double)counts[i], low = i == 0 ? 0 : request_bounds[i - 1];
        if (here > 0 && below + here >= rank)
            return low + (request_bounds[i] - low) * (rank - below) / here;
        below += here;
    }
    return request_bounds[REQUEST_BUCKETS - 1];
}

static void add_point(struct history *h, int k, const struct intake_counts *now, double seconds)
{
    struct span *s = &h->spans[k];
    uint64_t durable[REQUEST_BUCKETS + 1];
    for (int i = 0; i <= REQUEST_BUCKETS; i++) {
        durable[i] = now->durable[i] - s->before.durable[i];
        if (k == MINUTE)
            h->minute[i][s->next] = durable[i];
    }
    s->points[s->next] = (struct point){
        .rows = (float)((double)(now->rows - s->before.rows) / seconds),
        .bytes = (float)((double)(now->bytes - s->before.bytes) / seconds),
        .p50 = (float)quantile(durable, 0.5),
        .p99 = (float)quantile(durable, 0.99),
    };
    s->before = *now;
}

/* --- pushers --- */

static struct totals totals_of(const struct runner *r)
{
    const uint64_t *t = r->pusher->totals;
    return (struct totals){t[TOTAL_DELIVERED] + t[TOTAL_DUPLICATE], t[TOTAL_RETRIES], t[TOTAL_DEAD]};
}

static struct track *track_find(const struct history *h, const char *name)
{
    for (uint32_t i = 0; i < h->track_count; i++)
        if (strcmp(h->tracks[i].name, name) == 0)
            return &h->tracks[i];
    return NULL;
}

/* A free one, or one more; NULL: no memory, or too many. */
static struct track *track_take(struct history *h)
{
    struct track *t = track_find(h, "");
    if (t != NULL || h->track_count == TRACKS_MAX)
        return t;
    struct track *grown = realloc(h->tracks, (h->track_count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    h->tracks = grown;
    t = &grown[h->track_count];
    *t = (struct track){0};
    for (int k = 0; k < SPANS; k++)
        t->points[k] = calloc(shapes[k].size, sizeof *t->points[k]);
    if (t->points[0] == NULL || t->points[1] == NULL || t->points[2] == NULL) {
        track_fini(t);
        return NULL;
    }
    h->track_count++;
    return t;
}

static struct track *track_of(struct history *h, const struct runner *r)
{
    struct track *t = track_find(h, r->name);
    if (t != NULL)
        return t;
    t = track_take(h);
    if (t == NULL)
        return NULL;
    snprintf(t->name, sizeof t->name, "%s", r->name);
    for (int k = 0; k < SPANS; k++) {
        t->before[k] = totals_of(r);
        memset(t->points[k], 0, shapes[k].size * sizeof *t->points[k]);
    }
    return t;
}

static double grown(uint64_t now, uint64_t before, double seconds)
{
    return now < before ? 0 : (double)(now - before) / seconds;
}

static void add_track_point(struct history *h, int k, struct track *t, const struct runner *r, double seconds)
{
    struct totals now = totals_of(r), *before = &t->before[k];
    uint64_t rows, bytes;
    pusher_lag(r->pusher, &rows, &bytes);
    t->points[k][h->spans[k].next] = (struct track_point){
        .delivered = (float)grown(now.delivered, before->delivered, seconds),
        .retries = (float)grown(now.retries, before->retries, seconds),
        .dead = (float)grown(now.dead, before->dead, seconds),
        .lag = (float)rows,
    };
    *before = now;
}

static void add_tracks(struct history *h, int k, struct supervisor *s, double seconds)
{
    for (uint32_t i = 0; i < h->track_count; i++)
        h->tracks[i].seen = false;
    LIST_EACH(supervisor_runners(s), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        struct track *t = r->pusher == NULL ? NULL : track_of(h, r);
        if (t == NULL)
            continue;
        t->seen = true;
        add_track_point(h, k, t, r, seconds);
    }
    for (uint32_t i = 0; i < h->track_count; i++)
        if (!h->tracks[i].seen)
            h->tracks[i].name[0] = '\0';
}

void history_look(struct history *h, struct supervisor *s, void (*counts)(void *arg, struct intake_counts *sum),
                  void *arg, int64_t now_ms)
{
    if (now_ms < h->due_ms)
        return;
    struct intake_counts now;
    counts(arg, &now);
    h->due_ms = now_ms + 1000;
    for (int k = 0; k < SPANS; k++) {
        struct span *span = &h->spans[k];
        double seconds = (double)(now_ms - span->last_ms) / 1e3;
        if (seconds < (double)shapes[k].step_s * 0.99)
            continue;
        add_point(h, k, &now, seconds);
        add_tracks(h, k, s, seconds);
        span->last_ms = now_ms;
        span->last_wall_us = clock_wall_us();
        span->next = (span->next + 1) % shapes[k].size;
        span->count += span->count < shapes[k].size;
    }
}

/* --- looking --- */

/* Place of the i-th point from the oldest. */
static uint32_t place(const struct history *h, int k, uint32_t i)
{
    const struct span *s = &h->spans[k];
    return (s->next + shapes[k].size - s->count + i) % shapes[k].size;
}

void history_now(const struct history *h, struct history_now *out)
{
    const struct span *s = &h->spans[MINUTE];
    uint32_t points = s->count < NOW_POINTS ? s->count : NOW_POINTS;
    uint64_t durable[REQUEST_BUCKETS + 1] = {0};
    *out = (struct history_now){0};
    for (uint32_t i = s->count - points; i < s->count; i++) {
        out->rows += (double)s->points[place(h, MINUTE, i)].rows / points;
        out->bytes += (double)s->points[place(h, MINUTE, i)].bytes / points;
    }
    for (int b = 0; b <= REQUEST_BUCKETS; b++)
        for (uint32_t i = 0; i < 60; i++)
            durable[b] += h->minute[b][i];
    out->p50 = quantile(durable, 0.5);
    out->p99 = quantile(durable, 0.99);
}

double history_rate(const struct history *h, const char *pusher)
{
    const struct track *t = track_find(h, pusher);
    const struct span *s = &h->spans[MINUTE];
    uint32_t points = s->count < NOW_POINTS ? s->count : NOW_POINTS;
    double sum = 0;
    for (uint32_t i = s->count - points; t != NULL && i < s->count; i++)
        sum += (double)t->points[MINUTE][place(h, MINUTE, i)].delivered / points;
    return sum;
}

static int add_number(struct buf *out, double value)
{
    return isnan(value) ? buf_adds(out, "null") : buf_addf(out, "%.6g", value);
}

/* One member of the points as a JSON array: `offset` bytes into each of `size` bytes. */
static int add_series(struct buf *out, const char *name, const struct history *h, int k, const void *points,
                      size_t size, size_t offset)
{
    int code = buf_addf(out, "\"%s\":[", name);
    for (uint32_t i = 0; code == ERR_OK && i < h->spans[k].count; i++) {
        float value;
        memcpy(&value, (const char *)points + place(h, k, i) * size + offset, sizeof value);
        code = i == 0 ? ERR_OK : buf_addc(out, ',');
        if (code == ERR_OK)
            code = add_number(out, (double)value);
    }
    return code == ERR_OK ? buf_addc(out, ']') : code;
}

struct series {
    const char *name;
    size_t offset;
};

static int add_all_series(struct buf *out, const struct series *series, size_t count, const struct history *h, int k,
                          const void *points, size_t size)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        code = i == 0 ? ERR_OK : buf_addc(out, ',');
        if (code == ERR_OK)
            code = add_series(out, series[i].name, h, k, points, size, series[i].offset);
    }
    return code;
}

static int add_pushers(struct buf *out, const struct history *h, int k)
{
    static const struct series series[] = {{"delivered", offsetof(struct track_point, delivered)},
                                           {"retries", offsetof(struct track_point, retries)},
                                           {"dead", offsetof(struct track_point, dead)},
                                           {"lag", offsetof(struct track_point, lag)}};
    bool more = false;
    int code = buf_adds(out, ",\"pushers\":{");
    for (uint32_t i = 0; code == ERR_OK && i < h->track_count; i++) {
        const struct track *t = &h->tracks[i];
        if (t->name[0] == '\0')
            continue;
        code = buf_addf(out, "%s\"%s\":{", more ? "," : "", t->name);
        more = true;
        if (code == ERR_OK)
            code = add_all_series(out, series, COUNT_OF(series), h, k, t->points[k], sizeof *t->points[k]);
        if (code == ERR_OK)
            code = buf_addc(out, '}');
    }
    return code == ERR_OK ? buf_addc(out, '}') : code;
}

int history_span(const char *word)
{
    int k = 0;
    while (k < SPANS && strcmp(shapes[k].word, word) != 0)
        k++;
    return k < SPANS ? k : -1;
}

int64_t history_newest(const struct history *h, int span)
{
    return h->spans[span].last_ms;
}

int history_print(const struct history *h, int k, struct buf *out)
{
    static const struct series series[] = {{"rows", offsetof(struct point, rows)},
                                           {"bytes", offsetof(struct point, bytes)},
                                           {"p50", offsetof(struct point, p50)},
                                           {"p99", offsetof(struct point, p99)}};
    const struct span *s = &h->spans[k];
    int code = buf_addf(out, "{\"span\":\"%s\",\"step\":%u,\"points\":%u,\"until\":%.3f,", shapes[k].word,
                        shapes[k].step_s, shapes[k].size, (double)s->last_wall_us / 1e6);
    if (code == ERR_OK)
        code = add_all_series(out, series, COUNT_OF(series), h, k, s->points, sizeof *s->points);
    if (code == ERR_OK)
        code = add_pushers(out, h, k);
    return code == ERR_OK ? buf_addc(out, '}') : code;
}
