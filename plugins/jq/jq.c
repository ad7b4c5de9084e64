/* jq: a processor in jq's language. SELECT says which rows pass, FILTER what becomes of their data; WHEN of a pusher is
 * this processor with that expression as its SELECT.
 *
 * Programs are compiled once for each worker, because a jq_state belongs to one thread. They see one row at a time, as
 * an object. A program that fails on a row would fail again, so the row is refused with jq's words; it is the
 * operator's to mend the program and send the dead letters again. */
#include "headgate.h"

#include "common/reason.h"
#include "jq/tree.h"

#include <jq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAX = 256 << 20, WHY_SIZE = 600 };

struct config {
    const char *select, *filter;
    int32_t big;
};

static const struct hg_option options[] = {
    {"SELECT", HG_STRING, 0, NULL, NULL,
     "Only rows for which this program gives something that is neither false nor null go on; the others are skipped.",
     NULL, offsetof(struct config, select)},
    {"FILTER", HG_STRING, 0, NULL, NULL,
     "What this program gives, one object, is the row's data from now on; a row for which it gives nothing is skipped.",
     NULL, offsetof(struct config, filter)},
    {"BIG_NUMBERS", HG_CHOICE, 0, "keep", "keep|string|reject",
     "Numbers with more digits than a double holds: what is not changed keeps its digits; they are strings in the "
     "programs; "
     "or rows with one are refused.",
     NULL, offsetof(struct config, big)},
};

struct worker {
    const struct hg_api *api;
    jq_state *select, *filter;
    struct tree tree;
    struct strbuf out;
    char said[WHY_SIZE]; /* by jq when it compiled */
};

/* --- programs --- */

static void note_error(void *arg, jv message)
{
    struct worker *w = arg;
    if (w->said[0] == '\0' && jv_get_kind(message) == JV_KIND_STRING) {
        const char *text = jv_string_value(message);
        reason_line(w->said, sizeof(w->said), strncmp(text, "jq: error: ", 11) == 0 ? text + 11 : text);
    }
    jv_free(message);
}

/* enum hg_open_result. */
static int compile(struct worker *w, struct hg_host *host, const char *name, const char *program, jq_state **out)
{
    char why[WHY_SIZE + 40];
    if (!program || program[0] == '\0')
        return HG_OPEN_OK;
    *out = jq_init();
    if (!*out) {
        w->api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->said[0] = '\0';
    jq_set_error_cb(*out, note_error, w);
    jq_set_attr(*out, jv_string("JQ_LIBRARY_PATH"), jv_array()); /* no modules; without the list `import` aborts */
    if (jq_compile(*out, program))
        return HG_OPEN_OK;
    snprintf(why, sizeof(why), "%s is no jq program: %s", name, w->said[0] != '\0' ? w->said : "it does not compile");
    w->api->fail(host, why);
    return HG_OPEN_BROKEN;
}

/* jq's own words about a value that is invalid; consumed. */
static void take_error(struct worker *w, const char *name, jv invalid)
{
    char line[WHY_SIZE - 40];
    jv message = jv_invalid_get_msg(invalid);
    if (jv_get_kind(message) != JV_KIND_STRING)
        message = jv_dump_string(message, 0);
    reason_line(line, sizeof(line), jv_string_value(message));
    snprintf(w->tree.why, sizeof(w->tree.why), "%s: %s", name, line);
    jv_free(message);
}

/* What the program gives next. Invalid: nothing more, or it failed and `why` is set. */
static jv program_next(struct worker *w, const char *name, jq_state *jq)
{
    jv result = jq_next(jq);
    if (jv_is_valid(result))
        return result;
    if (jv_invalid_has_msg(jv_copy(result))) {
        take_error(w, name, result);
        return jv_invalid();
    }
    jv_free(result);
    if (jq_halted(jq))
        snprintf(w->tree.why, sizeof(w->tree.why), "%s: it was halted", name);
    return jv_invalid();
}

/* --- a row --- */

static jv text_value(struct hg_text text)
{
    return jv_string_sized(text.len > 0 ? text.ptr : "", (int)text.len);
}

static jv row_tags(const struct worker *w, const struct hg_row *row)
{
    jv tags = jv_object();
    struct hg_text name, value;
    for (size_t n = 0; w->api->tag_at(row, n, &name, &value); n++)
        tags = jv_object_set(tags, text_value(name), text_value(value));
    return tags;
}

/* The row as programs see it, or invalid. */
static jv row_value(struct worker *w, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE];
    struct hg_value whole = {.type = HG_OBJECT, .json = w->api->data(row)};
    jv data = tree_read(&w->tree, &whole);
    if (!jv_is_valid(data))
        return data;
    int64_t index = w->api->index(row);
    w->api->row_id(row, id);
    jv all = jv_object_set(jv_object(), jv_string("data"), data);
    all = jv_object_set(all, jv_string("uuid"), text_value(w->api->uuid(row)));
    all = jv_object_set(all, jv_string("index"), index < 0 ? jv_null() : jv_number((double)index));
    all = jv_object_set(all, jv_string("number"), jv_number(w->api->number(row)));
    all = jv_object_set(all, jv_string("tags"), row_tags(w, row));
    all = jv_object_set(all, jv_string("client"), text_value(w->api->client(row)));
    all = jv_object_set(all, jv_string("id"), jv_string(id));
    return jv_object_set(all, jv_string("received"), jv_number((double)w->api->received(row) / 1e6));
}

