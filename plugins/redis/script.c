/* Row and id are written in one script, so no crash can come between them. The ids are in two sets: when the newer one
 * is full it becomes the older one, whose ids are forgotten. So between `remember` and twice as many ids are known, for
 * a price that does not grow, and nothing depends on a clock: a gateway that rests for a week still finds them.
 *
 * The answer has one element for each row: 1 written, 0 was there already, or an error's text, which is the last. */
#include "script.h"

#include "common/own_keys.h"
#include "common/rowline.h"
#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script_text[] =
    "local new, old, verb, keep, at, out = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), 3, {}\n"
    "for i = 3, #KEYS do\n"
    "  local id, last = ARGV[at], at + 1 + tonumber(ARGV[at + 1])\n"
    "  if redis.call('SISMEMBER', old, id) == 1 or redis.call('SADD', new, id) == 0 then\n"
    "    out[#out + 1] = 0\n"
    "  else\n"
    "    local said = redis.pcall(verb, KEYS[i], unpack(ARGV, at + 2, last))\n"
    "    if type(said) == 'table' and said.err then\n"
    "      redis.call('SREM', new, id)\n"
    "      out[#out + 1] = said.err\n"
    "      break\n"
    "    end\n"
    "    out[#out + 1] = 1\n"
    "  end\n"
    "  at = last + 1\n"
    "end\n"
    "if redis.call('SCARD', new) >= keep then\n"
    "  redis.call('UNLINK', old)\n"
    "  redis.call('RENAME', new, old)\n"
    "end\n"
    "return out\n";

static const char *const verbs[] = {"XADD", "RPUSH", "HSET", "PUBLISH"};

enum {
    HEAD_ARGS = 3,   /* EVAL, the script, how many keys */
    ARGS_MAX = 7000, /* what Lua's unpack() is good for, with room to spare */
    ROW_ARGS = 2,    /* the id, how many follow */
    NUMBER_SIZE = 24,
    TEXT_MAX = 1 << 30,
};

void script_init(struct script *s)
{
    *s = (struct script){.failed = 0};
    strbuf_init(&s->keys, TEXT_MAX);
    strbuf_init(&s->args, TEXT_MAX);
}

void script_fini(struct script *s)
{
    strbuf_fini(&s->keys);
    strbuf_fini(&s->args);
    free(s->key_ends);
    free(s->arg_ends);
    free(s->argv);
    free(s->lens);
    script_init(s);
}

/* Ends the text that was added to `text`. */
static void text_end(struct script *s, const struct strbuf *text, size_t **ends, size_t *count, size_t *room)
{
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 256;
        size_t *longer = realloc(*ends, more * sizeof(**ends));
        if (!longer) {
            s->failed = 1;
            return;
        }
        *ends = longer;
        *room = more;
    }
    (*ends)[(*count)++] = text->len;
}

static void key_end(struct script *s)
{
    text_end(s, &s->keys, &s->key_ends, &s->key_count, &s->key_room);
}

static void arg_end(struct script *s)
{
    text_end(s, &s->args, &s->arg_ends, &s->arg_count, &s->arg_room);
}

static void arg_add(struct script *s, const char *ptr, size_t len)
{
    strbuf_add(&s->args, ptr, len);
    arg_end(s);
}

static void arg_adds(struct script *s, const char *text)
{
    arg_add(s, text, strlen(text));
}

static void arg_number(struct script *s, int64_t n)
{
    char text[NUMBER_SIZE];
    snprintf(text, sizeof(text), "%lld", (long long)n);
    arg_adds(s, text);
}

void script_begin(struct script *s, const struct script_plan *plan)
{
    strbuf_clear(&s->keys);
    strbuf_clear(&s->args);
    s->key_count = s->arg_count = 0;
    s->failed = 0;
    strbuf_adds(&s->keys, plan->ids);
    key_end(s);
    strbuf_adds(&s->keys, plan->ids);
    strbuf_adds(&s->keys, ":before");
    key_end(s);
    arg_adds(s, verbs[plan->mode]);
    arg_number(s, plan->remember);
}

/* --- one row --- */

static void meta_add(struct script *s, enum script_form form, const struct hg_api *api, const struct hg_row *row)
{
    static const char *const plain[OWN_KEYS] = {"id", "uuid", "index", "received"};
    const char *const *names = form == FORM_JSON ? plain : own_keys;
    char id[HG_ROW_ID_SIZE], stamp[STAMP_LEN + 1];
    struct hg_text uuid = api->uuid(row);
    api->row_id(row, id);
    stamp_text(api->received(row), stamp);
    arg_adds(s, names[0]);
    arg_adds(s, id);
    arg_adds(s, names[1]);
    arg_add(s, uuid.ptr, uuid.len);
    if (api->index(row) >= 0) {
        arg_adds(s, names[2]);
        arg_number(s, api->index(row));
    }
    arg_adds(s, names[3]);
    arg_adds(s, stamp);
}

