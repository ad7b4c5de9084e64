/* mask: a processor that hides texts by their names, however deep they stand, but for their last characters.
 *
 * With jansson's trees (headgate_jansson.h), because it changes values inside of values. A tree costs the text of
 * numbers that are no integers, so a row in which nothing is hidden is left as it was sent. A field of such a name that
 * is no text (a card's number as a number) is refused: what cannot be hidden must not go on. */
#include <headgate.h>
#include <headgate_jansson.h>

#include <stdlib.h>
#include <string.h>

struct config {
    struct hg_list names;
    int64_t show;
};

struct mask { /* one for each worker */
    const struct hg_api *api;
    const struct config *config;
    int hidden, refused, nomem; /* of the row at hand */
};

static int mask_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    struct mask *m = calloc(1, sizeof *m);
    if (m == NULL) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    m->api = api;
    m->config = config;
    *state = m;
    return HG_OPEN_OK;
}

static int named(const struct mask *m, const char *key)
{
    for (size_t i = 0; i < m->config->names.count; i++)
        if (strcmp(m->config->names.items[i], key) == 0)
            return 1;
    return 0;
}

/* Every character but the last `show` becomes `*`; a byte that continues a character of UTF-8 goes. NULL: no memory. */
static json_t *hide_text(const char *text, size_t show)
{
    size_t characters = 0, at = 0, out = 0;
    for (const char *c = text; *c != '\0'; c++)
        characters += ((unsigned char)*c & 0xC0) != 0x80;
    char *hidden = malloc(strlen(text) + 1);
    for (const char *c = text; hidden != NULL && *c != '\0'; c++) {
        int begins = ((unsigned char)*c & 0xC0) != 0x80;
        at += (size_t)begins;
        if (at + show > characters)
            hidden[out++] = *c;
        else if (begins)
            hidden[out++] = '*';
    }
    json_t *value = hidden == NULL ? NULL : json_stringn(hidden, out);
    free(hidden);
    return value;
}

static void walk(struct mask *m, json_t *value, int inside);

/* A text of a name that is hidden, or of one of the arrays below it. NULL: leave it. */
static json_t *replaced(struct mask *m, json_t *value, int inside)
{
    if (!inside || json_is_null(value))
        return NULL;
    if (json_is_string(value)) {
        json_t *hidden = hide_text(json_string_value(value), (size_t)m->config->show);
        m->hidden = 1;
        m->nomem = m->nomem || hidden == NULL;
        return hidden;
    }
    m->refused = m->refused || !json_is_array(value);
    return NULL;
}

static void walk_object(struct mask *m, json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        int inside = named(m, key);
        json_t *other = replaced(m, value, inside);
        if (other != NULL)
            m->nomem = json_object_set_new(object, key, other) != 0 || m->nomem;
        else
            walk(m, value, inside);
    }
}

static void walk(struct mask *m, json_t *value, int inside)
{
    size_t i;
    json_t *item;
    if (json_is_object(value))
        walk_object(m, value);
    json_array_foreach(value, i, item)
    {
        json_t *other = replaced(m, item, inside);
        if (other != NULL)
            m->nomem = json_array_set_new(value, i, other) != 0 || m->nomem;
        else
            walk(m, item, inside);
    }
}

static void mask_row(struct mask *m, struct hg_rows *rows, size_t n)
{
    json_t *data = hg_json_data(m->api, m->api->row(rows, n));
    if (data == NULL) {
        m->api->judge(rows, n, HG_RETRY, 0, "no memory");
        return;
    }
    m->hidden = m->refused = m->nomem = 0;
    walk(m, data, 0);
    if (m->nomem)
        m->api->judge(rows, n, HG_RETRY, 0, "no memory");
    else if (m->refused)
        m->api->judge(rows, n, HG_REJECT, 0, "a field that is to be hidden is no text");
    else if (m->hidden)
        (void)hg_json_set(m->api, rows, n, data);
    json_decref(data);
}

static int mask_process(void *state, struct hg_rows *rows)
{
    struct mask *m = state;
    size_t count = m->api->row_count(rows);
    for (size_t n = 0; n < count; n++)
        mask_row(m, rows, n);
    return HG_ALL_OK;
}

static const struct hg_option options[] = {
    {
        .name = "NAMES",
        .type = HG_LIST,
        .flags = HG_REQUIRED,
        .text = "Fields whose texts are hidden, wherever they stand.",
        .offset = offsetof(struct config, names),
    },
    {
        .name = "SHOW",
        .type = HG_INTEGER,
        .fallback = "4",
        .limits = "0..1000",
        .text = "So many characters at the end stay.",
        .offset = offsetof(struct config, show),
    },
};

static const struct hg_processor processor = {
    .size = sizeof processor,
    .open = mask_open,
    .close = free,
    .process = mask_process,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof plugin,
    .kind = HG_PROCESSOR,
    .name = "mask",
    .version = "1.0",
    .summary = "Hides texts by their names, but for their last characters.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof *options,
    .config_size = sizeof(struct config),
    .processor = &processor,
};

const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}
