/* fields: a processor that keeps, drops, masks, hashes, casts and renames the fields of a row's data.
 *
 * All options name fields as they were posted; what a field becomes is written at the place it stood at. A value that
 * is not named is copied as it was sent, so its digits and its order survive. A row that cannot be made what the
 * options ask for is refused: half a mask is none. Nothing outside a row has a say, so the same row always becomes the
 * same. */
#include "headgate.h"

#include "common/jsontext.h"
#include "common/strbuf.h"
#include "fields/cast.h"
#include "fields/rules.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAX = 256 << 20, WHY_SIZE = 600 };

struct config {
    struct rule_options rules;
    const char *mask_with, *hash_key;
};

#define RULE(member) offsetof(struct config, rules.member)

static const struct hg_option options[] = {
    {"KEEP", HG_LIST, 0, NULL, NULL, "Only these fields stay.", NULL, RULE(keep)},
    {"DROP", HG_LIST, 0, NULL, NULL, "These fields go.", NULL, RULE(drop)},
    {"MASK", HG_LIST, 0, NULL, NULL, "The values of these fields are replaced by MASK_WITH, whatever they are.", NULL,
     RULE(mask)},
    {"MASK_WITH", HG_STRING, 0, "***", NULL, "The text that masked fields have.", NULL,
     offsetof(struct config, mask_with)},
    {"HASH", HG_LIST, 0, NULL, NULL,
     "The values of these fields are replaced by a SHA-256 digest in hexadecimal: of a string's characters, of another "
     "value's text as it was sent.",
     NULL, RULE(hash)},
    {"HASH_KEY", HG_STRING, HG_SECRET, NULL, NULL,
     "Makes the digests HMAC-SHA256 with this key. Without one, whoever can guess a value can prove the guess.", NULL,
     offsetof(struct config, hash_key)},
    {"CAST", HG_MAP, 0, NULL, NULL,
     "Types of fields, as `price=number,count=integer`: string, integer, number or boolean. null stays null; a row "
     "whose "
     "value is none of its type is refused.",
     NULL, RULE(cast)},
    {"RENAME", HG_MAP, 0, NULL, NULL, "New names of fields, as `old=new,older=newer`.", NULL, RULE(rename)},
};

struct worker {
    const struct hg_api *api;
    const struct config *config;
    struct rules rules;
    struct strbuf out, plain;
    char why[WHY_SIZE];
};

/* --- one field --- */

/* The characters of a JSON string into `plain`, which holds until the next one; other values as they are. */
static struct hg_text plain_text(struct worker *w, struct hg_text json, int string)
{
    if (!string)
        return json;
    strbuf_clear(&w->plain);
    char *room = strbuf_room(&w->plain, json.len + 1);
    long len = room ? w->api->text(json, room, json.len + 1) : -1;
    w->out.failed |= len < 0;
    return (struct hg_text){room, len < 0 ? 0 : (size_t)len};
}

/* A key as its characters: the bytes between the quotes, unless there is an escape among them. */
static struct hg_text key_text(struct worker *w, struct hg_text key)
{
    if (!memchr(key.ptr, '\\', key.len))
        return key;
    return plain_text(w, (struct hg_text){key.ptr - 1, key.len + 2}, 1);
}

static void add_hash(struct worker *w, struct hg_text plain)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    const char *key = w->config->hash_key;
    int ok = key ? HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)plain.ptr, plain.len, digest,
                        &length) != NULL
                 : EVP_Digest(plain.ptr, plain.len, digest, &length, EVP_sha256(), NULL);
    w->out.failed |= !ok;
    strbuf_addc(&w->out, '"');
    for (unsigned i = 0; ok && i < length; i++)
        strbuf_addf(&w->out, "%02x", digest[i]);
    strbuf_addc(&w->out, '"');
}

/* 1, or 0 with the reason in w->why. */
static int add_value(struct worker *w, const struct rule *rule, const struct hg_value *value)
{
    enum rule_action action = rule ? rule->action : RULE_NONE;
    const char *why = NULL;
    switch (action) {
    case RULE_NONE:
    case RULE_DROP: strbuf_add(&w->out, value->json.ptr, value->json.len); break;
    case RULE_MASK: jsontext_add(&w->out, (struct hg_text){w->config->mask_with, strlen(w->config->mask_with)}); break;
    case RULE_HASH: add_hash(w, plain_text(w, value->json, value->type == HG_STR)); break;
    case RULE_CAST:
        why = cast_add(&w->out, rule->type, value, plain_text(w, value->json, value->type == HG_STR));
        if (why)
            snprintf(w->why, sizeof(w->why), "the field %.300s %s", rule->name, why);
        break;
    }
    return why == NULL;
}

