/* The settings of one plugin instance, resolved against the plugin's options: the environment over the file, each
 * option on its own.
 *
 * Secrets are read from their files here and from then on are values like others; nothing in this file shows a plugin's
 * value. Called by the loop thread, at start, at a reload and when the plugins directory changes. */
#include "base/sys.h"
#include "conf/store.h"
#include "conf/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { SECRET_MAX = 64 * 1024, CANDIDATES_MAX = 512 };

/* What was written for it, each option once: the environment over the file. */
struct given {
    const char *name; /* of the option */
    const struct plugin_text *text;
};

struct resolve {
    const struct conf_option *options;
    size_t option_count;
    struct given *given;
    size_t given_count;
    struct instance *out;
    struct lines faults;
};

static const struct given *find_given(const struct resolve *r, const char *name)
{
    for (size_t i = 0; i < r->given_count; i++)
        if (strcmp(r->given[i].name, name) == 0)
            return &r->given[i];
    return NULL;
}

static int collect(struct resolve *r, const struct conf *c, const char *instance)
{
    char prefix[INSTANCE_PREFIX_SIZE];
    instance_prefix(instance, prefix);
    r->given = calloc(c->plugin_count + 1, sizeof *r->given);
    if (r->given == NULL)
        return ERR_NOMEM;
    for (int from_file = 0; from_file < 2; from_file++)
        for (size_t i = 0; i < c->plugin_count; i++) {
            const struct plugin_text *text = &c->plugins[i];
            const char *name =
                (text->instance != NULL) == from_file ? plugin_text_option(text, instance, prefix) : NULL;
            if (name != NULL && find_given(r, name) == NULL)
                r->given[r->given_count++] = (struct given){name, text};
        }
    return ERR_OK;
}

static const struct conf_option *find_option(const struct resolve *r, const char *name)
{
    for (size_t i = 0; i < r->option_count; i++)
        if (strcmp(r->options[i].name, name) == 0)
            return &r->options[i];
    return NULL;
}

/* The secret option whose _FILE form this is, or NULL. A plugin's own option of that very name goes first. */
static const struct conf_option *find_secret(const struct resolve *r, const char *name)
{
    size_t len = strlen(name);
    if (len <= 5 || strcmp(name + len - 5, "_FILE") != 0 || find_option(r, name) != NULL)
        return NULL;
    for (size_t i = 0; i < r->option_count; i++)
        if (r->options[i].secret && strncmp(r->options[i].name, name, len - 5) == 0 &&
            r->options[i].name[len - 5] == '\0')
            return &r->options[i];
    return NULL;
}

static const struct opt *find_common(const char *name)
{
    for (size_t i = 0; i < pusher_table_count; i++)
        if (strcmp(pusher_table[i].key, name) == 0)
            return &pusher_table[i];
    return NULL;
}

static const char *nearest_option(const struct resolve *r, const char *name)
{
    const char *names[CANDIDATES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->option_count && count < CANDIDATES_MAX; i++)
        names[count++] = r->options[i].name;
    for (size_t i = 0; i < pusher_table_count && count < CANDIDATES_MAX; i++)
        names[count++] = pusher_table[i].key;
    return value_nearest(name, names, count);
}

