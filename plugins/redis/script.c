/* Rows and their ids are written in one script, so no crash can come between them. The ids are in two hashes: when the
 * newer one is full it becomes the older one, whose ids are forgotten. So between `remember` and twice as many ids are
 * known, for a price that does not grow, and nothing depends on a clock: a gateway that rests for a week still finds
 * them.
 *
 * Rows of one row set differ in the end of their ids. So a field is an id without its last character, and its value is
 * these characters of all ids that are known: one look-up and one write for up to 32 rows. (An element of a set for
 * each id costs the server more than the row itself.) The field `-` is how many ids there are.
 *
 * That field is read and written before anything else: whatever would refuse the ids (a right that is missing, no
 * memory, a key of another kind) refuses there, when no row is written yet.
 *
 * Arguments: the verb, how many ids to keep, and for each row, unless it is that of the row before, its id's field; the
 * last character; how many texts follow, and these. The answer has one element for each row: 1 written, 0 was there
 * already, or an error's text, which is the last. */
#include "script.h"

#include "common/own_keys.h"
#include "common/rowline.h"
#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script_text[] = "local new, old, verb, out, at = KEYS[1], KEYS[2], ARGV[1], {}, 3\n"
                                  "local count = tonumber(redis.call('HGET', new, '-') or 0)\n"
                                  "local field, before, now, known\n"
                                  "redis.call('HGET', old, '-')\n"
                                  "redis.call('HSET', new, '-', count)\n"
                                  "local function keep()\n"
                                  "  if now ~= before then redis.call('HSET', new, field, now) end\n"
                                  "end\n"
                                  "for i = 1, #KEYS - 2 do\n"
                                  "  if #ARGV[at] > 1 then\n"
                                  "    keep()\n"
                                  "    field, at = ARGV[at], at + 1\n"
                                  "    before = redis.call('HGET', new, field) or ''\n"
                                  "    now, known = before, before .. (redis.call('HGET', old, field) or '')\n"
                                  "  end\n"
                                  "  local last = at + 1 + tonumber(ARGV[at + 1])\n"
                                  "  if string.find(known, ARGV[at], 1, true) then\n"
                                  "    out[i] = 0\n"
                                  "  else\n"
                                  "    local said = redis.pcall(verb, KEYS[2 + i], unpack(ARGV, at + 2, last))\n"
                                  "    if type(said) == 'table' and said.err then\n"
                                  "      out[i] = said.err\n"
                                  "      break\n"
                                  "    end\n"
                                  "    now = now .. ARGV[at]\n"
                                  "    count = count + 1\n"
                                  "    out[i] = 1\n"
                                  "  end\n"
                                  "  at = last + 1\n"
                                  "end\n"
                                  "keep()\n"
                                  "redis.call('HSET', new, '-', count)\n"
                                  "if count > tonumber(ARGV[2]) then\n"
                                  "  redis.call('UNLINK', old)\n"
                                  "  redis.call('RENAME', new, old)\n"
                                  "end\n"
                                  "return out\n";

static const char *const verbs[] = {"XADD", "RPUSH", "HSET", "PUBLISH"};

enum {
    FIRST_ARGS = 3,  /* EVAL, the script, how many keys */
    ARGS_MAX = 7000, /* what Lua's unpack() is good for, with room to spare */
    TEXT_MAX = 1 << 30,
};

static void texts_clear(struct texts *t)
{
    strbuf_clear(&t->bytes);
    t->count = 0;
    t->failed = 0;
}

static void texts_fini(struct texts *t)
{
    strbuf_fini(&t->bytes);
    free(t->ends);
}

/* Ends the text that was added to the bytes. */
static void texts_end(struct texts *t)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 256;
        size_t *ends = realloc(t->ends, room * sizeof(*ends));
        if (!ends) {
            t->failed = 1;
            return;
        }
        t->ends = ends;
        t->room = room;
    }
    t->ends[t->count++] = t->bytes.len;
}

static void texts_add(struct texts *t, const char *ptr, size_t len)
{
    strbuf_add(&t->bytes, ptr, len);
    texts_end(t);
}

static void texts_adds(struct texts *t, const char *text)
{
    texts_add(t, text, strlen(text));
}

static void texts_number(struct texts *t, int64_t n)
{
    strbuf_addf(&t->bytes, "%lld", (long long)n);
    texts_end(t);
}

void script_init(struct script *s)
{
    *s = (struct script){.argv = NULL};
    strbuf_init(&s->keys.bytes, TEXT_MAX);
    strbuf_init(&s->rows.bytes, TEXT_MAX);
}

void script_fini(struct script *s)
{
    texts_fini(&s->keys);
    texts_fini(&s->rows);
    free(s->argv);
    free(s->lens);
}

