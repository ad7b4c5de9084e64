/* The daemon's certificate: opened before anything listens, and looked at while it runs, so that a renewed one is shown
 * from the next connection on. Probes have a context of their own: nobody is asked for a certificate there. */
#include "api/parts.h"

#include "http/tls.h"

enum { SOON_S = 14 * 86400 };

static void tell(const char *text, const struct tls *t)
{
    int64_t left = tls_expires_s(t) - clock_wall_us() / 1000000;
    LOG(left < SOON_S ? LOG_WARN : LOG_INFO, "tls.certificate", text, LOG_N("days_left", left / 86400));
}

/* Said once, until they are good again: nobody of that authority is let in meanwhile. */
static void look_at_lists(struct daemon *d)
{
    int64_t end = tls_crl_expires_s(d->tls);
    bool over = end <= clock_wall_us() / 1000000, told = d->tls_lists_told;
    d->tls_lists_told = over;
    if (over && !told)
        LOG(LOG_ERROR, "tls.crl_expired",
            "a list of tls.client_crl is out of date: no certificate of its authority is good until there is a newer "
            "one");
}

int daemon_open_tls(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct err e = {0};
    struct tls_options options = {.certificate = s->tls_certificate,
                                  .key = s->tls_key,
                                  .client_ca = s->tls_client_ca,
                                  .client_crl = s->tls_client_crl,
                                  .client_required = s->tls_client_required,
                                  .only_13 = s->tls_minimum == TLS_MINIMUM_13};
    if (s->tls_certificate == NULL)
        return EXIT_OK;
    int code = tls_open(&d->tls, &options, &e);
    options.client_ca = options.client_crl = NULL;
    options.client_required = false;
    if (code == ERR_OK)
        code = tls_open(&d->probes_tls, &options, &e);
    if (code == ERR_OK) {
        tell("connections are encrypted with this certificate", d->tls);
        look_at_lists(d);
        return EXIT_OK;
    }
    LOG(LOG_ERROR, "tls.not_opened", e.text);
    return code == ERR_NOMEM ? EXIT_INTERNAL_FAULT : EXIT_CONFIG_FAULT;
}

struct tls *daemon_tls(const struct daemon *d, enum listener listener)
{
    const struct settings *s = d->settings;
    switch (listener) {
    case LISTENER_ROWS: return s->http_tls ? d->tls : NULL;
    case LISTENER_ADMIN: return s->admin_tls ? d->tls : NULL;
    case LISTENER_PROBES: return s->probes_tls ? d->probes_tls : NULL;
    }
    return NULL;
}

void daemon_look_tls(struct daemon *d)
{
    struct tls *const all[] = {d->tls, d->probes_tls};
    for (size_t i = 0; i < COUNT_OF(all) && all[i] != NULL; i++) {
        struct err e = {0};
        bool changed;
        if (tls_look(all[i], &changed, &e) != ERR_OK)
            LOG(LOG_ERROR, "tls.not_read", e.text);
        else if (changed && all[i] == d->tls)
            tell("the certificate was read again; connections to come get it", all[i]);
    }
    if (d->tls != NULL)
        look_at_lists(d);
}

void daemon_close_tls(struct daemon *d)
{
    tls_close(&d->tls);
    tls_close(&d->probes_tls);
}

bool daemon_encrypts(const struct daemon *d)
{
    return d->tls != NULL;
}

double daemon_tls_left(const struct daemon *d)
{
    return (double)tls_expires_s(d->tls) - (double)clock_wall_us() / 1e6;
}

double daemon_crl_left(const struct daemon *d)
{
    return (double)tls_crl_expires_s(d->tls) - (double)clock_wall_us() / 1e6;
}
