/* The setup text: the daemon writes it into a file that only the host can read, the host reads it once before it opens
 * anything. It carries secrets, so its copies are wiped when they are freed.
 *
 * Numbers and names stand in their lines; whatever may hold any byte (settings, durable state) is counted. */
#include "host/setup.h"

#include "host/fields.h"

#include <headgate.h>
#include <stdlib.h>

enum { SETTINGS_MAX = 512, SETTING_MAX = 1024 * 1024, TEXT_MAX = 4096, NAME_LENGTH_MAX = 64 };

/* The fields that stand once, as bits of what was seen. */
enum once {
    ONCE_INSTANCE = 1,
    ONCE_PLUGIN = 2,
    ONCE_LOCK = 4,
    ONCE_WORKERS = 8,
    ONCE_BATCH_ROWS = 16,
    ONCE_BATCH_BYTES = 32,
    ONCE_TIMEOUT_MS = 64,
    ONCE_CONFINE = 128,
    ONCE_STATE = 256,
    ONCE_TRIAL = 512,
    ONCE_CLIENTS = 1024
};

static const struct {
    const char *name;
    enum once bit;
} once_table[] = {
    {"instance", ONCE_INSTANCE},     {"plugin", ONCE_PLUGIN},         {"lock", ONCE_LOCK},
    {"workers", ONCE_WORKERS},       {"batch_rows", ONCE_BATCH_ROWS}, {"batch_bytes", ONCE_BATCH_BYTES},
    {"timeout_ms", ONCE_TIMEOUT_MS}, {"confine", ONCE_CONFINE},       {"state", ONCE_STATE},
    {"clients", ONCE_CLIENTS},       {"trial", ONCE_TRIAL},
};

static void wipe(char **text, size_t len)
{
    if (*text != NULL)
        explicit_bzero(*text, len);
    free(*text);
    *text = NULL;
}

void setup_fini(struct setup *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->settings[i].name);
        wipe(&s->settings[i].value, s->settings[i].value == NULL ? 0 : strlen(s->settings[i].value));
    }
    free(s->settings);
    for (size_t i = 0; i < s->processor_count; i++)
        setup_fini(&s->processors[i]);
    free(s->processors);
    wipe(&s->state, s->state_len);
    free(s->instance);
    free(s->plugin);
    free(s->lock);
    free(s->clients);
    *s = (struct setup){0};
}

static bool is_line(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= TEXT_MAX && strchr(text, '\n') == NULL;
}

static bool is_option_name(const char *name, size_t len)
{
    if (len == 0 || len > NAME_LENGTH_MAX || name[0] < 'A' || name[0] > 'Z')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
            return false;
    return true;
}

/* --- writing --- */

/* A path with a newline in it cannot be said in a line: ERR_SYNTAX. */
static int put_line(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return ERR_OK;
    return is_line(text) ? buf_addf(out, "%s %s\n", name, text) : ERR_SYNTAX;
}

static int put_settings(const struct setup *s, struct buf *out)
{
    int code = s->count > SETTINGS_MAX ? ERR_LIMIT : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < s->count; i++) {
        const struct setting *one = &s->settings[i];
        if (!is_option_name(one->name, strlen(one->name)))
            return ERR_SYNTAX;
        if (strlen(one->value) > SETTING_MAX)
            return ERR_LIMIT;
        code = fields_put_bytes(out, "set", one->name, slice_of(one->value));
    }
    return code;
}

static int put_all(const struct setup *s, struct buf *out)
{
    int code = put_line(out, "instance", s->instance);
    if (code == ERR_OK)
        code = put_line(out, "plugin", s->plugin);
    if (code == ERR_OK)
        code = put_line(out, "lock", s->lock);
    if (code == ERR_OK)
        code = fields_put_number(out, "workers", s->workers);
    if (code == ERR_OK)
        code = fields_put_number(out, "batch_rows", s->batch_rows);
    if (code == ERR_OK)
        code = fields_put_number(out, "batch_bytes", s->batch_bytes);
    if (code == ERR_OK)
        code = fields_put_number(out, "timeout_ms", (uint64_t)s->timeout_ms);
    if (code == ERR_OK)
        code = put_line(out, "confine", s->confine ? "yes" : "no");
    if (code == ERR_OK && s->trial)
        code = put_line(out, "trial", "yes");
    if (code == ERR_OK)
        code = put_line(out, "clients", s->clients);
    if (code == ERR_OK)
        code = put_settings(s, out);
    if (code == ERR_OK && s->state_len > 0)
        code = s->state_len > HG_STATE_MAX ? ERR_LIMIT
                                           : fields_put_bytes(out, "state", NULL, slice_make(s->state, s->state_len));
    return code;
}

