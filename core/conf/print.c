/* Texts generated from the option tables: the commented settings file and the reference page. What is documented can
 * therefore not differ from what is read. Pure. */
#include "conf/environment.h"
#include "conf/store.h"

#include <stdarg.h>
#include <stdio.h>

enum { INI_WIDTH = 100 };

#define AUTH_CHOICE(id, word) "|" word

/* Writing stops at the first failure; `code` keeps it. */
struct page {
    struct buf *out;
    int code;
};

static void add(struct page *p, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct page *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (p->code == ERR_OK)
        p->code = buf_vaddf(p->out, format, args);
    va_end(args);
}

struct section {
    const char *name, *text;
};

static const struct section sections[] = {
#define SECTION(name, text) {#name, text},
#define OPTION(section, key, type, fallback, limits, zero, reload, text)
#include "conf/options.def"
#undef OPTION
#undef SECTION
};

/* The key without its section when it is of that section; else NULL. */
static const char *key_in(const struct opt *o, const char *section)
{
    size_t len = strlen(section);
    return strncmp(o->key, section, len) == 0 && o->key[len] == '.' ? o->key + len + 1 : NULL;
}

/* "a|b|c" with commas. */
static void list_choices(const char *choices, char *out, size_t size)
{
    size_t len = 0;
    for (const char *c = choices; *c != '\0' && len + 3 < size; c++) {
        out[len++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            out[len++] = ' ';
    }
    out[len] = '\0';
}

static void describe_limits(const char *limits, char *out, size_t size)
{
    const char *dots = limits == NULL ? NULL : strstr(limits, "..");
    out[0] = '\0';
    if (dots != NULL && dots[2] != '\0')
        snprintf(out, size, "%.*s to %s", (int)(dots - limits), limits, dots + 2);
    else if (dots != NULL && strncmp(limits, "0..", 3) != 0)
        snprintf(out, size, "%.*s or more", (int)(dots - limits), limits);
}

/* What may be written, in a few words; "" when there is nothing to say. */
static const char *accepted(const struct opt *o, char *out, size_t size)
{
    out[0] = '\0';
    switch (o->type) {
    case OPT_ADDRESSES: snprintf(out, size, "addresses"); break;
    case OPT_LIST: snprintf(out, size, "names"); break;
    case OPT_PATHS: snprintf(out, size, "folders"); break;
    case OPT_FLAG: snprintf(out, size, "yes, no"); break;
    case OPT_MODE: snprintf(out, size, "0000 to 0777"); break;
    case OPT_AUTH: list_choices(&(AUTH_WORDS(AUTH_CHOICE))[1], out, size); break;
    case OPT_LAG: snprintf(out, size, "a size, a duration"); break;
    case OPT_EVERY: snprintf(out, size, "a duration, minute hour day month weekday"); break;
    case OPT_DURABILITY: snprintf(out, size, "fsync, interval:100ms, none"); break;
    case OPT_CHOICE:
    case OPT_SWITCH: list_choices(o->limits, out, size); break;
    case OPT_COUNT:
    case OPT_SIZE:
    case OPT_DURATION: describe_limits(o->limits, out, size); break;
    case OPT_SHARE:
        describe_limits(o->limits, out, size);
        strncat(out, ", 1% to 100%", size - strlen(out) - 1);
        break;
    case OPT_TEXT: break;
    }
    if (o->zero != NULL) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", o->zero);
    }
    return out;
}

static void lower(const char *key, char *out, size_t size)
{
    size_t i = 0;
    for (; key[i] != '\0' && i + 1 < size; i++)
        out[i] = key[i] >= 'A' && key[i] <= 'Z' ? (char)(key[i] - 'A' + 'a') : key[i];
    out[i] = '\0';
}

/* --- the settings file --- */