/* A JSON string's characters are never more than its bytes. */
static void arg_string(struct script *s, const struct hg_api *api, struct hg_text json)
{
    char *room = strbuf_room(&s->args, json.len + 1);
    long len = room ? api->text(json, room, json.len + 1) : -1;
    if (len < 0)
        s->failed = 1;
    else
        s->args.len += (size_t)len;
    arg_end(s);
}

/* Strings as their characters, everything else as JSON, as sent. */
static void fields_add(struct script *s, const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text data = api->data(row), key;
    struct hg_value value;
    for (size_t at = 0; api->next(data, &at, &key, &value);) {
        arg_string(s, api, (struct hg_text){key.ptr - 1, key.len + 2}); /* with its quotes */
        if (value.type == HG_STR)
            arg_string(s, api, value.json);
        else
            arg_add(s, value.json.ptr, value.json.len);
    }
}

static void values_add(struct script *s, const struct script_plan *plan, const struct hg_api *api,
                       const struct hg_row *row)
{
    struct hg_text data = api->data(row);
    if (plan->mode == MODE_LIST || plan->mode == MODE_PUBLISH) {
        rowline_add(&s->args, api, row);
        arg_end(s);
        return;
    }
    if (plan->mode == MODE_STREAM && plan->max_length > 0) {
        arg_adds(s, "MAXLEN");
        arg_adds(s, "~");
        arg_number(s, plan->max_length);
    }
    if (plan->mode == MODE_STREAM)
        arg_adds(s, "*");
    meta_add(s, plan->form, api, row);
    if (plan->form == FORM_FIELDS) {
        fields_add(s, api, row);
        return;
    }
    arg_adds(s, "data");
    arg_add(s, data.ptr, data.len);
}

/* How many follow is known only afterwards: the number is counted first, on the same way. */
static size_t values_count(const struct script_plan *plan, const struct hg_api *api, const struct hg_row *row)
{
    struct hg_text key;
    struct hg_value value;
    if (plan->mode == MODE_LIST || plan->mode == MODE_PUBLISH)
        return 1;
    size_t count = 6 + (api->index(row) >= 0 ? 2 : 0);
    if (plan->mode == MODE_STREAM)
        count += plan->max_length > 0 ? 4 : 1;
    if (plan->form == FORM_JSON)
        return count + 2;
    for (size_t at = 0; api->next(api->data(row), &at, &key, &value);)
        count += 2;
    return count;
}

const char *script_row(struct script *s, const struct script_plan *plan, const struct hg_api *api,
                       const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE];
    size_t count = values_count(plan, api, row);
    if (count > ARGS_MAX)
        return "it has more keys than one command of a Redis script can carry (about 3,500)";
    if (plan->form == FORM_FIELDS && own_key_taken(api, row))
        return OWN_KEY_TAKEN;
    template_expand(plan->key, api, row, &s->keys);
    key_end(s);
    api->row_id(row, id);
    arg_adds(s, id);
    arg_number(s, (int64_t)count);
    values_add(s, plan, api, row);
    return NULL;
}

size_t script_bytes(const struct script *s)
{
    return s->keys.len + s->args.len;
}

/* --- the command --- */

static void argv_fill(struct script *s, size_t *at, const struct strbuf *text, const size_t *ends, size_t count)
{
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        s->argv[*at] = text->ptr + from;
        s->lens[(*at)++] = ends[i] - from;
        from = ends[i];
    }
}

int script_command(struct script *s)
{
    size_t count = HEAD_ARGS + s->key_count + s->arg_count, at = HEAD_ARGS;
    if (s->failed || s->keys.failed || s->args.failed)
        return 0;
    const char **argv = realloc(s->argv, count * sizeof(*argv));
    s->argv = argv ? argv : s->argv;
    size_t *lens = realloc(s->lens, count * sizeof(*lens));
    s->lens = lens ? lens : s->lens;
    if (!argv || !lens)
        return 0;
    snprintf(s->number, sizeof(s->number), "%zu", s->key_count);
    const char *const head[] = {"EVAL", script_text, s->number};
    for (size_t i = 0; i < HEAD_ARGS; i++) {
        s->argv[i] = head[i];
        s->lens[i] = strlen(head[i]);
    }
    argv_fill(s, &at, &s->keys, s->key_ends, s->key_count);
    argv_fill(s, &at, &s->args, s->arg_ends, s->arg_count);
    return (int)count;
}