/* Last, for what follows a processor's name is its own. */
static int put_processors(const struct setup *s, struct buf *out)
{
    int code = s->processor_count > PROCESSORS_MAX ? ERR_LIMIT : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < s->processor_count; i++) {
        const struct setup *p = &s->processors[i];
        if (p->instance == NULL || p->plugin == NULL)
            return ERR_MISSING;
        code = put_line(out, "processor", p->instance);
        if (code == ERR_OK)
            code = put_line(out, "loads", p->plugin);
        if (code == ERR_OK)
            code = put_settings(p, out);
    }
    return code;
}

int setup_write(const struct setup *s, struct buf *out)
{
    size_t before = out->len;
    if (s->instance == NULL || s->plugin == NULL)
        return ERR_MISSING;
    if (s->timeout_ms < 0)
        return ERR_RANGE;
    int code = put_all(s, out);
    if (code == ERR_OK)
        code = put_processors(s, out);
    if (code != ERR_OK)
        out->len = before;
    return code;
}

/* --- reading --- */

static int read_line(struct slice value, char **out, struct err *e)
{
    if (value.len == 0 || value.len > TEXT_MAX || memchr(value.ptr, '\0', value.len) != NULL)
        return err_set(e, ERR_SYNTAX, "a text in the setup is empty, too long or holds a NUL byte");
    *out = strndup(value.ptr, value.len);
    return *out == NULL ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

static int read_u32(struct slice value, uint32_t *out, struct err *e)
{
    uint64_t n = 0;
    int code = fields_number(value, UINT32_MAX, NULL, &n, e);
    *out = (uint32_t)n;
    return code;
}

static int read_flag(struct slice value, const char *name, bool *out, struct err *e)
{
    *out = slice_is(value, "yes");
    return *out || slice_is(value, "no") ? ERR_OK : err_set(e, ERR_SYNTAX, "%s in the setup is not yes or no", name);
}

static int read_state(struct fields *f, struct slice value, struct setup *out, struct err *e)
{
    uint64_t count = 0;
    int code = fields_number(value, HG_STATE_MAX, NULL, &count, e);
    if (code == ERR_OK)
        code = fields_bytes(f, count, &out->state, e);
    if (code == ERR_OK)
        out->state_len = (size_t)count;
    return code;
}

static int read_set(struct fields *f, struct slice value, struct setup *out, struct err *e)
{
    struct slice name = {0};
    uint64_t count = 0;
    int code = fields_number(value, SETTING_MAX, &name, &count, e);
    if (code != ERR_OK)
        return code;
    if (!is_option_name(name.ptr, name.len))
        return err_set(e, ERR_SYNTAX, "a setting's name is not one");
    for (size_t i = 0; i < out->count; i++)
        if (slice_is(name, out->settings[i].name))
            return err_set(e, ERR_SYNTAX, "the setting %s stands twice", out->settings[i].name);
    if (out->count == SETTINGS_MAX)
        return err_set(e, ERR_LIMIT, "there are more than %d settings", SETTINGS_MAX);
    if (count < f->left.len && memchr(f->left.ptr, '\0', (size_t)count) != NULL)
        return err_set(e, ERR_SYNTAX, "a setting holds a NUL byte");
    if (out->settings == NULL && (out->settings = calloc(SETTINGS_MAX, sizeof *out->settings)) == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    struct setting *one = &out->settings[out->count];
    code = fields_bytes(f, count, &one->value, e);
    if (code != ERR_OK)
        return code;
    out->count++;
    one->name = strndup(name.ptr, name.len);
    return one->name == NULL ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

static int read_once(struct fields *f, enum once which, struct slice value, struct setup *out, struct err *e)
{
    uint64_t n = 0;
    int code;
    switch (which) {
    case ONCE_INSTANCE: return read_line(value, &out->instance, e);
    case ONCE_PLUGIN: return read_line(value, &out->plugin, e);
    case ONCE_LOCK: return read_line(value, &out->lock, e);
    case ONCE_WORKERS: return read_u32(value, &out->workers, e);
    case ONCE_BATCH_ROWS: return read_u32(value, &out->batch_rows, e);
    case ONCE_BATCH_BYTES: return fields_number(value, UINT64_MAX, NULL, &out->batch_bytes, e);
    case ONCE_TIMEOUT_MS:
        code = fields_number(value, INT64_MAX, NULL, &n, e);
        out->timeout_ms = (int64_t)n;
        return code;
    case ONCE_CONFINE: return read_flag(value, "confine", &out->confine, e);
    case ONCE_TRIAL: return read_flag(value, "trial", &out->trial, e);
    case ONCE_STATE: return read_state(f, value, out, e);
    case ONCE_CLIENTS: return read_line(value, &out->clients, e);
    }
    return err_set(e, ERR_INTERNAL, "unknown field");
}

static int read_processor(struct slice value, struct setup *out, struct err *e)
{
    if (out->processor_count == PROCESSORS_MAX)
        return err_set(e, ERR_LIMIT, "there are more than %d processors", PROCESSORS_MAX);
    if (out->processors == NULL && (out->processors = calloc(PROCESSORS_MAX, sizeof *out->processors)) == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    return read_line(value, &out->processors[out->processor_count++].instance, e);
}

/* Each has a file. */
static bool processors_complete(const struct setup *s)
{
    for (size_t i = 0; i < s->processor_count; i++)
        if (s->processors[i].plugin == NULL)
            return false;
    return true;
}

static int read_field(struct fields *f, struct slice name, struct slice value, unsigned *seen, struct setup *out,
                      struct err *e)
{
    struct setup *last = out->processor_count == 0 ? NULL : &out->processors[out->processor_count - 1];
    if (slice_is(name, "processor"))
        return read_processor(value, out, e);
    if (slice_is(name, "loads"))
        return last == NULL || last->plugin != NULL ? err_set(e, ERR_SYNTAX, "the setup loads what is no processor")
                                                    : read_line(value, &last->plugin, e);
    if (slice_is(name, "set"))
        return read_set(f, value, last == NULL ? out : last, e);
    for (size_t i = 0; i < COUNT_OF(once_table); i++) {
        if (!slice_is(name, once_table[i].name))
            continue;
        if (*seen & once_table[i].bit)
            return err_set(e, ERR_SYNTAX, "the setup says %s twice", once_table[i].name);
        *seen |= once_table[i].bit;
        return read_once(f, once_table[i].bit, value, out, e);
    }
    return err_set(e, ERR_SYNTAX, "the setup has a line of an unknown kind");
}

int setup_read(struct slice text, struct setup *out, struct err *e)
{
    struct fields f = {text};
    struct setup s = {0};
    struct slice name, value;
    unsigned seen = 0;
    int code;
    while ((code = fields_next(&f, &name, &value, e)) == ERR_OK)
        if ((code = read_field(&f, name, value, &seen, &s, e)) != ERR_OK)
            break;
    const unsigned needed = ONCE_INSTANCE | ONCE_PLUGIN | ONCE_WORKERS | ONCE_BATCH_ROWS | ONCE_BATCH_BYTES |
                            ONCE_TIMEOUT_MS | ONCE_CONFINE;
    if (code == ERR_NOTFOUND)
        code = (seen & needed) == needed && processors_complete(&s)
                   ? ERR_OK
                   : err_set(e, ERR_MISSING, "the setup is not complete");
    if (code == ERR_OK)
        *out = s;
    else
        setup_fini(&s);
    return code;
}
