/* Names of the daemon's settings in the environment. Pure; inside core/conf only. */
#ifndef HG_CONF_ENVIRONMENT_H
#define HG_CONF_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

enum { ENVIRONMENT_NAME_MAX = 64 };

/* "http.max_body" -> "HEADGATE_HTTP_MAX_BODY". */
void environment_name(const char *key, char out[ENVIRONMENT_NAME_MAX]);

enum environment_kind {
    ENVIRONMENT_SETTING,    /* `*option` is its place in settings_table */
    ENVIRONMENT_PLUGIN,     /* PLUGIN_… */
    ENVIRONMENT_CLIENT,     /* ours, but no setting: the file's path, the client's token */
    ENVIRONMENT_KUBERNETES, /* what a Service called headgate puts into every container */
    ENVIRONMENT_UNKNOWN,    /* HEADGATE_ and something else */
    ENVIRONMENT_FOREIGN     /* not about us */
};

enum environment_kind environment_kind(const char *name, size_t *option);

#endif
