/* Which variable is which. Kubernetes describes every Service of a namespace to every container in variables that begin
 * with the Service's name; a Service called headgate must not keep headgate from starting. Its shapes are fixed
 * (HEADGATE_SERVICE_HOST, HEADGATE_PORT_8080_TCP_ADDR …), and no setting has such a name. */
#include "conf/environment.h"

#include "conf/store.h"

#include <string.h>

static const char ours[] = "HEADGATE_";
static const char plugins[] = "PLUGIN_";

void environment_name(const char *key, char out[ENVIRONMENT_NAME_MAX])
{
    size_t len = sizeof ours - 1;
    memcpy(out, ours, len);
    for (; *key != '\0' && len + 1 < ENVIRONMENT_NAME_MAX; key++)
        out[len++] = *key == '.' ? '_' : *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;
    out[len] = '\0';
}

/* The text behind `head`, NULL when it does not begin so. */
static const char *after(const char *text, const char *head)
{
    size_t len = strlen(head);
    return strncmp(text, head, len) == 0 ? text + len : NULL;
}

static bool one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* `rest` is what follows HEADGATE_. */
static bool is_kubernetes(const char *rest)
{
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};
    static const char *const details[] = {"", "_PROTO", "_PORT", "_ADDR"};
    static const char *const plain[] = {"SERVICE_HOST", "SERVICE_PORT", "PORT"};
    if (one_of(rest, plain, COUNT_OF(plain)) || after(rest, "SERVICE_PORT_") != NULL)
        return true;
    const char *number = after(rest, "PORT_");
    size_t digits = number == NULL ? 0 : strspn(number, "0123456789");
    for (size_t i = 0; digits > 0 && i < COUNT_OF(protocols); i++) {
        const char *detail = after(number + digits, protocols[i]);
        if (detail != NULL && one_of(detail, details, COUNT_OF(details)))
            return true;
    }
    return false;
}

enum environment_kind environment_kind(const char *name, size_t *option)
{
    static const char *const client[] = {"CONFIG", "TOKEN", "TOKEN_FILE", "CA", "CERT", "CERT_KEY"};
    const char *rest = after(name, ours);
    if (rest == NULL)
        return after(name, plugins) != NULL ? ENVIRONMENT_PLUGIN : ENVIRONMENT_FOREIGN;
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        char known[ENVIRONMENT_NAME_MAX];
        environment_name(settings_table[i].key, known);
        if (strcmp(known, name) == 0) {
            *option = i;
            return ENVIRONMENT_SETTING;
        }
    }
    if (one_of(rest, client, COUNT_OF(client)))
        return ENVIRONMENT_CLIENT;
    return is_kubernetes(rest) ? ENVIRONMENT_KUBERNETES : ENVIRONMENT_UNKNOWN;
}
