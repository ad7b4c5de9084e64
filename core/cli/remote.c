/* Talking to the daemon's admin API, and turning problem+json into sentences that say what to do. */
#include "cli/remote.h"

#include "cli/say.h"
#include "conf/conf.h"

#include <stdlib.h>
#include <unistd.h>

enum { ASK_TIMEOUT_MS = 30000, ERRORS_SHOWN = 20 };

int remote_reached(const struct settings *s, const char *setting, const char *address, struct target *out,
                   struct err *e)
{
    char whole[TARGET_BASE_MAX];
    bool tls = strncmp(setting, "admin.", 6) == 0 ? s->admin_tls : s->http_tls;
    struct target plain;
    int code = remote_target_parse(address, &plain, e);
    if (code != ERR_OK || s->tls_certificate == NULL || !tls || strncmp(plain.base, "http://", 7) != 0 ||
        plain.socket[0] != '\0') {
        if (code == ERR_OK)
            *out = plain;
        return code;
    }
    snprintf(whole, sizeof whole, "https://%.280s", plain.base + 7);
    return remote_target_parse(whole, out, e);
}

/* The settings may be broken or unreadable for whoever asks: then the default address is as good as any. */
static bool setting_read(const char *setting, struct target *out)
{
    struct conf_input input = {.environment = environ};
    struct conf *conf = NULL;
    struct buf faults, notices;
    bool found = false;
    buf_init(&faults, 1 << 16);
    buf_init(&notices, 1 << 16);
    if (conf_load(&input, &conf, &faults, &notices) == ERR_OK) {
        struct conf_line line;
        for (size_t at = 0; !found && conf_next(conf, &at, &line);)
            found = strcmp(line.key, setting) == 0 &&
                    remote_reached(conf_settings(conf), setting, line.value, out, NULL) == ERR_OK;
    }
    conf_free(&conf);
    buf_free(&faults);
    buf_free(&notices);
    return found;
}

int remote_target(const char *setting, const char *variable, const char *otherwise, struct target *out, struct err *e)
{
    const char *text = getenv(variable);
    if (setting_read(setting, out))
        return ERR_OK;
    return remote_target_parse(text != NULL && text[0] != '\0' ? text : otherwise, out, e);
}

int remote_open(struct remote *r, const struct args *a)
{
    struct err e = {0};
    struct target target;
    char *token = NULL;
    const char *given = args_value(a, OPT_ADMIN, NULL);
    int code = given != NULL ? remote_target_parse(given, &target, &e)
                             : remote_target("admin.listen", "HEADGATE_ADMIN_LISTEN", "127.0.0.1:8081", &target, &e);
    *r = (struct remote){.timeout_ms = ASK_TIMEOUT_MS};
    if (code != ERR_OK)
        return say_error(EXIT_USAGE, "admin address: %s", e.text);
    code = call_token(&token, &e);
    if (code == ERR_OK)
        code = call_open(&r->call, &target, token, args_value(a, OPT_CA, NULL), &e);
    free(token);
    if (code == ERR_OK) {
        r->call.why = args_value(a, OPT_WHY, NULL);
        return EXIT_DONE;
    }
    return say_error(code == ERR_NOMEM ? EXIT_INTERNAL : EXIT_CONFIG, "%s", e.text);
}

void remote_close(struct remote *r)
{
    call_close(&r->call);
}

static int remote_unreached(const struct remote *r, int code, const struct err *e)
{
    const char *shown = r->call.target.shown;
    if (code == ERR_SYNTAX)
        return say_error(EXIT_USAGE, "%s: %s", shown, e->text);
    if (code == ERR_NOMEM)
        return say_error(EXIT_INTERNAL, "out of memory");
    if (code == ERR_LIMIT)
        return say_error(EXIT_REFUSED, "the answer of %s is too large: ask for less (--limit)", shown);
    if (code == ERR_TIMEOUT)
        return say_error(EXIT_UNREACHABLE, "%s did not answer in time: %s", shown, e->text);
    return say_error(EXIT_UNREACHABLE,
                     "cannot reach the daemon at %s: %s. Is it running? Its admin address can be given with --admin",
                     shown, e->text);
}

