/* Judging a token.
 *
 * In this order, so that what a stranger sends costs little: shape and length; the header, where only algorithm and key
 * id count (a key that a token brings along, or the address of one, is never looked at); the key; the signature; and
 * only then the claims. The algorithm is one of those that are configured and one that the key is for, never the
 * token's choice. The library checks signatures; everything that it leaves open (padding, a curve that does not fit,
 * critical extensions) is closed here. */
#include "access/jwt.h"

#include "access/base64url.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PARTS = 3, PATH_PART_MAX = 128 };

/* --- shape --- */

/* Three parts with dots between. */
static bool split(struct slice token, struct slice parts[PARTS])
{
    if (token.len > JWT_MAX)
        return false;
    for (int i = 0; i < PARTS; i++) {
        const char *dot = i + 1 < PARTS ? memchr(token.ptr, '.', token.len) : token.ptr + token.len;
        if (dot == NULL)
            return false;
        parts[i] = slice_make(token.ptr, (size_t)(dot - token.ptr));
        if (parts[i].len == 0)
            return false;
        if (i + 1 < PARTS)
            token = slice_make(dot + 1, token.len - parts[i].len - 1);
    }
    return true;
}

/* An object, in the caller's ownership; NULL when it is none. */
static json_t *part_json(struct slice part)
{
    unsigned char text[JWT_MAX];
    long len = base64url_decode(part, text, sizeof text);
    json_t *json = len < 0 ? NULL : json_loadb((const char *)text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_make(json_string_value(v), json_string_length(v)) : slice_make(NULL, 0);
}

/* --- the header --- */

static bool type_fits(const json_t *header)
{
    static const char *const types[] = {"JWT", "at+jwt", "application/at+jwt", "application/jwt"};
    const json_t *type = json_object_get(header, "typ");
    for (size_t i = 0; json_is_string(type) && i < COUNT_OF(types); i++)
        if (strcasecmp(json_string_value(type), types[i]) == 0)
            return true;
    return type == NULL;
}

/* Which algorithm and key it names; -1: nothing that we take. */
static int header_read(const json_t *header, unsigned algorithms, struct slice *kid)
{
    const json_t *name = json_object_get(header, "kid");
    int a = algorithm_parse(text_of(json_object_get(header, "alg")));
    if (a < 0 || (algorithms & 1u << a) == 0 || json_object_get(header, "crit") != NULL || !type_fits(header))
        return -1;
    *kid = text_of(name);
    return name != NULL && (kid->len == 0 || kid->len > JWKS_KID_MAX) ? -1 : a;
}

/* --- the signature --- */

static bool signed_by(const struct slice parts[PARTS], struct evp_pkey_st *key, enum algorithm a)
{
    unsigned char bytes[SIGNATURE_MAX];
    long len = base64url_decode(parts[2], bytes, sizeof bytes);
    const char *begin = parts[0].ptr, *end = parts[1].ptr + parts[1].len; /* with the dot between them */
    return len > 0 && signature_fits(key, a, slice_make(begin, (size_t)(end - begin)), slice_make(bytes, (size_t)len));
}

/* --- claims --- */

static bool says_text(const json_t *claims, const char *name, const char *wanted)
{
    return slice_is(text_of(json_object_get(claims, name)), wanted);
}

static bool audience_fits(const json_t *claims, const char *wanted)
{
    const json_t *aud = json_object_get(claims, "aud"), *one;
    size_t i;
    json_array_foreach(aud, i, one) if (slice_is(text_of(one), wanted)) return true;
    return says_text(claims, "aud", wanted);
}

/* A moment in seconds; false when it is there and is none. */
static bool moment_of(const json_t *claims, const char *name, double *out)
{
    const json_t *v = json_object_get(claims, name);
    if (v == NULL)
        return true;
    *out = json_number_value(v);
    return json_is_number(v) && isfinite(*out);
}

static bool in_time(const json_t *claims, const struct jwt_rules *rules, int64_t now_s)
{
    double expires = -INFINITY, begins = -INFINITY, now = (double)now_s, leeway = (double)rules->leeway_s;
    return moment_of(claims, "exp", &expires) && moment_of(claims, "nbf", &begins) && now < expires + leeway &&
           now >= begins - leeway; /* without `exp` it would be valid for ever: never */
}

/* The claim of that name; where there is none, the one that the dots lead to. */
static const json_t *claim_at(const json_t *claims, const char *path)
{
    const json_t *found = json_object_get(claims, path);
    for (const json_t *at = claims; found == NULL && at != NULL;) {
        char part[PATH_PART_MAX];
        size_t len = strcspn(path, ".");
        if (len >= sizeof part)
            return NULL;
        memcpy(part, path, len);
        part[len] = '\0';
        at = json_object_get(at, part);
        if (path[len] == '\0')
            return at;
        path += len + 1;
    }
    return found;
}

static unsigned role_of(struct slice word, const char *prefix)
{
    size_t len = prefix == NULL ? 0 : strlen(prefix);
    if (word.len < len || (len > 0 && memcmp(word.ptr, prefix, len) != 0))
        return 0;
    return role_parse(slice_make(word.ptr + len, word.len - len));
}

/* A list of names, or one text with blanks between them (as `scope` is). */
static unsigned roles_of(const json_t *claim, const char *prefix)
{
    unsigned roles = 0;
    const json_t *one;
    size_t i;
    json_array_foreach(claim, i, one) roles |= role_of(text_of(one), prefix);
    struct slice rest = text_of(claim);
    while (rest.len > 0) {
        const char *blank = memchr(rest.ptr, ' ', rest.len);
        size_t len = blank == NULL ? rest.len : (size_t)(blank - rest.ptr);
        roles |= role_of(slice_make(rest.ptr, len), prefix);
        len += blank != NULL;
        rest = slice_make(rest.ptr + len, rest.len - len);
    }
    return roles;
}

static enum jwt_result caller_of(const struct jwt_rules *rules, const json_t *claims, struct jwt_caller *out)
{
    struct jwt_caller caller = {.roles = roles_of(claim_at(claims, rules->roles_claim), rules->roles_prefix)};
    if (rules->client_claim != NULL) {
        struct slice client = text_of(claim_at(claims, rules->client_claim));
        if (client.ptr == NULL || !client_valid(client))
            return JWT_NO_CLIENT;
        memcpy(caller.client, client.ptr, client.len);
    }
    struct slice subject = text_of(claim_at(claims, "sub"));
    snprintf(caller.subject, sizeof caller.subject, SLICE_FMT, SLICE_ARG(subject));
    *out = caller;
    return JWT_GOOD;
}

static enum jwt_result claims_judge(const struct jwt_rules *rules, const json_t *claims, int64_t now_s,
                                    struct jwt_caller *out)
{
    if (!says_text(claims, "iss", rules->issuer) || !audience_fits(claims, rules->audience))
        return JWT_BAD;
    return in_time(claims, rules, now_s) ? caller_of(rules, claims, out) : JWT_EXPIRED;
}

/* --- all of it --- */

static enum jwt_result judge(const struct jwt_rules *rules, const struct jwks *keys, const struct slice parts[PARTS],
                             const json_t *header, const json_t *claims, int64_t now_s, struct jwt_caller *out)
{
    struct slice kid;
    int a = header_read(header, rules->algorithms, &kid);
    if (a < 0)
        return JWT_BAD;
    struct evp_pkey_st *key = keys == NULL ? NULL : jwks_find(keys, kid, (enum algorithm)a);
    if (key == NULL) {
        bool newer = keys == NULL || !jwks_rules_out(keys, kid, (enum algorithm)a); /* might a newer set have it? */
        return newer && says_text(claims, "iss", rules->issuer) ? JWT_NO_KEY : JWT_BAD;
    }
    if (!signed_by(parts, key, (enum algorithm)a))
        return JWT_BAD;
    return claims_judge(rules, claims, now_s, out);
}

enum jwt_result jwt_judge(const struct jwt_rules *rules, const struct jwks *keys, struct slice token, int64_t now_s,
                          struct jwt_caller *out)
{
    struct slice parts[PARTS];
    if (!split(token, parts))
        return JWT_BAD;
    json_t *header = part_json(parts[0]), *claims = header == NULL ? NULL : part_json(parts[1]);
    enum jwt_result result = claims == NULL ? JWT_BAD : judge(rules, keys, parts, header, claims, now_s, out);
    json_decref(header);
    json_decref(claims);
    return result;
}
