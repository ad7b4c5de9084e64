/* Clients: their limits out of the settings, what they have undelivered when the daemon starts, and GET /v1/clients.
 *
 * Loop thread. Whoever is bound to a client sees that one only. */
#include "api/parts.h"

#include <stdlib.h>

/* --- limits --- */

static int limit_each(struct daemon *d, size_t count, struct backlog_limit *open, struct journal_keep *kept)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = conf_client_name(d->conf, i);
        const struct client_limits limits = conf_client_limits(d->conf, slice_of(name));
        memcpy(open[i].name, name, strlen(name) + 1);
        memcpy(kept[i].name, name, strlen(name) + 1);
        open[i].bytes = limits.undelivered_bytes;
        kept[i].keep_ms = limits.keep;
    }
    const struct client_limits common = conf_client_limits(d->conf, slice_of(""));
    int code = backlog_limits(d->backlog, common.undelivered_bytes, open, (uint32_t)count);
    return code == ERR_OK ? journal_keep_clients(d->journal, common.keep, kept, (uint32_t)count) : code;
}

int daemon_limit_clients(struct daemon *d)
{
    size_t count = 0;
    while (conf_client_name(d->conf, count) != NULL)
        count++;
    struct backlog_limit *open = calloc(count + 1, sizeof *open);
    struct journal_keep *kept = calloc(count + 1, sizeof *kept);
    int code = open == NULL || kept == NULL ? ERR_NOMEM : quota_configure(d->quota, d->conf);
    if (code == ERR_OK)
        code = limit_each(d, count, open, kept);
    free(open);
    free(kept);
    return code;
}

static void count_set(void *arg, struct slice client, uint64_t position, uint32_t bytes)
{
    const struct daemon *d = arg;
    backlog_found(d->backlog, client, position, bytes);
}

/* What was accepted before the start, by the indexes: the segments are read only where one is missing. */
int daemon_count_clients(struct daemon *d)
{
    int code = daemon_limit_clients(d);
    if (code == ERR_OK)
        code = journal_each_set(d->journal, supervisor_passed(d->supervisor), count_set, d);
    if (code == ERR_OK)
        return EXIT_OK;
    LOG(LOG_ERROR, "clients.not_counted", "what clients have undelivered cannot be told", LOG_S("why", err_text(code)));
    return code == ERR_NOMEM ? EXIT_INTERNAL_FAULT : EXIT_DISK_FAULT;
}

/* --- the list --- */

static int add_client(struct buf *b, const struct conf *conf, const char *name, const struct backlog_client *c)
{
    const struct client_limits l = conf_client_limits(conf, slice_of(name));
    int code = buf_adds(b, "{\"name\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(name));
    return code != ERR_OK
               ? code
               : buf_addf(b,
                          ",\"undelivered_bytes\":%llu,\"undelivered_limit\":%llu,\"undelivered_refused\":%llu,"
                          "\"rows_per_second\":%u,\"bytes_per_second\":%llu,\"keep_seconds\":%.3f}",
                          (unsigned long long)c->bytes, (unsigned long long)l.undelivered_bytes,
                          (unsigned long long)c->refused, l.rows_per_second, (unsigned long long)l.bytes_per_second,
                          (double)(l.keep > 0 ? l.keep : conf_settings(conf)->journal_keep) / 1e3);
}

/* A section for it, or something of it has been here. */
int api_add_clients(struct buf *b, struct api *api)
{
    const struct conf *conf = daemon_conf(api->daemon);
    struct backlog_client c;
    bool more = false;
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && conf_client_name(conf, i) != NULL; i++) {
        backlog_client(api->backlog, conf_client_name(conf, i), &c);
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = add_client(b, conf, conf_client_name(conf, i), &c);
    }
    for (uint32_t n = 0; code == ERR_OK && backlog_client_at(api->backlog, n, &c); n++) {
        bool others = c.name[0] == '\0';
        if ((others && c.bytes == 0) || (!others && conf_client_has_section(conf, slice_of(c.name))))
            continue;
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = add_client(b, conf, c.name, &c);
    }
    return code;
}

void api_clients_list(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    struct backlog_client own;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"clients\":[");
    if (code == ERR_OK && r->caller.client[0] == '\0') {
        code = api_add_clients(&b, api);
    } else if (code == ERR_OK) {
        backlog_client(api->backlog, r->caller.client, &own);
        code = add_client(&b, daemon_conf(api->daemon), r->caller.client, &own);
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "]}\n");
    api_json(r, 200, &b, code);
}