void script_begin(struct script *s, const struct script_plan *plan)
{
    texts_clear(&s->keys);
    texts_clear(&s->rows);
    s->field[0] = '\0';
    texts_adds(&s->keys, plan->ids);
    strbuf_adds(&s->keys.bytes, plan->ids);
    texts_adds(&s->keys, ":before");
    texts_adds(&s->rows, verbs[plan->mode]);
    texts_number(&s->rows, plan->remember);
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
    texts_adds(&s->rows, names[0]);
    texts_adds(&s->rows, id);
    texts_adds(&s->rows, names[1]);
    texts_add(&s->rows, uuid.ptr, uuid.len);
    if (api->index(row) >= 0) {
        texts_adds(&s->rows, names[2]);
        texts_number(&s->rows, api->index(row));
    }
    texts_adds(&s->rows, names[3]);
    texts_adds(&s->rows, stamp);
}

/* What the script knows the row by. */
static void id_add(struct script *s, const struct hg_api *api, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE];
    api->row_id(row, id);
    size_t len = strlen(id) - 1;
    if (strlen(s->field) != len || memcmp(s->field, id, len) != 0) {
        texts_add(&s->rows, id, len);
        memcpy(s->field, id, len);
        s->field[len] = '\0';
    }
    texts_adds(&s->rows, id + len);
}

/* A JSON string's characters are never more than its bytes. */
static void arg_string(struct script *s, const struct hg_api *api, struct hg_text json)
{
    char *room = strbuf_room(&s->rows.bytes, json.len + 1);
    long len = room ? api->text(json, room, json.len + 1) : -1;
    if (len < 0)
        s->rows.failed = 1;
    else
        s->rows.bytes.len += (size_t)len;
    texts_end(&s->rows);
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
            texts_add(&s->rows, value.json.ptr, value.json.len);
    }
}

static void values_add(struct script *s, const struct script_plan *plan, const struct hg_api *api,
                       const struct hg_row *row)
{
    struct hg_text data = api->data(row);
    if (plan->mode == MODE_LIST || plan->mode == MODE_PUBLISH) {
        rowline_add(&s->rows.bytes, api, row);
        texts_end(&s->rows);
        return;
    }
    if (plan->mode == MODE_STREAM && plan->max_length > 0) {
        texts_adds(&s->rows, "MAXLEN");
        texts_adds(&s->rows, "~");
        texts_number(&s->rows, plan->max_length);
    }
    if (plan->mode == MODE_STREAM)
        texts_adds(&s->rows, "*");
    meta_add(s, plan->form, api, row);
    if (plan->form == FORM_FIELDS) {
        fields_add(s, api, row);
        return;
    }
    texts_adds(&s->rows, "data");
    texts_add(&s->rows, data.ptr, data.len);
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
    size_t count = values_count(plan, api, row);
    if (count > ARGS_MAX)
        return "it has more keys than one command of a Redis script can carry (about 3,500)";
    if (plan->form == FORM_FIELDS && own_key_taken(api, row))
        return OWN_KEY_TAKEN;
    template_expand(plan->key, api, row, &s->keys.bytes);
    texts_end(&s->keys);
    id_add(s, api, row);
    texts_number(&s->rows, (int64_t)count);
    values_add(s, plan, api, row);
    return NULL;
}

size_t script_bytes(const struct script *s)
{
    return s->keys.bytes.len + s->rows.bytes.len;
}

/* --- the command --- */

static void argv_fill(struct script *s, size_t *at, const struct texts *t)
{
    size_t from = 0;
    for (size_t i = 0; i < t->count; i++) {
        s->argv[*at] = t->bytes.ptr + from;
        s->lens[(*at)++] = t->ends[i] - from;
        from = t->ends[i];
    }
}

static int texts_fine(const struct texts *t)
{
    return !t->failed && !t->bytes.failed;
}

int script_command(struct script *s)
{
    size_t count = FIRST_ARGS + s->keys.count + s->rows.count, at = FIRST_ARGS;
    if (!texts_fine(&s->keys) || !texts_fine(&s->rows))
        return 0;
    const char **argv = realloc(s->argv, count * sizeof(*argv));
    s->argv = argv ? argv : s->argv;
    size_t *lens = realloc(s->lens, count * sizeof(*lens));
    s->lens = lens ? lens : s->lens;
    if (!argv || !lens)
        return 0;
    snprintf(s->number, sizeof(s->number), "%zu", s->keys.count);
    const char *const first[] = {"EVAL", script_text, s->number};
    for (size_t i = 0; i < FIRST_ARGS; i++) {
        s->argv[i] = first[i];
        s->lens[i] = strlen(first[i]);
    }
    argv_fill(s, &at, &s->keys);
    argv_fill(s, &at, &s->rows);
    return (int)count;
}
