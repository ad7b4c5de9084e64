/* One request's caller.
 *
 * What was brought is judged, or nothing is: a bad token is refused even where a request without one would be let in,
 * so that nobody works under another name than they think. A wrong one costs a digest at most, and its refusal says no
 * more than that it is wrong. */
#include "access/access.h"

#include "access/bearer.h"
#include "access/certs.h"
#include "access/keys.h"
#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>

struct access {
    struct keys *keys;     /* NULL without AUTH_KEYS */
    struct certs *certs;   /* NULL without AUTH_MTLS */
    struct issuer *issuer; /* NULL without AUTH_OIDC */
};

/* --- refusing --- */

#define REALM   "Bearer realm=\"headgate\""
#define INVALID REALM ", error=\"invalid_token\""
#define LACKING REALM ", error=\"insufficient_scope\""
#define DENIAL(name, number, type, text, ask)                                                                          \
    static const struct access_denial name = {.status = (number), .word = (type), .detail = (text), .challenge = (ask)}

DENIAL(nothing_brought, 401, "unauthorized", "this needs a key or a token: send it as Authorization: Bearer", REALM);
DENIAL(not_bearer, 401, "unauthorized", "Authorization must be Bearer and one token, and stand once", REALM);
DENIAL(not_valid, 401, "unauthorized", "this key or token is not valid here", INVALID);
DENIAL(expired, 401, "unauthorized", "this key or token has expired, or is not valid yet", INVALID);
DENIAL(lacks_role, 403, "role", "this caller does not have the role that this asks for", LACKING);
DENIAL(bound, 403, "role", "this caller is bound to a client; what belongs to everybody is not for it", LACKING);
DENIAL(no_client, 403, "role", "this token does not say which client it is of (oidc.client_claim)", LACKING);
DENIAL(no_certificate, 403, "role", "this needs a certificate of a client", NULL);
DENIAL(not_named, 403, "role", "this certificate is good, but tls.client_roles does not say what it may do", NULL);
static const struct access_denial keys_on_their_way = {
    .status = 503,
    .word = "unavailable",
    .detail = "the issuer's keys are being fetched, or cannot be; send it again",
    .retry_after = 1};

static bool deny(struct access_denial *why, const struct access_denial *what)
{
    *why = *what;
    return false;
}

/* --- what was brought --- */

enum brought { BROUGHT_NOTHING, BROUGHT_TOKEN, BROUGHT_RUBBISH };

static enum brought token_of(const struct http_request *r, struct slice *token)
{
    const struct slice *value = NULL;
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (!http_name_is(&r->fields[i], "authorization"))
            continue;
        if (value != NULL)
            return BROUGHT_RUBBISH;
        value = &r->fields[i].value;
    }
    if (value == NULL)
        return BROUGHT_NOTHING;
    return bearer_token(*value, token) ? BROUGHT_TOKEN : BROUGHT_RUBBISH;
}

static void caller_set(struct http_caller *caller, unsigned roles, const char *client)
{
    caller->roles = roles_with_lesser(roles);
    memcpy(caller->client, client, strlen(client) + 1);
}

static bool judge_key(struct access *a, struct slice token, struct http_caller *caller, struct access_denial *why)
{
    struct key key;
    switch (keys_find(a->keys, token, clock_wall_us() / 1000000, &key)) {
    case KEY_GOOD:
        caller_set(caller, key.roles, key.client);
        snprintf(caller->who, sizeof caller->who, "key %s%s%s", key.id, key.name[0] == '\0' ? "" : " ", key.name);
        return true;
    case KEY_EXPIRED: return deny(why, &expired);
    case KEY_UNKNOWN: break;
    }
    return deny(why, &not_valid);
}

static bool judge_jwt(struct access *a, struct slice token, struct http_caller *caller, struct access_denial *why)
{
    struct jwt_caller who;
    bool wait = false;
    switch (issuer_judge(a->issuer, token, clock_wall_us() / 1000000, &who, &wait)) {
    case JWT_GOOD:
        caller_set(caller, who.roles, who.client);
        snprintf(caller->who, sizeof caller->who, "token %s", who.subject);
        return true;
    case JWT_NO_KEY: return deny(why, wait ? &keys_on_their_way : &not_valid);
    case JWT_EXPIRED: return deny(why, &expired);
    case JWT_NO_CLIENT: return deny(why, &no_client);
    case JWT_BAD: break;
    }
    return deny(why, &not_valid);
}

/* A key and a token of an issuer cannot be taken for each other: keys have no dot. */
static bool judge_token(struct access *a, struct slice token, unsigned auth, struct http_caller *caller,
                        struct access_denial *why)
{
    bool signed_one = memchr(token.ptr, '.', token.len) != NULL;
    if (signed_one && (auth & AUTH_OIDC) != 0)
        return judge_jwt(a, token, caller, why);
    if (!signed_one && (auth & AUTH_KEYS) != 0)
        return judge_key(a, token, caller, why);
    return deny(why, &not_valid);
}

