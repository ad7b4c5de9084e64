/* Each option names fields; here each field gets what all of them say of it, so that a row's fields are looked up once.
 * What would depend on the order of options (a field masked and hashed, two fields of one name) is a contradiction. */
#include "fields/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int by_name(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;
    return by_text(x->name, strlen(x->name), y->name, strlen(y->name));
}

static struct rule *rule_of(struct rules *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->all[i].name, name) == 0)
            return &r->all[i];
    r->all[r->count] = (struct rule){.name = name};
    return &r->all[r->count++];
}

static int rule_act(struct rules *r, const char *name, enum rule_action action, char *why, size_t size)
{
    struct rule *rule = rule_of(r, name);
    if (rule->action != RULE_NONE) {
        snprintf(why, size, "the field %s stands in two of DROP, MASK, HASH and CAST, or twice", name);
        return 0;
    }
    rule->action = action;
    return 1;
}

static int act_all(struct rules *r, const struct hg_list *names, enum rule_action action, char *why, size_t size)
{
    for (size_t i = 0; i < names->count; i++)
        if (!rule_act(r, names->items[i], action, why, size))
            return 0;
    return 1;
}

static int cast_all(struct rules *r, const struct hg_map *casts, char *why, size_t size)
{
    static const char *const types[] = {"string", "integer", "number", "boolean"};
    for (size_t i = 0; i < casts->count; i++) {
        size_t type = 0;
        while (type < 4 && strcmp(casts->values[i], types[type]) != 0)
            type++;
        if (type == 4) {
            snprintf(why, size, "CAST: '%s' is not one of string, integer, number, boolean", casts->values[i]);
            return 0;
        }
        if (!rule_act(r, casts->names[i], RULE_CAST, why, size))
            return 0;
        rule_of(r, casts->names[i])->type = (enum rule_type)type;
    }
    return 1;
}

static int rename_all(struct rules *r, const struct hg_map *names, char *why, size_t size)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->values[i][0] == '\0') {
            snprintf(why, size, "RENAME: %s gets no name", names->names[i]);
            return 0;
        }
        for (size_t k = 0; k < i; k++)
            if (strcmp(names->values[i], names->values[k]) == 0) {
                snprintf(why, size, "RENAME: %s and %s would both be called %s", names->names[k], names->names[i],
                         names->values[i]);
                return 0;
            }
        rule_of(r, names->names[i])->renamed = names->values[i];
    }
    return 1;
}

int rules_make(struct rules *r, const struct rule_options *o, char *why, size_t size)
{
    size_t most = o->keep.count + o->drop.count + o->mask.count + o->hash.count + o->rename.count + o->cast.count;
    *r = (struct rules){.all = calloc(most + 1, sizeof(*r->all)), .keeping = o->keep.count > 0};
    if (!r->all)
        return -1;
    for (size_t i = 0; i < o->keep.count; i++)
        rule_of(r, o->keep.items[i])->kept = 1;
    if (!act_all(r, &o->drop, RULE_DROP, why, size) || !act_all(r, &o->mask, RULE_MASK, why, size) ||
        !act_all(r, &o->hash, RULE_HASH, why, size) || !cast_all(r, &o->cast, why, size) ||
        !rename_all(r, &o->rename, why, size))
        return 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->all[i].kept && r->all[i].action == RULE_DROP) {
            snprintf(why, size, "the field %s stands in both KEEP and DROP", r->all[i].name);
            return 0;
        }
    qsort(r->all, r->count, sizeof(*r->all), by_name);
    return 1;
}

void rules_fini(struct rules *r)
{
    free(r->all);
    *r = (struct rules){0};
}

const struct rule *rules_find(const struct rules *r, struct hg_text name)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *there = r->all[middle].name;
        int order = by_text(name.ptr, name.len, there, strlen(there));
        if (order == 0)
            return &r->all[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
