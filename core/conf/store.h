/* What `struct conf` is made of, and the tables the parts of core/conf share. Inside core/conf only. */
#ifndef HG_CONF_STORE_H
#define HG_CONF_STORE_H

#include "conf/conf.h"
#include "conf/lines.h"
#include "conf/opt.h"

/* OPTION_http_listen …: places in settings_table. */
enum {
#define SECTION(name, text)
#define OPTION(section, key, type, fallback, limits, zero, reload, text) OPTION_##section##_##key,
#include "conf/options.def"
#undef OPTION
#undef SECTION
    SETTINGS_COUNT
};
extern const struct opt settings_table[SETTINGS_COUNT];

/* One setting of a plugin instance, as written. */
struct plugin_text {
    char *instance; /* the file: name of the section; NULL: from the environment, where the name is not known yet */
    char *name;     /* the file: option in capitals; the environment: what follows PLUGIN_ */
    char *value;    /* never empty */
    char *origin;
};

struct conf_setting {
    char *text;   /* as written; NULL: unset */
    char *origin; /* "default" … */
    char *shown;  /* as `headgate config` shows it */
};

enum {
#define CLIENT(key, type, zero, limits, text) CLIENT_OPTION_##key,
#include "conf/client_options.def"
#undef CLIENT
    CLIENT_OPTIONS
};
enum { CLIENTS_MAX = 1000 };

struct conf_client {
    char *name;
    char *keys[CLIENT_OPTIONS]; /* "client lab-a.rows_per_second" */
    struct conf_setting values[CLIENT_OPTIONS];
    struct client_limits limits;
};

struct conf {
    struct settings settings;
    struct conf_setting values[SETTINGS_COUNT];
    struct plugin_text *plugins;
    size_t plugin_count;
    struct conf_client *clients;
    size_t client_count;
};

/* One line of [client NAME]; what is wrong with it is a fault. ERR_NOMEM. */
int clients_entry(struct conf *c, const char *name, const char *key, const char *value, const char *origin,
                  struct lines *faults) MUST_CHECK;
/* Once all is read, the settings for all clients too. ERR_NOMEM. */
int clients_finish(struct conf *c, struct lines *faults) MUST_CHECK;
void clients_free(struct conf *c);
bool clients_same(const struct conf *a, const struct conf *b);

/* What no single option can tell: who can reach which address, what fits into what. Also puts in place what `auto` of
 * http.max_memory stands for. */
void settings_finish(struct settings *s, struct lines *faults, struct lines *notices);
/* "<prefix>/…" with the real prefix; the caller frees. NULL: no memory. */
char *settings_fallback(const struct opt *o);

/* The pushers' common options. */
extern const struct opt pusher_table[];
extern const size_t pusher_table_count;
void pusher_check(const struct pusher_settings *s, const char *instance, struct lines *faults);

/* Is it a name for an instance: [a-z][a-z0-9-]*, not too long? */
enum { INSTANCE_NAME_MAX = 63, INSTANCE_PREFIX_SIZE = INSTANCE_NAME_MAX + 2 };
bool instance_name_valid(const char *name);
/* "file-two" -> "FILE_TWO_". The name is valid. */
void instance_prefix(const char *name, char out[INSTANCE_PREFIX_SIZE]);
/* The option's name when this text is one of the instance's; else NULL. */
const char *plugin_text_option(const struct plugin_text *text, const char *instance, const char *prefix);

#endif
