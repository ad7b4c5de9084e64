/* Browsers say where a request comes from in Origin and Sec-Fetch-Site; a page cannot change either. Programs send
 * neither. An Origin counts as ours when it names the host and port that the request itself was sent to. */
#include "api/site.h"

#include <strings.h>

static bool begins(struct slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && strncasecmp(text.ptr, prefix, len) == 0;
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static struct slice without(struct slice authority, const char *port)
{
    size_t len = strlen(port);
    if (authority.len > len && memcmp(authority.ptr + authority.len - len, port, len) == 0)
        authority.len -= len;
    return authority;
}

static bool origin_is(struct slice origin, const char *scheme, const char *port, struct slice host)
{
    if (!begins(origin, scheme))
        return false;
    struct slice authority = slice_make(origin.ptr + strlen(scheme), origin.len - strlen(scheme));
    return same(without(authority, port), without(host, port));
}

bool site_foreign(const struct http_request *r)
{
    struct slice origin, host, from;
    if (http_field(r, "sec-fetch-site", &from) && same(from, SLICE_LIT("cross-site")))
        return true;
    if (!http_field(r, "origin", &origin))
        return false;
    if (!http_field(r, "host", &host))
        return true;
    return !origin_is(origin, "http://", ":80", host) && !origin_is(origin, "https://", ":443", host);
}
