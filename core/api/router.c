/* The routes of operation: one table; which listeners show a route, and to whom; what a foreign web page may not do.
 *
 * A browser on the bench machine must not be able to steer or post: a foreign Origin or a cross-site fetch is refused
 * everywhere, and on the admin listener a Host that is not listed (DNS rebinding).
 *
 * Both this and the caller are looked at when the head has come, before a byte of the body is taken. */
#include "access/sessions.h"
#include "api/api.h"
#include "api/daemon.h"
#include "api/session.h"
#include "api/site.h"

#include <stdio.h>
#include <string.h>

enum { ON_ROWS = 1, ON_ADMIN = 2, ON_PROBES = 4 };
enum { EVERYBODY = 0, ANYBODY = ROLE_ALL, OWN = 1 << ROLE_COUNT };

struct route {
    enum http_method method;
    const char *name;
    const char *pattern;
    int where, may;
    api_route *run;
};

static const struct route routes[] = {
#define ROUTE(method, pattern, where, may, run) {HTTP_##method, #run, pattern, where, may, run},
#include "api/routes.def"
#undef ROUTE
};

/* Match a path against a pattern; `{…}` takes one segment. */
static bool match(const char *pattern, struct slice path, struct api_params *params)
{
    size_t at = 0, count = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (at >= path.len || path.ptr[at++] != *pattern++)
                return false;
            continue;
        }
        pattern = strchr(pattern, '}') + 1;
        size_t end = at;
        while (end < path.len && path.ptr[end] != '/')
            end++;
        if (end == at || count == COUNT_OF(params->text) ||
            http_unescape(slice_make(path.ptr + at, end - at), params->text[count], sizeof params->text[0]) < 0)
            return false;
        count++;
        at = end;
    }
    return at == path.len;
}

static int where_of(const struct http_request *r)
{
    switch ((enum listener)r->listener) {
    case LISTENER_ROWS: return ON_ROWS;
    case LISTENER_ADMIN: return ON_ADMIN;
    case LISTENER_PROBES: return ON_PROBES;
    }
    return 0;
}

static bool host_refused(struct api *api, struct http_request *r)
{
    struct slice host = {"", 0};
    char local[64];
    bool probe = slice_is(r->path, "/livez") || slice_is(r->path, "/readyz") || slice_is(r->path, "/healthz");
    if (r->listener != LISTENER_ADMIN || probe)
        return false;
    (void)http_field(r, "Host", &host);
    http_local(r, local, sizeof local);
    return !daemon_host_allowed(api->daemon, host, slice_of(local));
}

static const char *refused_from_outside(struct api *api, struct http_request *r)
{
    if (site_foreign(r))
        return "a page of another site may not do this";
    if (host_refused(api, r))
        return "this Host is not one of admin.hosts; add it there if it is yours";
    return NULL;
}

static void add_allow(char *allow, size_t size, enum http_method method)
{
    static const char *const names[] = {[HTTP_GET] = "GET, HEAD", [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE"};
    size_t len = strlen(allow);
    snprintf(allow + len, size - len, "%s%s", len > 0 ? ", " : "", names[method]);
}

static enum http_method method_of(const struct http_request *r)
{
    return r->method == HTTP_HEAD ? HTTP_GET : r->method;
}

static bool leads_to(const struct route *route, const struct http_request *r, struct api_params *params)
{
    return (route->where & where_of(r)) != 0 && match(route->pattern, r->path, params);
}

/* What is asked of the caller; where there is no such route, that there is one at all: whoever may not look is not told
 * either what is there. */
static struct access_need need_of(const struct http_request *r)
{
    struct api_params params;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (routes[i].method == method_of(r) && leads_to(&routes[i], r, &params))
            return (struct access_need){.roles = (unsigned)routes[i].may & ROLE_ALL, .own = (routes[i].may & OWN) != 0};
    return (struct access_need){.roles = ROLE_ALL, .own = true};
}

const char *api_route_name(const struct http_request *r)
{
    struct api_params params;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (routes[i].method == method_of(r) && leads_to(&routes[i], r, &params))
            return routes[i].name;
    return NULL;
}

static bool admits(struct api *api, struct http_request *r, struct access_denial *why)
{
    const struct access_need need = need_of(r);
    const unsigned auth = r->listener == LISTENER_ROWS    ? api->rows_auth
                          : r->listener == LISTENER_ADMIN ? api->admin_auth
                                                          : (unsigned)AUTH_NONE;
    struct session session;
    if (need.roles != 0 && api_session(api, r, &session))
        return (api_session_guarded(r, &session, why) && access_may(&r->caller, &need, why));
    return access_allows(api->access, r, auth, &need, why);
}

bool api_admits_still(struct api *api, struct http_request *r)
{
    struct access_denial why;
    return admits(api, r, &why);
}

int api_admit(struct api *api, struct http_request *r)
{
    struct access_denial why;
    const char *fault = refused_from_outside(api, r);
    if (fault != NULL) {
        api_problem(r, 403, "forbidden", fault);
        return 1;
    }
    if (api_session_refused(r))
        return 1;
    if (admits(api, r, &why))
        return 0;
    const struct http_problem problem = {.status = why.status,
                                         .word = why.word,
                                         .detail = why.detail,
                                         .challenge = why.challenge,
                                         .retry_after = why.retry_after};
    api_send_problem(r, &problem);
    return 1;
}

void api_dispatch(struct api *api, struct http_request *r)
{
    char allow[64] = "";
    struct api_params params;
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (!leads_to(&routes[i], r, &params))
            continue;
        if (routes[i].method == method_of(r)) {
            routes[i].run(api, r, &params);
            return;
        }
        add_allow(allow, sizeof allow, routes[i].method);
    }
    if (allow[0] == '\0') {
        api_problem(r, 404, "not-found",
                    "there is nothing at this path; /openapi.json on the admin listener lists what is");
        return;
    }
    struct http_problem problem = {
        .status = 405, .word = "method", .detail = "this path does not take this method; see Allow", .allow = allow};
    api_send_problem(r, &problem);
}
