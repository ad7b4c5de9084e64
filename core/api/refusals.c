/* A ring of the last refusals under a lock of its own: refusals are rare, and when they are not, the lock is held for
 * a copy of a few hundred bytes. The log gets them too, but no more than REFUSALS_LOGGED a second: a client that sends
 * nonsense as fast as it can must not fill the disk. */
#include "api/refusals.h"

#include "base/log.h"
#include "base/sys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct kept {
    int64_t when_us;
    uint64_t line;
    int status;
    char peer[64], method[24], path[128], uuid[192], type[40], pointer[256], detail[256];
};

struct refusals {
    pthread_mutex_t lock;
    uint32_t count; /* kept */
    uint32_t next;  /* place of the next one */
    int64_t second; /* of the log's limit */
    uint32_t logged, unlogged;
    struct kept kept[REFUSALS_KEPT];
};

struct refusals *refusals_new(void)
{
    struct refusals *r = calloc(1, sizeof *r);
    if (r != NULL && pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        r = NULL;
    }
    return r;
}

void refusals_free(struct refusals **r)
{
    if (*r == NULL)
        return;
    pthread_mutex_destroy(&(*r)->lock);
    free(*r);
    *r = NULL;
}

/* Copy, cut to what fits; a character cut in two is repaired where it is printed. */
static void keep_text(char *out, size_t size, struct slice text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    memset(out + len, 0, size - len);
}

#define KEEP(field) keep_text(k->field, sizeof k->field, note->field)

static void log_one(const struct kept *k, uint32_t unlogged)
{
    if (unlogged > 0)
        LOG(LOG_WARN, "request.refused.more", "requests were refused that are not in the log",
            LOG_N("count", unlogged));
    LOG(LOG_INFO, "request.refused", k->detail, LOG_N("status", k->status), LOG_S("peer", k->peer),
        LOG_S("method", k->method), LOG_S("path", k->path), LOG_S("uuid", k->uuid), LOG_S("type", k->type),
        LOG_S("pointer", k->pointer));
}

/* Under the lock: may this one be logged, and how many were not before it? */
static bool may_log(struct refusals *r, int64_t now_us, uint32_t *unlogged)
{
    *unlogged = 0;
    if (now_us / 1000000 != r->second) {
        r->second = now_us / 1000000;
        r->logged = 0;
        *unlogged = r->unlogged;
        r->unlogged = 0;
    }
    if (r->logged < REFUSALS_LOGGED) {
        r->logged++;
        return true;
    }
    r->unlogged++;
    return false;
}

void refusals_add(struct refusals *r, const struct refusal_note *note)
{
    uint32_t unlogged;
    pthread_mutex_lock(&r->lock);
    struct kept *k = &r->kept[r->next];
    r->next = (r->next + 1) % REFUSALS_KEPT;
    if (r->count < REFUSALS_KEPT)
        r->count++;
    k->when_us = clock_wall_us();
    k->status = note->status;
    k->line = note->line;
    KEEP(peer);
    KEEP(method);
    KEEP(path);
    KEEP(uuid);
    KEEP(type);
    KEEP(pointer);
    KEEP(detail);
    bool log = may_log(r, k->when_us, &unlogged);
    struct kept copy = *k;
    pthread_mutex_unlock(&r->lock);
    if (log)
        log_one(&copy, unlogged);
}

static int print_text(struct buf *out, const char *name, const char *value)
{
    if (value[0] == '\0')
        return ERR_OK;
    int code = buf_addf(out, ",\"%s\":", name);
    return code != ERR_OK ? code : buf_add_json(out, slice_of(value));
}

static int print_one(struct buf *out, const struct kept *k)
{
    char when[32];
    time_t second = (time_t)(k->when_us / 1000000);
    struct tm parts;
    gmtime_r(&second, &parts);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
    int code = buf_addf(out, "{\"time\":\"%s.%06dZ\",\"status\":%d", when, (int)(k->when_us % 1000000), k->status);
    const struct {
        const char *name, *value;
    } texts[] = {{"peer", k->peer}, {"method", k->method}, {"path", k->path},
                 {"uuid", k->uuid}, {"type", k->type},     {"detail", k->detail}};
    for (size_t i = 0; code == ERR_OK && i < COUNT_OF(texts); i++)
        code = print_text(out, texts[i].name, texts[i].value);
    if (code == ERR_OK && k->type[0] != '\0') { /* an empty pointer names the whole document */
        code = buf_adds(out, ",\"pointer\":");
        if (code == ERR_OK)
            code = buf_add_json(out, slice_of(k->pointer));
    }
    if (code == ERR_OK && k->line > 0)
        code = buf_addf(out, ",\"line\":%llu", (unsigned long long)k->line);
    return code != ERR_OK ? code : buf_addc(out, '}');
}

int refusals_print(struct refusals *r, struct buf *out)
{
    int code = buf_adds(out, "{\"refusals\":[");
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0; code == ERR_OK && i < r->count; i++) {
        const struct kept *k = &r->kept[(r->next + REFUSALS_KEPT - 1 - i) % REFUSALS_KEPT];
        code = i == 0 ? ERR_OK : buf_addc(out, ',');
        if (code == ERR_OK)
            code = print_one(out, k);
    }
    pthread_mutex_unlock(&r->lock);
    return code != ERR_OK ? code : buf_adds(out, "]}");
}
