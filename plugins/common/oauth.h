/* Tokens of an identity provider for a pusher that has an account of its own: OAuth 2.0 client credentials (RFC 6749
 * section 4.4), as OpenID Connect providers speak it too. A token is kept until shortly before it expires, and drawn
 * anew once when the far end refuses it (401). One object for each worker, used by its thread alone. Needs -lcurl
 * -ljansson.
 *
 *     struct config { …; struct oauth_settings oauth; };       {…, OAUTH_OPTIONS(struct config)}
 *     oauth_open(&w->oauth, &c->oauth, &http, host, api, why, sizeof(why), &broken);
 *     http.bearer = oauth_bearer(w->oauth);                    then http_client_new(&http, …) */
#ifndef COMMON_OAUTH_H
#define COMMON_OAUTH_H

#include "common/http_client.h"
#include "headgate.h"

/* Filled by the options below. Texts live as long as the object. */
struct oauth_settings {
    const char *url; /* NULL: no tokens are wanted */
    const char *client, *secret, *scope;
    int32_t form; /* how the client says who it is: 0 in a header, 1 in the body */
};

#define OAUTH_OPTION(config, name, type, flags, fallback, limits, text, member)                                        \
    {                                                                                                                  \
        name, type, flags, fallback, limits, text, NULL, offsetof(config, oauth.member)                                \
    }
#define OAUTH_OPTIONS(config)                                                                                          \
    OAUTH_OPTION(config, "OAUTH_URL", HG_URL, 0, NULL, NULL, "Token endpoint of an identity provider.", url),          \
        OAUTH_OPTION(config, "OAUTH_CLIENT", HG_STRING, 0, NULL, NULL, "Client id at the identity provider.", client), \
        OAUTH_OPTION(config, "OAUTH_SECRET", HG_STRING, HG_SECRET, NULL, NULL, "Secret of that client.", secret),      \
        OAUTH_OPTION(config, "OAUTH_SCOPE", HG_STRING, 0, NULL, NULL, "Scopes to ask for, with spaces.", scope),       \
        OAUTH_OPTION(config, "OAUTH_FORM", HG_CHOICE, 0, "header", "header|body",                                      \
                     "Where client id and secret stand in the request for a token.", form)

struct oauth;

/* `trust`: the settings of the client that will carry the tokens; certificates, proxy and timeouts hold for the token
 * endpoint too. 0: `*out` is the object, or NULL where no tokens are wanted. -1 with a sentence in `why`; `*broken` is
 * 1 when only another setting can help. Does not connect. */
int oauth_open(struct oauth **out, const struct oauth_settings *settings, const struct http_settings *trust,
               struct hg_host *host, const struct hg_api *api, char *why, size_t why_size, int *broken);
void oauth_close(struct oauth **o);

/* For http_settings.bearer, as long as the object lives; NULL for NULL. */
const struct http_bearer *oauth_bearer(const struct oauth *o);

#endif