static int status_exit(long status)
{
    if (status == 401 || status == 403)
        return EXIT_CONFIG;
    if (status == 429 || status == 502 || status == 503 || status == 504)
        return EXIT_UNREACHABLE;
    return status >= 500 && status != 501 && status != 505 ? EXIT_INTERNAL : EXIT_REFUSED;
}

static const char *status_advice(long status)
{
    if (status == 401)
        return "; set HEADGATE_TOKEN or HEADGATE_TOKEN_FILE";
    if (status == 403)
        return "; the daemon's admin.hosts says which host names it answers to";
    if (status == 429 || status == 503)
        return "; try again later";
    return "";
}

static void problem_errors(const json_t *errors)
{
    size_t count = json_array_size(errors);
    for (size_t i = 0; i < count && i < ERRORS_SHOWN; i++) {
        const json_t *error = json_array_get(errors, i);
        say_note("  %s: %s", js_text(error, "pointer"), js_text(error, "detail"));
    }
    if (count > ERRORS_SHOWN)
        say_note("  and %zu more", count - ERRORS_SHOWN);
}

int remote_problem(const struct call *c)
{
    json_t *problem = js_parse(buf_slice(&c->body));
    const char *detail = js_text(problem, "detail");
    if (detail[0] == '\0')
        detail = js_text(problem, "title");
    size_t len = strlen(detail);
    while (len > 0 && detail[len - 1] == '.')
        len--;
    if (len > 0)
        say_note("%.*s%s", (int)len, detail, status_advice(c->status));
    else
        say_note("%s answered with HTTP status %ld%s", c->target.shown, c->status, status_advice(c->status));
    problem_errors(json_object_get(problem, "errors"));
    json_decref(problem);
    return status_exit(c->status);
}

int remote_ask(struct remote *r, const char *method, const char *path, const char *body)
{
    struct err e = {0};
    struct call_request request = {.method = method, .path = path, .body = slice_of(body), .timeout_ms = r->timeout_ms};
    int code = call_send(&r->call, &request, &e);
    if (code != ERR_OK)
        return remote_unreached(r, code, &e);
    if (r->call.unaudited)
        say_note("it is not in the audit log: that cannot be written; the daemon's log says why");
    return r->call.status / 100 == 2 ? EXIT_DONE : remote_problem(&r->call);
}

int remote_follow(struct remote *r, const char *path, bool (*part)(void *arg, struct slice bytes), void *arg)
{
    struct err e = {0};
    const struct call_request request = {.method = "GET", .path = path, .part = part, .part_arg = arg};
    int code = call_send(&r->call, &request, &e);
    if (code == ERR_LIMIT)
        return EXIT_DONE;
    if (code != ERR_OK)
        return remote_unreached(r, code, &e);
    return r->call.status / 100 == 2 ? EXIT_DONE : remote_problem(&r->call);
}

int remote_json(struct remote *r, const char *method, const char *path, const char *body, json_t **out)
{
    int exit = remote_ask(r, method, path, body);
    if (exit != EXIT_DONE)
        return exit;
    json_t *answer = js_parse(buf_slice(&r->call.body));
    if (answer == NULL)
        return say_error(EXIT_INTERNAL, "%s did not answer with JSON: is that a headgate's admin address?",
                         r->call.target.shown);
    *out = answer;
    return EXIT_DONE;
}

void remote_print(const struct remote *r)
{
    const struct buf *body = &r->call.body;
    fwrite(body->ptr, 1, body->len, stdout);
    if (body->len == 0 || body->ptr[body->len - 1] != '\n')
        fputc('\n', stdout);
}