static void say_unknown(struct resolve *r, const struct given *g)
{
    const char *near = nearest_option(r, g->name);
    size_t len = strlen(g->name);
    char base[64];
    if (len > 5 && len - 5 < sizeof base && strcmp(g->name + len - 5, "_FILE") == 0) {
        memcpy(base, g->name, len - 5);
        base[len - 5] = '\0';
        if (find_option(r, base) != NULL) {
            lines_add(&r->faults, "%s: %s is no secret, so there is no %s", g->text->origin, base, g->name);
            return;
        }
    }
    lines_add(&r->faults, "%s: the plugin %s has no option %s%s%s%s", g->text->origin, r->out->use, g->name,
              near == NULL ? "" : "; did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

/* Adds a value; `value` is copied. */
static int add_value(struct conf_value *values, size_t *count, const char *name, const char *value, const char *origin,
                     bool secret)
{
    struct conf_value *v = &values[(*count)++];
    *v = (struct conf_value){strdup(name), strdup(value), strdup(origin), secret};
    return v->name == NULL || v->value == NULL || v->origin == NULL ? ERR_NOMEM : ERR_OK;
}

/* A secret's bytes from its file. A sentence in `e` for everything that is wrong with it. */
static int read_secret(const char *path, struct buf *to, struct err *e)
{
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, errno, "%s cannot be opened", path);
    int code = ERR_OK;
    for (;;) {
        char part[1024];
        ssize_t got = sys->read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = err_errno(e, errno, "%s cannot be read", path);
        else if (got > 0 && (code = buf_add(to, part, (size_t)got)) == ERR_LIMIT)
            err_set(e, code, "%s has more than %d bytes", path, SECRET_MAX);
        explicit_bzero(part, sizeof part);
        if (got <= 0 || code != ERR_OK)
            break;
    }
    sys->close(fd);
    if (code == ERR_OK && memchr(buf_str(to), '\0', to->len) != NULL)
        code = err_set(e, ERR_SYNTAX, "%s holds a NUL byte", path);
    return code;
}

static int add_secret(struct resolve *r, const struct conf_option *option, const struct given *g)
{
    struct err e;
    struct buf text;
    buf_init(&text, SECRET_MAX);
    int code = read_secret(g->text->value, &text, &e);
    if (code == ERR_OK) {
        if (text.len > 0 && text.ptr[text.len - 1] == '\n') /* one newline, as an editor or echo leaves it */
            text.len -= text.len > 1 && text.ptr[text.len - 2] == '\r' ? 2 : 1;
        if (text.len > 0) /* empty means unset */
            code = add_value(r->out->values, &r->out->count, option->name, buf_str(&text), g->text->origin, true);
    } else if (code != ERR_NOMEM) {
        lines_add(&r->faults, "%s: %s", g->text->origin, e.text);
        code = ERR_OK;
    }
    if (text.ptr != NULL)
        explicit_bzero(text.ptr, text.cap);
    buf_free(&text);
    return code;
}

static int set_common(struct resolve *r, const struct opt *o, const struct given *g)
{
    struct err e;
    int code = opt_set(o, g->text->value, &r->out->common, &e);
    if (code == ERR_NOMEM)
        return code;
    if (code != ERR_OK)
        lines_add(&r->faults, "%s: %s: %s", g->text->origin, o->key, e.text);
    if (strcmp(o->key, "FROM") == 0)
        r->out->common.from_given = true;
    return ERR_OK;
}

static int resolve_one(struct resolve *r, const struct given *g)
{
    const struct conf_option *option = find_option(r, g->name);
    const struct opt *common = find_common(g->name);
    if (strcmp(g->name, "USE") == 0)
        return ERR_OK;
    if (common != NULL)
        return set_common(r, common, g);
    r->out->touched = true;
    if (option != NULL)
        return add_value(r->out->values, &r->out->count, option->name, g->text->value, g->text->origin, option->secret);
    option = find_secret(r, g->name);
    if (option == NULL) {
        say_unknown(r, g);
        return ERR_OK;
    }
    const struct given *plain = find_given(r, option->name);
    if (plain == NULL)
        return add_secret(r, option, g);
    lines_add(&r->faults, "%s: %s is set as well (%s); give one of the two", g->text->origin, option->name,
              plain->text->origin);
    return ERR_OK;
}

static int set_defaults(struct pusher_settings *s)
{
    for (size_t i = 0; i < pusher_table_count; i++) {
        int code = opt_set(&pusher_table[i], pusher_table[i].fallback, s, NULL);
        if (code == ERR_NOMEM)
            return code;
        CHECK(code == ERR_OK); /* a default of our own table is valid */
    }
    return ERR_OK;
}

static int show_common(struct resolve *r)
{
    struct instance *out = r->out;
    struct buf text;
    buf_init(&text, 256);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < pusher_table_count; i++) {
        const struct given *g = find_given(r, pusher_table[i].key);
        buf_clear(&text);
        code = opt_show(&pusher_table[i], &out->common, &text);
        if (code == ERR_OK)
            code = add_value(out->common_values, &out->common_count, pusher_table[i].key, buf_str(&text),
                             g == NULL ? "default" : g->text->origin, false);
    }
    buf_free(&text);
    return code;
}

int conf_instance(const struct conf *c, const char *name, const char *use, const struct conf_option *options,
                  size_t option_count, struct instance *out, struct buf *faults)
{
    struct resolve r = {.options = options, .option_count = option_count, .out = out, .faults = {faults, 0}};
    CHECK(instance_name_valid(name)); /* as conf_instances gives them */
    *out = (struct instance){.name = strdup(name), .use = strdup(use)};
    int code = out->name == NULL || out->use == NULL ? ERR_NOMEM : set_defaults(&out->common);
    if (code == ERR_OK)
        code = collect(&r, c, name);
    if (code == ERR_OK) {
        out->values = calloc(r.given_count + 1, sizeof *out->values);
        out->common_values = calloc(pusher_table_count, sizeof *out->common_values);
        if (out->values == NULL || out->common_values == NULL)
            code = ERR_NOMEM;
    }
    for (size_t i = 0; code == ERR_OK && i < r.given_count; i++)
        code = resolve_one(&r, &r.given[i]);
    if (code == ERR_OK)
        code = show_common(&r);
    if (code == ERR_OK)
        pusher_check(&out->common, name, &r.faults);
    free(r.given);
    return code == ERR_OK && r.faults.count > 0 ? ERR_CONFIG : code;
}

static void values_free(struct conf_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i].secret && values[i].value != NULL)
            explicit_bzero(values[i].value, strlen(values[i].value));
        free(values[i].name);
        free(values[i].value);
        free(values[i].origin);
    }
    free(values);
}

const char *instance_common(const struct instance *i, const char *name)
{
    for (size_t k = 0; k < i->common_count; k++)
        if (strcmp(i->common_values[k].name, name) == 0)
            return i->common_values[k].value;
    return "";
}

void instance_fini(struct instance *i)
{
    free(i->name);
    free(i->use);
    values_free(i->values, i->count);
    values_free(i->common_values, i->common_count);
    for (size_t k = 0; k < pusher_table_count; k++)
        opt_fini(&pusher_table[k], &i->common);
    *i = (struct instance){0};
}

static bool values_equal(const struct conf_value *a, size_t a_count, const struct conf_value *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        size_t j = 0;
        while (j < b_count && strcmp(a[i].name, b[j].name) != 0)
            j++;
        if (j == b_count || strcmp(a[i].value, b[j].value) != 0)
            return false;
    }
    return true;
}

bool instance_equal(const struct instance *a, const struct instance *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->use, b->use) == 0 &&
           values_equal(a->values, a->count, b->values, b->count) &&
           values_equal(a->common_values, a->common_count, b->common_values, b->common_count);
}
