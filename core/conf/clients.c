/* The limits of clients: `[clients]` for all, `[client NAME]` in the file for one. What a section does not say is as
 * for all; `off` says that there is no limit for this one.
 *
 * Names of clients may hold what no variable's name can, so they are in the file only. Nothing here runs on its own:
 * conf.c reads and frees, api/quota.c takes a copy of what is in force. */
#include "base/client.h"
#include "conf/store.h"
#include "conf/value.h"

#include <stdlib.h>
#include <string.h>

#define ALSO 0
static const struct opt client_table[CLIENT_OPTIONS] = {
#define CLIENT(key, type, zero, limits, text)                                                                          \
    {#key, OPT_##type, "", limits, zero, true, text, offsetof(struct client_limits, key), ALSO},
#include "conf/client_options.def"
#undef CLIENT
};

static struct conf_client *find(const struct conf *c, struct slice name)
{
    for (size_t i = 0; i < c->client_count; i++)
        if (slice_is(name, c->clients[i].name))
            return &c->clients[i];
    return NULL;
}

static struct conf_client *add(struct conf *c, const char *name)
{
    struct conf_client *more = realloc(c->clients, (c->client_count + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    c->clients = more;
    struct conf_client *client = &more[c->client_count];
    *client = (struct conf_client){.name = strdup(name)};
    if (client->name == NULL)
        return NULL;
    c->client_count++;
    return client;
}

static int put(struct conf_setting *to, const char *text, const char *origin)
{
    char *copy = strdup(text), *from = strdup(origin);
    if (copy == NULL || from == NULL) {
        free(copy);
        free(from);
        return ERR_NOMEM;
    }
    free(to->text);
    free(to->origin);
    to->text = copy;
    to->origin = from;
    return ERR_OK;
}

int clients_entry(struct conf *c, const char *name, const char *key, const char *value, const char *origin,
                  struct lines *faults)
{
    if (!client_valid(slice_of(name))) {
        lines_add(faults, "%s: [client %s] is not [client <name>] with a name of letters, digits and ._@-", origin,
                  name);
        return ERR_OK;
    }
    const char *keys[CLIENT_OPTIONS];
    for (size_t i = 0; i < CLIENT_OPTIONS; i++)
        keys[i] = client_table[i].key;
    struct conf_client *client = find(c, slice_of(name));
    if (client == NULL && c->client_count == CLIENTS_MAX)
        lines_add(faults, "%s: there are more than %d sections of clients", origin, CLIENTS_MAX);
    else if (client == NULL && (client = add(c, name)) == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; client != NULL && i < CLIENT_OPTIONS; i++)
        if (strcmp(key, keys[i]) == 0)
            return *value == '\0' ? ERR_OK : put(&client->values[i], value, origin);
    const char *near = value_nearest(key, keys, CLIENT_OPTIONS);
    if (client != NULL)
        lines_add(faults, "%s: a client has no setting %s%s%s%s", origin, key, near == NULL ? "" : "; did you mean ",
                  near == NULL ? "" : near, near == NULL ? "" : "?");
    return ERR_OK;
}

static struct client_limits common_limits(const struct settings *s)
{
    return (struct client_limits){
#define CLIENT(key, type, zero, limits, text) .key = s->clients_##key,
#include "conf/client_options.def"
#undef CLIENT
    };
}

static int finish_value(struct conf_client *client, size_t at, struct buf *shown, struct lines *faults)
{
    struct err e = {.text = ""};
    struct conf_setting *v = &client->values[at];
    int code = v->text == NULL ? ERR_OK : opt_set(&client_table[at], v->text, &client->limits, &e);
    if (code == ERR_NOMEM)
        return code;
    if (code != ERR_OK)
        lines_add(faults, "%s: client %s: %s: %s", v->origin, client->name, client_table[at].key, e.text);
    buf_clear(shown);
    code = opt_show(&client_table[at], &client->limits, shown);
    v->shown = code == ERR_OK ? strdup(buf_str(shown)) : NULL;
    client->keys[at] = lines_copy("client %s.%s", client->name, client_table[at].key);
    return v->shown == NULL || client->keys[at] == NULL ? ERR_NOMEM : ERR_OK;
}

int clients_finish(struct conf *c, struct lines *faults)
{
    struct buf shown;
    buf_init(&shown, 256);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < c->client_count; i++) {
        c->clients[i].limits = common_limits(&c->settings);
        for (size_t k = 0; code == ERR_OK && k < CLIENT_OPTIONS; k++)
            code = finish_value(&c->clients[i], k, &shown, faults);
    }
    buf_free(&shown);
    return code;
}

void clients_free(struct conf *c)
{
    for (size_t i = 0; i < c->client_count; i++) {
        for (size_t k = 0; k < CLIENT_OPTIONS; k++) {
            free(c->clients[i].keys[k]);
            free(c->clients[i].values[k].text);
            free(c->clients[i].values[k].origin);
            free(c->clients[i].values[k].shown);
        }
        free(c->clients[i].name);
    }
    free(c->clients);
}

bool clients_same(const struct conf *a, const struct conf *b)
{
    bool same = a->client_count == b->client_count;
    for (size_t i = 0; same && i < a->client_count; i++)
        same = strcmp(a->clients[i].name, b->clients[i].name) == 0 &&
               memcmp(&a->clients[i].limits, &b->clients[i].limits, sizeof a->clients[i].limits) == 0;
    return same;
}

struct client_limits conf_client_limits(const struct conf *c, struct slice name)
{
    const struct conf_client *client = find(c, name);
    return client == NULL ? common_limits(&c->settings) : client->limits;
}

bool conf_client_has_section(const struct conf *c, struct slice name)
{
    return find(c, name) != NULL;
}

const char *conf_client_name(const struct conf *c, size_t at)
{
    return at < c->client_count ? c->clients[at].name : NULL;
}
