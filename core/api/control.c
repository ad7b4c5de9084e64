/* Control over HTTP: probes, version, reload, drain, the settings in force, refusals, plugins, what problems mean. */
#include "api/api.h"
#include "api/daemon.h"
#include "api/intake.h"
#include "api/refusals.h"

#include "base/sys.h"
#include "conf/value.h"
#include "headgate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(struct http_request *r, int status, const char *say)
{
    struct http_answer answer = {.status = status, .content_type = "text/plain; charset=utf-8", .body = slice_of(say)};
    api_send(r, &answer);
}

void api_live(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)api;
    (void)params;
    text(r, 200, "ok\n");
}

void api_ready(struct api *api, struct http_request *r, const struct api_params *params)
{
    char why[300];
    (void)params;
    if (daemon_ready(api->daemon, why, sizeof why))
        text(r, 200, "ok\n");
    else
        api_problem(r, 503, daemon_draining(api->daemon) ? "draining" : "unavailable", why);
}

void api_version(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)api;
    (void)params;
    struct http_answer answer = {.status = 200,
                                 .content_type = "application/json",
                                 .body = SLICE_LIT("{\"name\":\"headgate\",\"version\":\"" HG_VERSION
                                                   "\",\"journal_format\":1,\"plugin_abi\":\"1.0\"}\n")};
    api_send(r, &answer);
}

/* --- settings --- */

static int add_lines(struct buf *b, const char *name, struct buf *lines)
{
    bool more = false;
    int code = buf_addf(b, "\"%s\":[", name);
    for (const char *at = buf_str(lines); code == ERR_OK && *at != '\0';) {
        size_t len = strcspn(at, "\n");
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = buf_add_json(b, slice_make(at, len));
        at += len + (at[len] == '\n');
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

void api_reload(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b, changed, restart, faults;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    buf_init(&changed, 1 << 20);
    buf_init(&restart, 1 << 20);
    buf_init(&faults, 1 << 20);
    int done = daemon_reload(api->daemon, &changed, &restart, &faults);
    int code = buf_addf(&b, "{\"generation\":%llu,", (unsigned long long)api->generation);
    if (code == ERR_OK)
        code = add_lines(&b, "changed", &changed);
    if (code == ERR_OK)
        code = buf_addc(&b, ',');
    if (code == ERR_OK)
        code = add_lines(&b, "restart", &restart);
    if (code == ERR_OK)
        code = buf_addc(&b, ',');
    if (code == ERR_OK)
        code = add_lines(&b, "faults", &faults);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    buf_free(&changed);
    buf_free(&restart);
    buf_free(&faults);
    api_json(r, done == ERR_OK ? 200 : 422, &b, code);
}

static int add_value(struct buf *b, const char *key, const char *value, const char *origin)
{
    int code = buf_adds(b, key);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(value == NULL ? "" : value));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"origin\":");
    return code == ERR_OK ? buf_add_json(b, slice_of(origin == NULL ? "" : origin)) : code;
}

static int add_settings(struct buf *b, const struct conf *conf)
{
    size_t at = 0;
    struct conf_line line;
    bool more = false;
    int code = ERR_OK;
    while (code == ERR_OK && conf_next(conf, &at, &line)) {
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = buf_addf(b, "{\"key\":\"%s\"", line.key);
        if (code == ERR_OK)
            code = add_value(b, ",\"value\":", line.value, line.origin);
        if (code == ERR_OK)
            code = buf_addf(b, ",\"reloadable\":%s}", line.reloadable ? "true" : "false");
    }
    return code;
}

static int add_option_values(struct buf *b, const struct conf_value *values, size_t count, bool *more)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        const struct conf_value *v = &values[i];
        code = api_comma(b, more);
        if (code == ERR_OK)
            code = buf_addf(b, "{\"name\":\"%s\"", v->name);
        if (code == ERR_OK)
            code = add_value(b, ",\"value\":", v->secret ? "(hidden)" : v->value, v->origin);
        if (code == ERR_OK)
            code = buf_addf(b, ",\"secret\":%s}", v->secret ? "true" : "false");
    }
    return code;
}

/* A processor has none of the common options. */
static int add_instance(struct buf *b, const char *name, const char *kind, const struct instance *i)
{
    bool more = false;
    int code = buf_addf(b, "{\"name\":\"%s\",\"kind\":\"%s\",\"plugin\":", name, kind);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(i->use == NULL ? "" : i->use));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"options\":[");
    if (code == ERR_OK && strcmp(kind, "processor") != 0)
        code = add_option_values(b, i->common_values, i->common_count, &more);
    if (code == ERR_OK)
        code = add_option_values(b, i->values, i->count, &more);
    return code == ERR_OK ? buf_adds(b, "]}") : code;
}

