/* A ring of the last log lines under a lock of its own. What is logged is rare beside what passes, and the lock is held
 * for a copy. Lines are kept as JSON, each in memory of its own size, 2 KiB at most: a megabyte together. */
#include "api/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    uint64_t number;
    enum log_level level;
    char *line;
    size_t len;
};

struct recent {
    pthread_mutex_t lock;
    uint64_t number; /* of the last line */
    struct kept kept[RECENT_KEPT];
};

struct recent *recent_new(void)
{
    struct recent *r = calloc(1, sizeof *r);
    if (r != NULL && pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        r = NULL;
    }
    return r;
}

void recent_free(struct recent **r)
{
    if (*r == NULL)
        return;
    for (size_t i = 0; i < RECENT_KEPT; i++)
        free((*r)->kept[i].line);
    pthread_mutex_destroy(&(*r)->lock);
    free(*r);
    *r = NULL;
}

void recent_keep(void *arg, enum log_level level, const char *line, size_t len)
{
    struct recent *r = arg;
    char *copy = len > RECENT_LINE ? NULL : malloc(len);
    if (copy != NULL)
        memcpy(copy, line, len);
    pthread_mutex_lock(&r->lock);
    struct kept *k = &r->kept[++r->number % RECENT_KEPT];
    free(k->line);
    *k = (struct kept){.number = r->number, .level = level, .line = copy, .len = copy == NULL ? 0 : len};
    pthread_mutex_unlock(&r->lock);
}

static int print_one(struct buf *out, const struct kept *k, bool more)
{
    int code = more ? buf_addc(out, ',') : ERR_OK;
    if (code == ERR_OK && k->line == NULL)
        return buf_adds(out,
                        "{\"level\":\"info\",\"event\":\"log.line_not_kept\",\"text\":\"a line that is too long to "
                        "be kept here\"}");
    return code == ERR_OK ? buf_add(out, k->line, k->len) : code;
}

int recent_print(struct recent *r, uint64_t after, enum log_level level, struct buf *out)
{
    bool more = false;
    int code = buf_adds(out, "{\"lines\":[");
    pthread_mutex_lock(&r->lock);
    uint64_t from = r->number > RECENT_KEPT ? r->number - RECENT_KEPT + 1 : 1;
    for (uint64_t n = after >= from ? after + 1 : from; code == ERR_OK && n <= r->number; n++) {
        const struct kept *k = &r->kept[n % RECENT_KEPT];
        if (k->level > level)
            continue;
        code = print_one(out, k, more);
        more = true;
    }
    if (code == ERR_OK)
        code = buf_addf(out, "],\"next\":%llu}", (unsigned long long)r->number);
    pthread_mutex_unlock(&r->lock);
    return code;
}
