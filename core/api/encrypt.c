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

int daemon_open_tls(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct err e = {0};
    struct tls_options options = {.certificate = s->tls_certificate,
                                  .key = s->tls_key,
                                  .client_ca = s->tls_client_ca,
                                  .client_required = s->tls_client_required,
                                  .only_13 = s->tls_minimum == TLS_MINIMUM_13};
    if (s->tls_certificate == NULL)
        return EXIT_OK;
    int code = tls_open(&d->tls, &options, &e);
    options.client_ca = NULL;
    options.client_required = false;
    if (code == ERR_OK)
        code = tls_open(&d->probes_tls, &options, &e);
    if (code == ERR_OK) {
        tell("connections are encrypted with this certificate", d->tls);
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
