/* `headgate reload|drain|probe|config|refusals|audit`: what concerns the daemon as a whole. */
#include "cli/cli.h"

#include "base/sys.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/nap.h"
#include "cli/say.h"
#include "cli/session.h"

enum { DRAIN_POLL_MS = 250, PROBE_TIMEOUT_MS = 5000 };

/* --- reload --- */

static void print_names(const char *title, const json_t *list)
{
    char line[4096];
    size_t used = (size_t)snprintf(line, sizeof line, "%s:", title);
    for (size_t i = 0; i < json_array_size(list) && used + 2 < sizeof line; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        used += (size_t)snprintf(line + used, sizeof line - used, "%s %s", i > 0 ? "," : "", name == NULL ? "?" : name);
    }
    if (json_array_size(list) > 0)
        say_wrapped(stdout, 0, GRID_WIDTH, line, true);
}

static void reload_faults(const json_t *faults)
{
    for (size_t i = 0; i < json_array_size(faults); i++) {
        const json_t *fault = json_array_get(faults, i);
        const char *text = json_is_string(fault) ? json_string_value(fault) : js_text(fault, "detail");
        say_note("  %s", text);
    }
}

/* The daemon goes on with the settings it had: that is the first thing to say. */
static int reload_refused(const struct session *s, bool json)
{
    if (json) {
        remote_print(&s->remote);
        return EXIT_CONFIG;
    }
    json_t *answer = js_parse(buf_slice(&s->remote.call.body));
    say_note("the configuration is bad; the daemon goes on with the one it had");
    reload_faults(json_object_get(answer, "faults"));
    reload_faults(json_object_get(answer, "errors"));
    json_decref(answer);
    return EXIT_CONFIG;
}

/* Settings that hold may still leave a plugin that cannot run with its own: that is a fault too. */
static int reload_show(const struct session *s, bool json)
{
    json_t *answer = js_parse(buf_slice(&s->remote.call.body));
    const json_t *faults = json_object_get(answer, "faults");
    int exit = json_array_size(faults) > 0 ? EXIT_CONFIG : EXIT_DONE;
    if (json) {
        remote_print(&s->remote);
    } else {
        printf("reloaded: generation %lld\n", js_integer(answer, "generation"));
        print_names("changed", json_object_get(answer, "changed"));
        print_names("needs a restart of the daemon", json_object_get(answer, "restart"));
        reload_faults(faults);
    }
    json_decref(answer);
    return exit;
}

int verb_reload(int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, "reload", argc, argv, 0, 0);
    if (exit != EXIT_DONE)
        goto out;
    struct err e;
    struct call_request request = {.method = "POST", .path = "/v1/reload", .timeout_ms = s.remote.timeout_ms};
    bool refused = false;
    if (call_send(&s.remote.call, &request, &e) == ERR_OK)
        refused = s.remote.call.status == 422;
    else
        s.remote.call.status = 0;
    if (s.remote.call.status / 100 != 2 && !refused) {
        exit = s.remote.call.status == 0 ? say_error(EXIT_UNREACHABLE, "cannot reach the daemon at %s: %s",
                                                     s.remote.call.target.shown, e.text)
                                         : remote_problem(&s.remote.call);
        goto out;
    }
    bool json = args_has(&s.args, OPT_JSON);
    exit = refused ? reload_refused(&s, json) : reload_show(&s, json);
out:
    session_close(&s);
    return exit;
}

/* --- drain --- */

/* One request; `*left` is what is still to be delivered. */
static int drain_ask(struct session *s, long long *left)
{
    json_t *answer = NULL;
    int exit = remote_json(&s->remote, "POST", "/v1/drain?until=empty", NULL, &answer);
    if (exit == EXIT_DONE)
        *left = js_integer(answer, "left");
    json_decref(answer);
    return exit;
}

static int drain_wait(struct session *s, int64_t wait_ms, long long *left)
{
    int64_t until = clock_ms() + wait_ms;
    for (;;) {
        int64_t remaining = until - clock_ms();
        if (*left == 0)
            return EXIT_DONE;
        if (remaining <= 0)
            return say_error(EXIT_UNFINISHED, "%lld rows are still to be delivered; the daemon takes no more rows",
                             *left);
        nap_ms(remaining < DRAIN_POLL_MS ? remaining : DRAIN_POLL_MS);
        int exit = drain_ask(s, left);
        if (exit != EXIT_DONE)
            return exit;
    }
}