static void add_key(struct worker *w, const struct rule *rule, struct hg_text key)
{
    if (rule && rule->renamed) {
        jsontext_add(&w->out, (struct hg_text){rule->renamed, strlen(rule->renamed)});
        return;
    }
    strbuf_addc(&w->out, '"');
    strbuf_add(&w->out, key.ptr, key.len);
    strbuf_addc(&w->out, '"');
}

/* --- one row --- */

static int stays(const struct worker *w, const struct rule *rule)
{
    return rule ? rule->action != RULE_DROP && (rule->kept || !w->rules.keeping) : !w->rules.keeping;
}

/* A name that a field was given must not be another's. */
static int names_differ(struct worker *w, const struct hg_row *row)
{
    struct hg_value other, field;
    for (size_t i = 0; i < w->rules.count; i++) {
        const struct rule *rule = &w->rules.all[i], *taken;
        if (!rule->renamed || strcmp(rule->renamed, rule->name) == 0 || !stays(w, rule) ||
            !w->api->field(row, rule->name, &field) || !w->api->field(row, rule->renamed, &other))
            continue;
        taken = rules_find(&w->rules, (struct hg_text){rule->renamed, strlen(rule->renamed)});
        if (!stays(w, taken) || (taken && taken->renamed))
            continue;
        snprintf(w->why, sizeof(w->why), "%.200s cannot be renamed: there is a field %.200s already", rule->name,
                 rule->renamed);
        return 0;
    }
    return 1;
}

/* The row's new data into w->out. 1, or 0 with the reason in w->why. */
static int row_write(struct worker *w, const struct hg_row *row)
{
    struct hg_text data = w->api->data(row), key;
    struct hg_value value;
    size_t at = 0;
    int more = 0;
    strbuf_clear(&w->out);
    strbuf_addc(&w->out, '{');
    while (w->api->next(data, &at, &key, &value)) {
        const struct rule *rule = rules_find(&w->rules, key_text(w, key));
        if (!stays(w, rule))
            continue;
        if (more++)
            strbuf_addc(&w->out, ',');
        add_key(w, rule, key);
        strbuf_addc(&w->out, ':');
        if (!add_value(w, rule, &value))
            return 0;
    }
    strbuf_addc(&w->out, '}');
    return 1;
}

static int fields_process(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    for (size_t n = 0; n < count; n++) {
        const struct hg_row *row = w->api->row(rows, n);
        if (!names_differ(w, row) || !row_write(w, row))
            w->api->judge(rows, n, HG_REJECT, 0, w->why);
        else if (w->out.failed)
            w->api->judge(rows, n, HG_RETRY, 0, "no memory");
        else
            w->api->set_data(rows, n, w->out.ptr, w->out.len);
    }
    return HG_ALL_OK;
}

/* --- open and close --- */

static void fields_close(void *state)
{
    struct worker *w = state;
    rules_fini(&w->rules);
    strbuf_fini(&w->out);
    strbuf_fini(&w->plain);
    free(w);
}

static int fields_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->api = api;
    w->config = config;
    strbuf_init(&w->out, ROW_MAX);
    strbuf_init(&w->plain, ROW_MAX);
    int made = rules_make(&w->rules, &w->config->rules, w->why, sizeof(w->why));
    if (made == 1) {
        *state = w;
        return HG_OPEN_OK;
    }
    api->fail(host, made == 0 ? w->why : "no memory");
    fields_close(w);
    return made == 0 ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

static const struct hg_processor processor = {
    .size = sizeof(struct hg_processor),
    .open = fields_open,
    .close = fields_close,
    .process = fields_process,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PROCESSOR,
    .name = "fields",
    .version = "1.0",
    .summary = "Keeps, drops, masks, hashes, casts and renames fields of rows.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(struct hg_option),
    .config_size = sizeof(struct config),
    .processor = &processor,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}