static int add_processors(struct buf *b, struct api *api, bool *more)
{
    const struct steps *all = supervisor_processors(api->supervisor);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < all->count; i++) {
        code = api_comma(b, more);
        if (code == ERR_OK)
            code = add_instance(b, all->all[i].name, "processor", &all->all[i].instance);
    }
    return code;
}

void api_config(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    bool more = false;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"settings\":[");
    if (code == ERR_OK)
        code = add_settings(&b, daemon_conf(api->daemon));
    if (code == ERR_OK)
        code = buf_adds(&b, "],\"plugins\":[");
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        if (code == ERR_OK)
            code = api_comma(&b, &more);
        const struct runner *runner = container_of(it, struct runner, link);
        if (code == ERR_OK)
            code = add_instance(&b, runner->name, api_is_puller(runner) ? "puller" : "pusher", &runner->instance);
    }
    if (code == ERR_OK)
        code = add_processors(&b, api, &more);
    if (code == ERR_OK)
        code = buf_addf(&b, "],\"generation\":%llu}\n", (unsigned long long)api->generation);
    api_json(r, 200, &b, code);
}

/* --- drain --- */

struct drain_wait {
    uv_timer_t timer;
    struct api *api;
    struct http_request *request;
    int64_t until_ms;
};

enum { DRAIN_LOOK_MS = 20, DRAIN_WAIT_MAX_MS = 3600000 };

static uint64_t left_rows(struct api *api)
{
    uint64_t left = 0;
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        uint64_t rows, bytes;
        if (r->pusher == NULL)
            continue;
        pusher_lag(r->pusher, &rows, &bytes);
        left += rows == 0 && bytes > 0 ? 1 : rows;
    }
    return left;
}

static void answer_drain(struct api *api, struct http_request *r)
{
    struct buf b;
    buf_init(&b, 256);
    bool empty = supervisor_drained(api->supervisor);
    uint64_t left = empty ? 0 : left_rows(api);
    int code = buf_addf(&b, "{\"draining\":true,\"left\":%llu}\n",
                        (unsigned long long)(empty       ? 0
                                             : left == 0 ? 1
                                                         : left));
    api_json(r, 200, &b, code);
}

static void drain_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drain_look(uv_timer_t *timer)
{
    struct drain_wait *w = timer->data;
    if (!supervisor_drained(w->api->supervisor) && clock_ms() < w->until_ms && !w->api->stopping)
        return;
    w->api->works--;
    answer_drain(w->api, w->request);
    uv_close((uv_handle_t *)timer, drain_closed);
}

void api_drain(struct api *api, struct http_request *r, const struct api_params *params)
{
    char until[16] = "", wait[32] = "";
    (void)params;
    (void)http_query(r, "until", until, sizeof until);
    (void)http_query(r, "wait", wait, sizeof wait);
    int64_t wait_ms = 0;
    if (wait[0] != '\0' && (value_duration(wait, &wait_ms, NULL) != ERR_OK || wait_ms > DRAIN_WAIT_MAX_MS)) {
        api_problem(r, 422, "schema", "wait takes a duration up to 1h, such as 25s");
        return;
    }
    daemon_drain(api->daemon);
    struct drain_wait *w = wait_ms > 0 && strcmp(until, "empty") == 0 ? calloc(1, sizeof *w) : NULL;
    if (w == NULL) {
        answer_drain(api, r);
        return;
    }
    w->api = api;
    w->request = r;
    w->until_ms = clock_ms() + wait_ms;
    w->timer.data = w;
    CHECK(uv_timer_init(api->loop, &w->timer) == 0);
    api->works++;
    CHECK(uv_timer_start(&w->timer, drain_look, 0, DRAIN_LOOK_MS) == 0);
}

/* --- looking --- */

void api_refusals(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    api_json(r, 200, &b, refusals_print(daemon_refusals(api->daemon), &b));
}

static void answer_probe(void *arg, int code, const char *why)
{
    struct http_request *r = arg;
    struct buf b;
    buf_init(&b, 4096);
    int built = buf_addf(&b, "{\"reachable\":%s,\"text\":", code == ERR_OK ? "true" : "false");
    if (built == ERR_OK)
        built = buf_add_json(&b, slice_of(why));
    if (built == ERR_OK)
        built = buf_adds(&b, "}\n");
    api_json(r, 200, &b, built);
}

void api_probe(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner = supervisor_find(api->supervisor, slice_of(params->text[0]));
    if (runner == NULL)
        api_problem(r, 404, "not-found", "there is no pusher or puller of this name; GET /v1/pushers lists them");
    else
        supervisor_probe(api->supervisor, runner, answer_probe, r);
}

