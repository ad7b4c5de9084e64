/* What is kept stands in a table with one place for each hash: a newer trigger takes the place of an older one, so the
 * table needs no order and never grows. Only what was found is kept: a trigger that is not there yet may come at any
 * time. */
#include "common/trigger.h"

#include "common/http_status.h"
#include "common/percent.h"
#include "common/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PLACES = 256, ANSWER_MAX = 1 << 20, URL_MAX = 16384, REASON_SIZE = 800 };

struct place {
    char *uuid; /* NULL: free */
    size_t len;
    json_t *metadata;
    int64_t until; /* milliseconds of the monotonic clock */
};

struct triggers {
    struct http_client *client;
    struct http_answer answer;
    struct strbuf url;
    const char *base;
    int64_t keep_ms;
    struct place places[PLACES];
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- what is kept --- */

/* FNV-1a. */
static struct place *place_of(struct triggers *t, struct hg_text uuid)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < uuid.len; i++)
        hash = (hash ^ (unsigned char)uuid.ptr[i]) * 16777619U;
    return &t->places[hash % PLACES];
}

static void place_clear(struct place *p)
{
    free(p->uuid);
    json_decref(p->metadata);
    *p = (struct place){NULL, 0, NULL, 0};
}

static int place_holds(const struct place *p, struct hg_text uuid)
{
    return p->uuid && p->len == uuid.len && memcmp(p->uuid, uuid.ptr, uuid.len) == 0 && clock_ms() < p->until;
}

/* Takes the reference. 0, or -1: no memory. */
static int place_fill(struct triggers *t, struct hg_text uuid, json_t *metadata)
{
    struct place *p = place_of(t, uuid);
    place_clear(p);
    p->metadata = metadata;
    p->uuid = malloc(uuid.len + 1);
    if (!p->uuid)
        return -1;
    memcpy(p->uuid, uuid.ptr, uuid.len);
    p->len = uuid.len;
    p->until = clock_ms() + t->keep_ms;
    return 0;
}

/* --- asking --- */

static int ask(struct triggers *t, struct hg_text uuid)
{
    static const char *const fields[] = {"Accept: application/json"};
    size_t len = strlen(t->base);
    strbuf_clear(&t->url);
    strbuf_add(&t->url, t->base, len > 0 && t->base[len - 1] == '/' ? len - 1 : len);
    strbuf_adds(&t->url, "/triggers/");
    percent_add(&t->url, uuid.ptr, uuid.len);
    struct http_request request = {"GET", NULL, 0, fields, 1, strbuf_str(&t->url)};
    if (t->url.failed) {
        snprintf(t->answer.error, sizeof(t->answer.error), "no memory");
        return -1;
    }
    return http_client_send(t->client, &request, &t->answer);
}

static enum trigger_found answer_read(struct triggers *t, struct hg_text uuid, const json_t **metadata, char *why,
                                      size_t size)
{
    json_t *trigger = t->answer.overlong ? NULL : json_loadb(t->answer.body.ptr, t->answer.body.len, 0, NULL);
    json_t *found = json_object_get(trigger, "metadata");
    enum trigger_found result = json_is_object(found) ? TRIGGER_HERE : TRIGGER_UNCLEAR;
    if (result == TRIGGER_UNCLEAR)
        snprintf(why, size, "the control tower's answer is no trigger: it has no `metadata`");
    else if (place_fill(t, uuid, json_incref(found)) != 0) {
        snprintf(why, size, "no memory");
        result = TRIGGER_NOT_NOW;
    } else
        *metadata = found;
    json_decref(trigger);
    return result;
}

enum trigger_found triggers_find(struct triggers *t, struct hg_text uuid, const json_t **metadata, char *why,
                                 size_t why_size, int64_t *after)
{
    char reason[REASON_SIZE];
    const struct place *p = place_of(t, uuid);
    *after = 0;
    if (place_holds(p, uuid)) {
        *metadata = p->metadata;
        return TRIGGER_HERE;
    }
    if (ask(t, uuid) != 0) {
        snprintf(why, why_size, "the control tower: %s", t->answer.error);
        return TRIGGER_NOT_NOW;
    }
    if (t->answer.status == 200)
        return answer_read(t, uuid, metadata, why, why_size);
    *after = t->answer.retry_after;
    http_answer_reason(&t->answer, reason, sizeof(reason));
    snprintf(why, why_size, "the control tower: %s", reason);
    return t->answer.status == 404 || t->answer.status == 410 ? TRIGGER_UNKNOWN : TRIGGER_NOT_NOW;
}

int triggers_probe(struct triggers *t, char *why, size_t why_size)
{
    struct http_request request = {"HEAD", NULL, 0, NULL, 0, NULL};
    char reason[REASON_SIZE];
    int rc = http_client_send(t->client, &request, &t->answer);
    http_answer_reason(&t->answer, reason, sizeof(reason));
    snprintf(why, why_size, "the control tower: %s", rc != 0 ? t->answer.error : reason);
    return rc == 0 && http_status_reachable(t->answer.status);
}

/* --- open and close --- */

struct triggers *triggers_new(const struct http_settings *http, int64_t keep_ms, struct hg_host *host,
                              const struct hg_api *api, char *why, size_t why_size, int *broken)
{
    *broken = strpbrk(http->url, "?#") != NULL;
    if (*broken) {
        snprintf(why, why_size, "the address of a control tower has no '?' and no '#'");
        return NULL;
    }
    struct triggers *t = calloc(1, sizeof(*t));
    if (!t) {
        snprintf(why, why_size, "no memory");
        return NULL;
    }
    t->base = http->url;
    t->keep_ms = keep_ms;
    strbuf_init(&t->url, URL_MAX);
    http_answer_init(&t->answer, ANSWER_MAX);
    t->client = http_client_new(http, host, api, why, why_size, broken);
    if (!t->client)
        triggers_free(&t);
    return t;
}

void triggers_free(struct triggers **t)
{
    if (!*t)
        return;
    for (size_t i = 0; i < PLACES; i++)
        place_clear(&(*t)->places[i]);
    http_client_free(&(*t)->client);
    http_answer_fini(&(*t)->answer);
    strbuf_fini(&(*t)->url);
    free(*t);
    *t = NULL;
}