/* A comment of whole words within INI_WIDTH, so that no line is too long for the file's own rules. */
static void add_comment(struct page *p, const char *text)
{
    size_t column = 0;
    for (const char *word = text; *word != '\0';) {
        size_t len = strcspn(word, " ");
        if (column > 0 && column + 1 + len > INI_WIDTH) {
            add(p, "\n");
            column = 0;
        }
        add(p, "%s%.*s", column == 0 ? "# " : " ", (int)len, word);
        column += len + (column == 0 ? 2 : 1);
        word += len + strspn(word + len, " ");
    }
    add(p, "\n");
}

static void add_ini_option(struct page *p, const struct opt *o, const char *key)
{
    char text[160], low[64];
    add_comment(p, o->text);
    if (accepted(o, text, sizeof text)[0] != '\0')
        add(p, "# Accepted: %s.\n", text);
    lower(key, low, sizeof low);
    add(p, "#%s =%s%s\n\n", low, o->fallback[0] == '\0' ? "" : " ", o->fallback);
}

int conf_print_ini(struct buf *out)
{
    struct page p = {out, ERR_OK};
    add(&p, "# Settings of headgate: every one, with its default, commented out. This text is generated.\n"
            "#\n"
            "# defaults < this file < environment < flags. `[http] listen` is HEADGATE_HTTP_LISTEN, and so on.\n"
            "# Comments stand on lines of their own; a line has at most 198 bytes. Durations: 200ms 10s 5m 24h 7d,\n"
            "# sizes: 512B 64KiB 16MiB 10GiB. `headgate check` says everything that is wrong.\n\n");
    for (size_t s = 0; s < COUNT_OF(sections); s++) {
        add_comment(&p, sections[s].text);
        add(&p, "[%s]\n\n", sections[s].name);
        for (size_t i = 0; i < SETTINGS_COUNT; i++) {
            const char *key = key_in(&settings_table[i], sections[s].name);
            if (key != NULL)
                add_ini_option(&p, &settings_table[i], key);
        }
    }
    add(&p, "# A plugin's instance: its own options (`headgate plugin describe NAME`) and these, which all have.\n"
            "# `use = postgres` in [plugin warehouse] makes one more instance of the plugin postgres.\n"
            "# In the environment: PLUGIN_<NAME>_<OPTION>.\n"
            "#[plugin file]\n\n");
    for (size_t i = 0; i < pusher_table_count; i++)
        add_ini_option(&p, &pusher_table[i], pusher_table[i].key);
    if (p.code == ERR_OK)
        out->len--; /* one empty line is enough of an end */
    return p.code;
}

/* --- the reference page --- */

/* Inside a table a bar would end the cell. */
static void add_cell(struct page *p, const char *text)
{
    for (; *text != '\0'; text++)
        add(p, *text == '|' ? "\\|" : "%c", *text);
}

static void add_reference_row(struct page *p, const struct opt *o, const char *variable, bool reload)
{
    char text[160];
    add(p, "| `%s` | `%s` | %s%s%s | ", o->key, variable, o->fallback[0] == '\0' ? "" : "`",
        o->fallback[0] == '\0' ? "unset" : o->fallback, o->fallback[0] == '\0' ? "" : "`");
    add_cell(p, accepted(o, text, sizeof text));
    if (reload)
        add(p, " | %s", o->reloadable ? "reload" : "restart");
    add(p, " | ");
    add_cell(p, o->text);
    add(p, " |\n");
}