static bool judge_certificate(struct access *a, const struct x509_st *certificate, struct http_caller *caller,
                              struct access_denial *why)
{
    unsigned roles;
    char client[CLIENT_MAX + 1], who[CERT_WHO_MAX + 1];
    if (!certs_find(a->certs, certificate, &roles, client, who))
        return deny(why, &not_named);
    caller_set(caller, roles, client);
    snprintf(caller->who, sizeof caller->who, "certificate %s", who);
    return true;
}

/* The token goes first: a proxy may have a certificate of its own and pass on what its callers bring. */
static bool judge(struct access *a, struct http_request *r, unsigned auth, struct access_denial *why)
{
    struct slice token;
    switch (token_of(r, &token)) {
    case BROUGHT_NOTHING: break;
    case BROUGHT_RUBBISH: return deny(why, &not_bearer);
    case BROUGHT_TOKEN: return judge_token(a, token, auth, &r->caller, why);
    }
    const struct x509_st *certificate = (auth & AUTH_MTLS) != 0 ? http_certificate(r) : NULL;
    if (certificate != NULL)
        return judge_certificate(a, certificate, &r->caller, why);
    if ((auth & AUTH_NONE) == 0)
        return deny(why, (auth & (AUTH_KEYS | AUTH_OIDC)) != 0 ? &nothing_brought : &no_certificate);
    caller_set(&r->caller, ROLE_ALL, "");
    return true;
}

bool access_allows(struct access *a, struct http_request *r, unsigned auth, const struct access_need *need,
                   struct access_denial *why)
{
    if (need->roles == 0)
        return true;
    if (auth == AUTH_UNSET || auth == AUTH_NONE) { /* nobody is asked; what they bring along is not looked at */
        caller_set(&r->caller, ROLE_ALL, "");
        return true;
    }
    return judge(a, r, auth, why) && access_may(&r->caller, need, why);
}

bool access_may(const struct http_caller *caller, const struct access_need *need, struct access_denial *why)
{
    if ((caller->roles & need->roles) == 0)
        return deny(why, &lacks_role);
    return need->own || caller->client[0] == '\0' || deny(why, &bound);
}

bool access_key(struct access *a, struct slice text, struct key *out)
{
    return a->keys != NULL && keys_find(a->keys, text, clock_wall_us() / 1000000, out) == KEY_GOOD;
}

bool access_key_again(struct access *a, const struct key *was, struct http_caller *caller)
{
    struct key key;
    if (a->keys == NULL || keys_again(a->keys, was, clock_wall_us() / 1000000, &key) != KEY_GOOD)
        return false;
    caller_set(caller, key.roles, key.client);
    return true;
}

/* --- life --- */

int access_open(struct access **out, const struct access_options *options, struct err *e)
{
    struct access *a = calloc(1, sizeof *a);
    if (a == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    int code = ERR_OK;
    if ((options->auth & AUTH_KEYS) != 0)
        code = keys_open(&a->keys, options->data_dir, e);
    if (code == ERR_OK && (options->auth & AUTH_MTLS) != 0)
        code = certs_open(&a->certs, options->client_roles, e);
    if (code == ERR_OK && (options->auth & AUTH_OIDC) != 0)
        code = issuer_open(&a->issuer, &options->issuer, e);
    if (code == ERR_OK)
        *out = a;
    else
        access_close(&a);
    return code;
}

void access_close(struct access **a)
{
    if (*a == NULL)
        return;
    keys_close(&(*a)->keys);
    certs_close(&(*a)->certs);
    issuer_close(&(*a)->issuer);
    free(*a);
    *a = NULL;
}

int access_look(struct access *a, enum access_part part, bool *changed, struct err *e)
{
    *changed = false;
    switch (part) {
    case ACCESS_KEYS: return a->keys == NULL ? ERR_OK : keys_look(a->keys, changed, e);
    case ACCESS_CERTS: return a->certs == NULL ? ERR_OK : certs_look(a->certs, changed, e);
    case ACCESS_ISSUER: return a->issuer == NULL ? ERR_OK : issuer_look(a->issuer, changed, e);
    case ACCESS_PARTS: break;
    }
    return ERR_OK;
}

int access_used_take(struct access *a, struct buf *out, bool *any)
{
    *any = false;
    return a->keys == NULL ? ERR_OK : keys_used_take(a->keys, out, any);
}

int access_used_write(const struct access *a, struct slice text)
{
    return keys_used_write(a->keys, text);
}

int access_keys_print(struct access *a, struct buf *out)
{
    return a->keys == NULL ? buf_adds(out, "{\"keys\":[]}") : keys_print(a->keys, out);
}

size_t access_keys(const struct access *a)
{
    return a->keys == NULL ? 0 : keys_count(a->keys);
}
