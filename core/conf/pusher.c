/* The options every pusher has, as a table, and the rules between them. Pure. Which names they take away from plugins
 * is asked by the plugin host too, so this file needs nothing but the table. */
#include "base/client.h"
#include "conf/store.h"
#include "conf/value.h"

#include <string.h>

#define CHOICES_enabled(C)   C(ENABLED_AUTO, "auto") C(ENABLED_YES, "yes") C(ENABLED_NO, "no")
#define CHOICES_order(C)     C(ORDER_UUID, "uuid") C(ORDER_NONE, "none")
#define CHOICES_from(C)      C(FROM_NOW, "now") C(FROM_START, "start")
#define CHOICES_when_full(C) C(FULL_BLOCK, "block") C(FULL_DEAD_LETTER, "dead-letter") C(FULL_SKIP, "skip")

/* A choice's word is stored as its place: the words here and the constants of conf.h stand in the same order. */
_Static_assert(ENABLED_AUTO == 0 && ENABLED_YES == 1 && ENABLED_NO == 2, "order of enabled");
_Static_assert(ORDER_UUID == 0 && ORDER_NONE == 1, "order of order");
_Static_assert(FROM_NOW == 0 && FROM_START == 1, "order of from");
_Static_assert(FULL_BLOCK == 0 && FULL_DEAD_LETTER == 1 && FULL_SKIP == 2, "order of when_full");

const struct opt pusher_table[] = {
#define PUSHER(key, member, type, also, fallback, limits, zero, text)                                                  \
    {#key,                                                                                                             \
     OPT_##type,                                                                                                       \
     fallback,                                                                                                         \
     limits,                                                                                                           \
     zero,                                                                                                             \
     true,                                                                                                             \
     text,                                                                                                             \
     offsetof(struct pusher_settings, member),                                                                         \
     offsetof(struct pusher_settings, also)},
#include "conf/pusher_options.def"
#undef PUSHER
};
const size_t pusher_table_count = COUNT_OF(pusher_table);

bool conf_option_taken(const char *name)
{
    for (size_t i = 0; i < pusher_table_count; i++)
        if (strcmp(pusher_table[i].key, name) == 0)
            return true;
    return strcmp(name, "USE") == 0;
}

size_t conf_misplaced(const struct instance *i, bool puller, struct buf *faults)
{
    static const char *const pullers[] = {"ENABLED",   "EVERY",     "CLIENT",     "TIMEOUT",
                                          "RETRY_MIN", "RETRY_MAX", "MEMORY_MAX", "CONFINE"};
    struct lines lines = {faults, 0};
    for (size_t k = 0; k < i->common_count; k++) {
        const struct conf_value *v = &i->common_values[k];
        bool fits = (strcmp(v->name, "EVERY") != 0 && strcmp(v->name, "CLIENT") != 0) || puller;
        if (puller) {
            fits = false;
            for (size_t n = 0; n < COUNT_OF(pullers); n++)
                fits = fits || strcmp(v->name, pullers[n]) == 0;
        }
        if (!fits && strcmp(v->origin, "default") != 0)
            lines_add(&lines, "%s: %s is an option of %s, and %s is a %s", v->origin, v->name,
                      puller ? "pushers" : "pullers", i->name, puller ? "puller" : "pusher");
    }
    return lines.count;
}

void pusher_check(const struct pusher_settings *s, const char *instance, struct lines *faults)
{
    char shortest[32], longest[32];
    for (size_t i = 0; s->clients != NULL && s->clients[i] != NULL; i++)
        if (!client_valid(slice_of(s->clients[i])))
            lines_add(faults, "plugin %s: CLIENTS: \"%.80s\" is no name of a client: 1 to %d letters, digits and ._@-",
                      instance, s->clients[i], CLIENT_MAX);
    if (s->client != NULL && !client_valid(slice_of(s->client)))
        lines_add(faults, "plugin %s: CLIENT: \"%.80s\" is no name of a client: 1 to %d letters, digits and ._@-",
                  instance, s->client, CLIENT_MAX);
    if (s->retry_min_ms <= s->retry_max_ms)
        return;
    value_duration_text(s->retry_min_ms, shortest);
    value_duration_text(s->retry_max_ms, longest);
    lines_add(faults, "plugin %s: RETRY_MIN (%s) is longer than RETRY_MAX (%s)", instance, shortest, longest);
}