static void add_head(struct page *p)
{
    add(p, "# Settings\n\n"
           "This page is generated from the tables that the program itself reads: `core/conf/options.def` and\n"
           "`core/conf/pusher_options.def`.\n\n"
           "Defaults < file < environment < flags. The file is `--config`, else `HEADGATE_CONFIG`, else\n"
           "`<sysconfdir>/headgate/headgate.ini`; only the last may be absent. `[http] listen` in the file is\n"
           "`HEADGATE_HTTP_LISTEN` in the environment, and so on for every key. Empty means unset.\n\n"
           "- Durations: a whole number with `ms`, `s`, `m`, `h` or `d`. Sizes: with `B`, `KiB`, `MiB`, `GiB` or "
           "`TiB`. A\n"
           "  number without a unit is refused, but 0.\n"
           "- `yes` and `no`; also `true`, `false`, `1`, `0`.\n"
           "- Lists have commas between their items, `plugins.dir` colons.\n"
           "- Everything that is wrong is listed at once, with the nearest valid name; the exit code is 78. A name "
           "that is\n"
           "  not known is a fault, in the file and in `HEADGATE_...`, but for `HEADGATE_CONFIG`, `HEADGATE_TOKEN`,\n"
           "  `HEADGATE_TOKEN_FILE`, `HEADGATE_CA`, `HEADGATE_CERT`, `HEADGATE_CERT_KEY` (of client verbs) and what\n"
           "  Kubernetes sets for a Service called headgate (`HEADGATE_SERVICE_HOST`, `HEADGATE_SERVICE_PORT...`,\n"
           "  `HEADGATE_PORT`, `HEADGATE_PORT_<n>_TCP...`), which is ignored.\n"
           "- \"reload\": SIGHUP or `headgate reload` puts a change in force; \"restart\": it needs a new start.\n\n"
           "The file has sections, `key = value` lines, and comments (`#` or `;`) on lines of their own. A line has at "
           "most\n"
           "198 bytes, a section's name 49; keys begin at the first column and stand once. A value that is longer, or "
           "holds\n"
           "` ;`, belongs into the environment.\n");
}

static void add_instances(struct page *p)
{
    add(p, "\n## Plugin instances\n\n"
           "`PLUGIN_<NAME>_<OPTION>` in the environment, or `option` in `[plugin <name>]`; the environment goes first, "
           "option\n"
           "by option. Names match `[a-z][a-z0-9-]*` (`-` is `_` in the environment). Each plugin has an instance of "
           "its own\n"
           "name; `PLUGIN_WAREHOUSE_USE=postgres` makes another one, called `warehouse`. Two names of which one begins "
           "the\n"
           "other up to a dash (`file`, `file-two`) are refused, because a variable could belong to either. Settings "
           "of a\n"
           "plugin that is not there are ignored with one log line.\n\n"
           "A secret option may be given as `<OPTION>_FILE`, a file that holds it; one newline at its end is cut. "
           "Giving both\n"
           "forms is a fault. An instance's own options are on its plugin's page (`headgate plugin describe NAME`). "
           "All have\n"
           "these:\n\n"
           "| option | in the environment | default | accepted | |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < pusher_table_count; i++) {
        char variable[96];
        snprintf(variable, sizeof variable, "PLUGIN_<NAME>_%s", pusher_table[i].key);
        add_reference_row(p, &pusher_table[i], variable, false);
    }
    add(p, "\nA puller has `ENABLED`, `EVERY`, `CLIENT`, `TIMEOUT` (of `open()`; `pull()` may block), `RETRY_MIN`, "
           "`RETRY_MAX`, "
           "`MEMORY_MAX` and\n`CONFINE`; the others, and `EVERY` or `CLIENT` of a pusher, are a fault where they are "
           "set.\n");
}

int conf_print_reference(struct buf *out)
{
    struct page p = {out, ERR_OK};
    add_head(&p);
    for (size_t s = 0; s < COUNT_OF(sections); s++) {
        add(&p, "\n## %s\n\n%s\n\n", sections[s].name, sections[s].text);
        add(&p, "| setting | in the environment | default | accepted | a change needs | |\n"
                "| --- | --- | --- | --- | --- | --- |\n");
        for (size_t i = 0; i < SETTINGS_COUNT; i++) {
            char variable[ENVIRONMENT_NAME_MAX];
            if (key_in(&settings_table[i], sections[s].name) == NULL)
                continue;
            environment_name(settings_table[i].key, variable);
            add_reference_row(&p, &settings_table[i], variable, true);
        }
    }
    add_instances(&p);
    return p.code;
}