/* The words of enum hg_type. */
static const char *type_word(uint32_t type)
{
    static const char *const words[] = {"",     "string", "integer", "number", "boolean", "duration",
                                        "size", "choice", "list",    "map",    "path",    "url"};
    return type < COUNT_OF(words) ? words[type] : "";
}

static int add_option(struct buf *b, const struct described_option *o)
{
    int code = buf_adds(b, "{\"name\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(o->name));
    if (code == ERR_OK)
        code =
            buf_addf(b, ",\"type\":\"%s\",\"required\":%s,\"secret\":%s,\"default\":", type_word(o->type),
                     (o->flags & HG_REQUIRED) != 0 ? "true" : "false", (o->flags & HG_SECRET) != 0 ? "true" : "false");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(o->fallback == NULL ? "" : o->fallback));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"limits\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(o->limits == NULL ? "" : o->limits));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"text\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(o->text));
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

/* What the plugin says of itself. */
static int add_about(struct buf *b, const struct described *about)
{
    bool more = false;
    int code = buf_addf(b, ",\"kind\":\"%s\",\"summary\":",
                        about->kind == HG_PULLER      ? "puller"
                        : about->kind == HG_PROCESSOR ? "processor"
                                                      : "pusher");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(about->summary == NULL ? "" : about->summary));
    if (code == ERR_OK)
        code = buf_addf(b, ",\"max_parallel\":%u,\"options\":[", about->max_parallel);
    for (size_t i = 0; code == ERR_OK && i < about->count; i++) {
        code = api_comma(b, &more);
        if (code == ERR_OK)
            code = add_option(b, &about->options[i]);
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

/* The options that all pushers have. */
static int add_common(struct buf *b)
{
    static const struct {
        const char *name, *fallback, *text;
    } common[] = {
#define PUSHER(key, member, type, second, fallback, limits, zero, text) {#key, fallback, text},
#define LATER(key, text)
#include "conf/pusher_options.def"
#undef PUSHER
#undef LATER
    };
    int code = buf_adds(b, ",\"common\":[");
    for (size_t i = 0; code == ERR_OK && i < COUNT_OF(common); i++) {
        code = buf_addf(b, "%s{\"name\":\"%s\",\"default\":", i == 0 ? "" : ",", common[i].name);
        if (code == ERR_OK)
            code = buf_add_json(b, slice_of(common[i].fallback));
        if (code == ERR_OK)
            code = buf_adds(b, ",\"text\":");
        if (code == ERR_OK)
            code = buf_add_json(b, slice_of(common[i].text));
        if (code == ERR_OK)
            code = buf_addc(b, '}');
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

void api_plugins(struct api *api, struct http_request *r, const struct api_params *params)
{
    const struct folder *f = supervisor_folder(api->supervisor);
    struct buf b;
    bool more = false;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"plugins\":[");
    for (size_t i = 0; code == ERR_OK && i < f->count; i++) {
        const struct plugin_file *file = f->entries[i].file;
        char why[4096] = "";
        (void)folder_refused(&f->entries[i], why, sizeof why);
        code = api_comma(&b, &more);
        if (code == ERR_OK)
            code = buf_adds(&b, "{\"file\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(file->path));
        if (code == ERR_OK)
            code = buf_adds(&b, ",\"name\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(file->described ? file->about.name : ""));
        if (code == ERR_OK)
            code = buf_adds(&b, ",\"version\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(file->described ? file->about.version : ""));
        if (code == ERR_OK)
            code = buf_adds(&b, ",\"refused\":");
        if (code == ERR_OK)
            code = buf_add_json(&b, slice_of(why));
        if (code == ERR_OK && file->described)
            code = add_about(&b, &file->about);
        if (code == ERR_OK)
            code = buf_addc(&b, '}');
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "],\"processors\":[");
    more = false;
    if (code == ERR_OK)
        code = add_processors(&b, api, &more);
    if (code == ERR_OK)
        code = buf_adds(&b, "]");
    if (code == ERR_OK)
        code = add_common(&b);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    api_json(r, 200, &b, code);
}

/* --- descriptions --- */

static const struct {
    const char *word, *title, *text;
} problems[] = {
#define PROBLEM(word, title, text) {word, title, text},
#include "api/problems.def"
#undef PROBLEM
};

void api_problem_page(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)api;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        if (strcmp(problems[i].word, params->text[0]) != 0)
            continue;
        struct buf b;
        buf_init(&b, 4096);
        int code = buf_addf(&b, "%s\n\n%s\n", problems[i].title, problems[i].text);
        api_text(r, 200, "text/plain; charset=utf-8", &b, code);
        return;
    }
    api_problem(r, 404, "not-found", "there is no problem of this name");
}