int verb_drain(int argc, char **argv)
{
    struct session s;
    int64_t wait_ms = 0;
    long long left = 0;
    int exit = session_open(&s, "drain", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = args_duration(&s.args, OPT_WAIT, &wait_ms);
    if (exit == EXIT_DONE)
        exit = drain_ask(&s, &left);
    if (exit == EXIT_DONE && args_has(&s.args, OPT_WAIT))
        exit = drain_wait(&s, wait_ms, &left);
    if (exit == EXIT_DONE && left == 0)
        puts("drained: nothing is left to deliver");
    else if (exit == EXIT_DONE)
        printf("draining: %lld rows are still to be delivered\n", left);
    session_close(&s);
    return exit;
}

/* --- probe --- */

int verb_probe(int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, "probe", argc, argv, 1, 1);
    bool live = exit == EXIT_DONE && strcmp(s.args.rest[0], "live") == 0;
    if (exit == EXIT_DONE && !live && strcmp(s.args.rest[0], "ready") != 0)
        exit = say_error(EXIT_USAGE, "probe: `live` or `ready`, not `%s`", s.args.rest[0]);
    s.remote.timeout_ms = PROBE_TIMEOUT_MS;
    if (exit == EXIT_DONE)
        exit = remote_ask(&s.remote, "GET", live ? "/livez" : "/readyz", NULL);
    if (exit == EXIT_DONE)
        puts(live ? "live" : "ready");
    session_close(&s);
    return exit;
}

/* --- config --- */

static void config_rows(const json_t *list, const char *key)
{
    int width = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int len = (int)strlen(js_text(json_array_get(list, i), key));
        width = len > width && len <= 28 ? len : width;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *value = js_true(row, "secret") ? "(hidden)" : js_text(row, "value");
        char line[4096];
        snprintf(line, sizeof line, "%s (%s%s)", value[0] == '\0' ? "-" : value, js_text(row, "origin"),
                 js_true(row, "reloadable") ? ", reloadable" : "");
        printf("%-*s = ", width, js_text(row, key));
        int begun = (int)strlen(js_text(row, key));
        say_wrapped(stdout, (begun > width ? begun : width) + 3, GRID_WIDTH, line, true);
    }
}

static void config_show(const json_t *answer)
{
    config_rows(json_object_get(answer, "settings"), "key");
    const json_t *plugins = json_object_get(answer, "plugins");
    for (size_t i = 0; i < json_array_size(plugins); i++) {
        const json_t *plugin = json_array_get(plugins, i);
        bool processor = strcmp(js_text(plugin, "kind"), "processor") == 0;
        printf("\n[plugin %s]%s\n", js_text(plugin, "name"), processor ? "  (processor)" : "");
        config_rows(json_object_get(plugin, "options"), "name");
    }
    if (json_object_get(answer, "generation") != NULL)
        printf("\ngeneration %lld\n", js_integer(answer, "generation"));
}

int verb_config(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    struct args a;
    int exit = args_parse(&a, "config", argc, argv);
    bool offline = exit == EXIT_DONE && args_has(&a, OPT_OFFLINE);
    args_fini(&a);
    if (exit != EXIT_DONE)
        return exit;
    if (offline)
        return verb_config_offline(argc, argv);
    exit = session_open(&s, "config", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/config", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (answer != NULL)
        config_show(answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}

/* --- refusals --- */

static void refusal_entry(const json_t *refusal)
{
    char time[HUMAN_MAX], line[1500];
    human_time(js_text(refusal, "time"), time);
    const char *uuid = js_text(refusal, "uuid"), *pointer = js_text(refusal, "pointer");
    snprintf(line, sizeof line, "%s %lld from %s%s%s", time, js_integer(refusal, "status"), js_text(refusal, "peer"),
             uuid[0] != '\0' ? ", uuid " : "", uuid);
    say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    snprintf(line, sizeof line, "%s%s%s", pointer, pointer[0] != '\0' ? ": " : "", js_text(refusal, "detail"));
    say_wrapped(stdout, 4, GRID_WIDTH, line, false);
}

int verb_refusals(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "refusals", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/refusals", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    const json_t *list = json_object_get(answer, "refusals");
    for (size_t i = 0; i < json_array_size(list); i++)
        refusal_entry(json_array_get(list, i));
    if (answer != NULL && json_array_size(list) == 0)
        puts("Nothing was refused.");
    json_decref(answer);
    session_close(&s);
    return exit;
}

/* --- audit --- */

static void audit_entry(const json_t *entry)
{
    char time[HUMAN_MAX], line[3000];
    human_time(js_text(entry, "time"), time);
    snprintf(line, sizeof line, "%s %s %s, by %s%s%s", time, js_text(entry, "action"), js_text(entry, "path"),
             js_text(entry, "who"), js_text(entry, "peer")[0] != '\0' ? " from " : "", js_text(entry, "peer"));
    say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    if (js_integer(entry, "status") >= 400) {
        snprintf(line, sizeof line, "not done: status %lld", js_integer(entry, "status"));
        say_wrapped(stdout, 4, GRID_WIDTH, line, false);
    }
    if (js_text(entry, "why")[0] != '\0')
        say_wrapped(stdout, 4, GRID_WIDTH, js_text(entry, "why"), false);
}

int verb_audit(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "audit", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/audit", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_query_when(&s, "since", OPT_SINCE);
    if (exit == EXIT_DONE)
        exit = session_query(&s, "limit", OPT_LIMIT);
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    const json_t *list = json_object_get(answer, "audit");
    for (size_t i = 0; i < json_array_size(list); i++)
        audit_entry(json_array_get(list, i));
    if (answer != NULL && json_array_size(list) == 0)
        puts("Nothing was done.");
    json_decref(answer);
    session_close(&s);
    return exit;
}
