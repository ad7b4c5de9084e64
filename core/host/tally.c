/* A plugin may count something for every row; a message for each would drown the channel. So counts are summed here and
 * told when a push is done. Names become metrics, so their number and form are limited. */
#include "host/tally.h"

#include <string.h>

void tally_init(struct tally *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->mutex, NULL);
}

void tally_fini(struct tally *t)
{
    pthread_mutex_destroy(&t->mutex);
}

static bool tally_name_ok(const char *name)
{
    size_t len = strnlen(name, TALLY_NAME_MAX + 1);
    return len > 0 && len <= TALLY_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool tally_add_locked(struct tally *t, const char *name, uint64_t add)
{
    uint32_t i = 0;
    while (i < t->count && strcmp(t->entries[i].name, name) != 0)
        i++;
    if (i == TALLY_NAMES)
        return false;
    if (i == t->count) {
        memcpy(t->entries[i].name, name, strlen(name) + 1);
        t->entries[i].add = 0;
        t->count++;
    }
    t->entries[i].add += add;
    return true;
}

bool tally_add(struct tally *t, const char *name, uint64_t add)
{
    if (name == NULL || !tally_name_ok(name))
        return false;
    pthread_mutex_lock(&t->mutex);
    bool added = tally_add_locked(t, name, add);
    pthread_mutex_unlock(&t->mutex);
    return added;
}

bool tally_take(struct tally *t, uint32_t *at, char name[TALLY_NAME_MAX + 1], uint64_t *add)
{
    bool found = false;
    pthread_mutex_lock(&t->mutex);
    while (!found && *at < t->count) {
        if (t->entries[*at].add > 0) {
            memcpy(name, t->entries[*at].name, sizeof t->entries[*at].name);
            *add = t->entries[*at].add;
            t->entries[*at].add = 0;
            found = true;
        }
        ++*at;
    }
    pthread_mutex_unlock(&t->mutex);
    return found;
}