/* Does any result say yes? Consumes `row`. */
static int row_selected(struct worker *w, jv row)
{
    int selected = 0;
    jq_start(w->select, row, 0);
    while (!selected) {
        jv result = program_next(w, "SELECT", w->select);
        if (!jv_is_valid(result))
            return 0;
        jv_kind kind = jv_get_kind(result);
        selected = kind != JV_KIND_FALSE && kind != JV_KIND_NULL;
        jv_free(result);
    }
    return selected;
}

/* The one object that FILTER gives, into w->out. 1; 0: nothing, or `why` says what is wrong. Consumes `row`. */
static int row_filtered(struct worker *w, jv row)
{
    jq_start(w->filter, row, 0);
    jv result = program_next(w, "FILTER", w->filter);
    if (!jv_is_valid(result))
        return 0;
    jv more = program_next(w, "FILTER", w->filter);
    if (jv_is_valid(more))
        snprintf(w->tree.why, sizeof(w->tree.why), "FILTER: it gives more than one result");
    else if (w->tree.why[0] == '\0' && jv_get_kind(result) != JV_KIND_OBJECT)
        snprintf(w->tree.why, sizeof(w->tree.why), "FILTER: it gives no object but %s",
                 jv_kind_name(jv_get_kind(result)));
    jv_free(more);
    if (w->tree.why[0] != '\0') {
        jv_free(result);
        return 0;
    }
    strbuf_clear(&w->out);
    return tree_write(&w->tree, result, &w->out);
}

static void row_process(struct worker *w, struct hg_rows *rows, size_t n)
{
    w->tree.why[0] = '\0';
    w->tree.nomem = 0;
    numbers_clear(&w->tree.numbers);
    strbuf_clear(&w->tree.text);
    jv row = row_value(w, w->api->row(rows, n));
    int goes_on = jv_is_valid(row) && (!w->select || row_selected(w, jv_copy(row)));
    int changed = goes_on && w->filter && row_filtered(w, jv_copy(row));
    jv_free(row);
    if (w->tree.nomem)
        w->api->judge(rows, n, HG_RETRY, 0, "no memory");
    else if (w->tree.why[0] != '\0')
        w->api->judge(rows, n, HG_REJECT, 0, w->tree.why);
    else if (!goes_on || (w->filter && !changed))
        w->api->judge(rows, n, HG_SKIP, 0, NULL);
    else if (changed)
        w->api->set_data(rows, n, w->out.ptr, w->out.len);
}

static int process(void *state, struct hg_rows *rows)
{
    struct worker *w = state;
    size_t count = w->api->row_count(rows);
    for (size_t n = 0; n < count; n++)
        row_process(w, rows, n);
    return HG_ALL_OK;
}

/* --- open and close --- */

static void close_worker(void *state)
{
    struct worker *w = state;
    if (w->select)
        jq_teardown(&w->select);
    if (w->filter)
        jq_teardown(&w->filter);
    numbers_fini(&w->tree.numbers);
    strbuf_fini(&w->tree.text);
    strbuf_fini(&w->out);
    free(w);
}

static int open_worker(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    w->api = w->tree.api = api;
    w->tree.big = c->big;
    strbuf_init(&w->tree.text, ROW_MAX);
    strbuf_init(&w->out, ROW_MAX);
    int result = compile(w, host, "SELECT", c->select, &w->select);
    if (result == HG_OPEN_OK)
        result = compile(w, host, "FILTER", c->filter, &w->filter);
    if (result == HG_OPEN_OK && !w->select && !w->filter) {
        api->fail(host, "SELECT or FILTER must be set");
        result = HG_OPEN_BROKEN;
    }
    if (result == HG_OPEN_OK)
        *state = w;
    else
        close_worker(w);
    return result;
}

static const struct hg_processor processor = {
    .size = sizeof(struct hg_processor),
    .open = open_worker,
    .close = close_worker,
    .process = process,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PROCESSOR,
    .name = "jq",
    .version = "1.0",
    .summary = "Selects and rewrites rows in jq's language; what WHEN of a pusher is asked of.",
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
