/* `headgate status`: where each pusher is. With --watch the daemon is asked every second and the rate is what was
 * delivered between two answers; without, the total since the daemon started is shown. */
#include "cli/cli.h"

#include "base/sys.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/nap.h"
#include "cli/say.h"
#include "cli/session.h"

#include <unistd.h>

enum { SAMPLE_MS = 1000, SAMPLES_MAX = 1024, UNUSED_BYTES = 1 << 20 };
/* Beyond so many digits counts are shortened, so that a line fits; --json has them all. */
enum { LAG_DIGITS = 8, DELIVERED_DIGITS = 9, RETRIES_DIGITS = 7, DEAD_DIGITS = 6 };

/* What the last answer said, for the rate. Pushers beyond SAMPLES_MAX have none. */
struct sample {
    int64_t at_ms;
    size_t count;
    struct {
        char name[64];
        long long delivered;
    } of[SAMPLES_MAX];
};

static void sample_take(struct sample *s, const json_t *pushers, int64_t now)
{
    s->at_ms = now;
    s->count = json_array_size(pushers) < SAMPLES_MAX ? json_array_size(pushers) : SAMPLES_MAX;
    for (size_t i = 0; i < s->count; i++) {
        const json_t *pusher = json_array_get(pushers, i);
        snprintf(s->of[i].name, sizeof s->of[i].name, "%s", js_text(pusher, "name"));
        s->of[i].delivered = js_integer(pusher, "delivered");
    }
}

/* Rows a second since the sample; false when there was none, or the daemon was started again. */
static bool sample_rate(const struct sample *s, const json_t *pusher, int64_t now, double *rate)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->of[i].name, js_text(pusher, "name")) != 0)
            continue;
        long long more = js_integer(pusher, "delivered") - s->of[i].delivered;
        if (more < 0 || now <= s->at_ms)
            return false;
        *rate = (double)more * 1000.0 / (double)(now - s->at_ms);
        return true;
    }
    return false;
}

static void status_head(const json_t *all)
{
    char up[HUMAN_MAX], bytes[HUMAN_MAX], limit[HUMAN_MAX];
    const json_t *journal = json_object_get(all, "journal");
    human_seconds(js_number(all, "uptime"), up);
    human_bytes(js_number(journal, "bytes"), bytes);
    human_bytes(js_number(journal, "limit"), limit);
    char line[1024], why[512];
    say_clean(why, sizeof why, js_text(all, "reason"), sizeof why);
    bool ready = js_true(all, "ready");
    snprintf(line, sizeof line, "headgate %s, up %s, %lld rows received, %s%s%s", js_text(all, "version"), up,
             js_integer(all, "rows_received"), ready ? "ready" : "NOT READY", !ready && why[0] != '\0' ? ": " : "",
             ready ? "" : why);
    say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    const char *intake = js_text(journal, "intake");
    snprintf(line, sizeof line, "journal %s of %s, intake %s%s%s", bytes, limit, intake,
             js_text(journal, "text")[0] != '\0' && strcmp(intake, "ok") != 0 ? ": " : "",
             strcmp(intake, "ok") != 0 ? js_text(journal, "text") : "");
    say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    putchar('\n');
}

/* What the columns leave out, in words. */
static void status_notes(struct grid *g, const json_t *pusher)
{
    char text[160];
    long long parked = js_integer(pusher, "parked"), restarts = js_integer(pusher, "restarts");
    if (parked > 0) {
        snprintf(text, sizeof text, "%lld rows parked: tried on their own", parked);
        grid_note(g, text);
    }
    if (restarts > 0) {
        snprintf(text, sizeof text, "restarted %lld times", restarts);
        grid_note(g, text);
    }
    grid_note(g, js_text(pusher, "error"));
}

static void status_count(struct grid *g, long long count, int digits)
{
    char text[HUMAN_MAX];
    human_count(count, digits, text);
    grid_cell(g, "%s", text);
}

static void status_row(struct grid *g, const json_t *pusher, const struct sample *before, int64_t now)
{
    char bytes[HUMAN_MAX], seconds[HUMAN_MAX], rate[HUMAN_MAX] = "-";
    double per_second;
    const json_t *lag = json_object_get(pusher, "lag");
    human_bytes(js_number(lag, "bytes"), bytes);
    human_seconds(js_number(lag, "seconds"), seconds);
    if (before == NULL)
        human_count(js_integer(pusher, "delivered"), DELIVERED_DIGITS, rate);
    else if (sample_rate(before, pusher, now, &per_second))
        human_rate(per_second, rate);
    grid_cell(g, "%s", js_text(pusher, "name"));
    grid_cell(g, "%s", js_text(pusher, "state"));
    status_count(g, js_integer(lag, "rows"), LAG_DIGITS);
    grid_cell(g, "%s", bytes);
    grid_cell(g, "%s", seconds);
    grid_cell(g, "%s", rate);
    status_count(g, js_integer(pusher, "retries"), RETRIES_DIGITS);
    status_count(g, js_integer(pusher, "dead_letters"), DEAD_DIGITS);
    status_notes(g, pusher);
}

static int status_table(const json_t *pushers, const struct sample *before, int64_t now)
{
    const struct grid_column columns[] = {
        {"PUSHER", false, true},  {"STATE", false, false}, {"LAG ROWS", true, false},
        {"BYTES", true, false},   {"TIME", true, false},   {before == NULL ? "DELIVERED" : "ROWS/S", true, false},
        {"RETRIES", true, false}, {"DEAD", true, false},
    };
    struct grid g;
    grid_init(&g, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(pushers); i++)
        status_row(&g, json_array_get(pushers, i), before, now);
    int code = grid_print(&g, stdout);
    grid_fini(&g);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "%s", err_text(code));
}

/* Plugins that nobody set up and that have nothing waiting are told in one line below the tables. */
static bool in_use(const json_t *plugin)
{
    return strcmp(js_text(plugin, "state"), "unconfigured") != 0 || js_integer(plugin, "rows") > 0 ||
           js_integer(plugin, "dead_letters") > 0 || js_integer(json_object_get(plugin, "lag"), "rows") > 0;
}

/* Those in use; the names of the others go to `unused`. NULL: out of memory. */
static json_t *part(const json_t *plugins, struct buf *unused)
{
    json_t *used = json_array();
    for (size_t i = 0; used != NULL && i < json_array_size(plugins); i++) {
        json_t *plugin = json_array_get(plugins, i);
        bool failed = in_use(plugin)
                          ? json_array_append(used, plugin) != 0
                          : buf_addf(unused, "%s%s",
                                     unused->len > 0 ? ", " : "Not configured: ", js_text(plugin, "name")) != ERR_OK;
        if (failed) {
            json_decref(used);
            return NULL;
        }
    }
    return used;
}

static int pullers_table(const json_t *pullers)
{
    const struct grid_column columns[] = {{"PULLER", false, true}, {"STATE", false, false},   {"ROWS", true, false},
                                          {"RUNS", true, false},   {"LAST RUN", true, false}, {"NEXT", true, false},
                                          {"REFUSED", true, false}};
    struct grid g;
    grid_init(&g, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(pullers); i++) {
        const json_t *puller = json_array_get(pullers, i);
        long long restarts = js_integer(puller, "restarts");
        char text[160];
        grid_cell(&g, "%s", js_text(puller, "name"));
        grid_cell(&g, "%s", js_text(puller, "state"));
        status_count(&g, js_integer(puller, "rows"), DELIVERED_DIGITS);
        status_count(&g, js_integer(puller, "runs"), RETRIES_DIGITS);
        grid_cell(&g, "%.19s", js_text(puller, "last_run")[0] == '\0' ? "-" : js_text(puller, "last_run"));
        grid_cell(&g, "%.19s", js_text(puller, "next_run")[0] == '\0' ? "-" : js_text(puller, "next_run"));
        status_count(&g, js_integer(puller, "refused"), RETRIES_DIGITS);
        if (restarts > 0) {
            snprintf(text, sizeof text, "restarted %lld times", restarts);
            grid_note(&g, text);
        }
        grid_note(&g, js_text(puller, "error"));
    }
    int code = grid_print(&g, stdout);
    grid_fini(&g);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "%s", err_text(code));
}

/* Those that have something waiting, or had to wait themselves. */
static int clients_table(const json_t *clients)
{
    const struct grid_column columns[] = {
        {"CLIENT", false, true}, {"UNDELIVERED", true, false}, {"LIMIT", true, false}, {"REFUSED", true, false}};
    struct grid g;
    size_t shown = 0;
    grid_init(&g, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(clients); i++) {
        const json_t *client = json_array_get(clients, i);
        char bytes[HUMAN_MAX], limit[HUMAN_MAX] = "-";
        if (js_integer(client, "undelivered_bytes") == 0 && js_integer(client, "undelivered_refused") == 0)
            continue;
        human_bytes(js_number(client, "undelivered_bytes"), bytes);
        if (js_integer(client, "undelivered_limit") > 0)
            human_bytes(js_number(client, "undelivered_limit"), limit);
        grid_cell(&g, "%s", js_text(client, "name")[0] == '\0' ? "(others)" : js_text(client, "name"));
        grid_cell(&g, "%s", bytes);
        grid_cell(&g, "%s", limit);
        status_count(&g, js_integer(client, "undelivered_refused"), RETRIES_DIGITS);
        shown++;
    }
    if (shown > 0)
        putchar('\n');
    int code = shown > 0 ? grid_print(&g, stdout) : ERR_OK;
    grid_fini(&g);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "%s", err_text(code));
}

static void status_options(const json_t *pusher)
{
    const json_t *options = json_object_get(pusher, "options");
    if (json_array_size(options) == 0)
        return;
    putchar('\n');
    for (size_t i = 0; i < json_array_size(options); i++) {
        const json_t *option = json_array_get(options, i);
        char line[1024];
        snprintf(line, sizeof line, "%s = %s  (%s)", js_text(option, "name"),
                 js_true(option, "secret") ? "(hidden)" : js_text(option, "value"), js_text(option, "origin"));
        say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    }
}

/* A single pusher or puller. `before`: NULL, or what rates are counted from. */
static int show_one(json_t *plugin, struct sample *before)
{
    int64_t now = clock_ms();
    json_t *all = json_pack("[O]", plugin);
    int exit = json_object_get(plugin, "runs") != NULL ? pullers_table(all) : status_table(all, before, now);
    if (before == NULL)
        status_options(plugin);
    else
        sample_take(before, all, now);
    json_decref(all);
    return exit;
}

static int show_tables(const json_t *answer, const json_t *pushers, const json_t *pullers, struct sample *before)
{
    int64_t now = clock_ms();
    int exit = EXIT_DONE;
    status_head(answer);
    if (json_array_size(pushers) == 0)
        puts("There is no pusher.");
    else
        exit = status_table(pushers, before, now);
    if (exit == EXIT_DONE && json_array_size(pullers) > 0) {
        putchar('\n');
        exit = pullers_table(pullers);
    }
    if (before != NULL)
        sample_take(before, pushers, now);
    return exit == EXIT_DONE ? clients_table(json_object_get(answer, "clients")) : exit;
}

static int show_all(const json_t *answer, struct sample *before)
{
    struct buf unused;
    buf_init(&unused, UNUSED_BYTES);
    if (!json_is_array(json_object_get(answer, "pushers")))
        return say_error(EXIT_INTERNAL, "the answer has no list of pushers: is that a headgate's admin address?");
    json_t *pushers = part(json_object_get(answer, "pushers"), &unused);
    json_t *pullers = part(json_object_get(answer, "pullers"), &unused);
    int exit = pushers == NULL || pullers == NULL ? say_error(EXIT_INTERNAL, "%s", err_text(ERR_NOMEM))
                                                  : show_tables(answer, pushers, pullers, before);
    if (exit == EXIT_DONE && unused.len > 0) {
        putchar('\n');
        say_wrapped(stdout, 0, GRID_WIDTH, buf_str(&unused), true);
    }
    json_decref(pushers);
    json_decref(pullers);
    buf_free(&unused);
    return exit;
}

/* The answer for people. `one`: it is a single plugin's. */
static int status_show(json_t *answer, bool one, struct sample *before)
{
    return one ? show_one(answer, before) : show_all(answer, before);
}

static int status_once(struct remote *r, const char *path, bool one, bool json)
{
    json_t *answer = NULL;
    if (json) {
        int exit = remote_ask(r, "GET", path, NULL);
        if (exit == EXIT_DONE)
            remote_print(r);
        return exit;
    }
    int exit = remote_json(r, "GET", path, NULL, &answer);
    if (exit == EXIT_DONE)
        exit = status_show(answer, one, NULL);
    json_decref(answer);
    return exit;
}

/* Until interrupted, or until nobody reads. A daemon that is away for a moment is waited for. */
static int status_watch(struct remote *r, const char *path, bool one, bool json)
{
    static struct sample before;
    bool screen = isatty(STDOUT_FILENO) == 1;
    for (;;) {
        json_t *answer = NULL;
        if (screen && !json)
            fputs("\033[H\033[J", stdout);
        int exit = json ? status_once(r, path, one, true) : remote_json(r, "GET", path, NULL, &answer);
        if (exit == EXIT_DONE && !json)
            exit = status_show(answer, one, &before);
        json_decref(answer);
        if (exit != EXIT_DONE && exit != EXIT_UNREACHABLE)
            return exit;
        if (fflush(stdout) != 0 || ferror(stdout) != 0)
            return EXIT_DISK;
        nap_ms(SAMPLE_MS);
        if (!screen && !json)
            putchar('\n');
    }
}

int verb_status(int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, "status", argc, argv, 0, 1);
    if (exit == EXIT_DONE) {
        bool one = s.args.rest_count == 1, json = args_has(&s.args, OPT_JSON);
        exit = session_path(&s, one ? "/v1/pushers/" : "/v1/pushers", one ? s.args.rest[0] : NULL, "");
        if (exit == EXIT_DONE && args_has(&s.args, OPT_WATCH))
            exit = status_watch(&s.remote, buf_str(&s.path), one, json);
        else if (exit == EXIT_DONE)
            exit = status_once(&s.remote, buf_str(&s.path), one, json);
    }
    session_close(&s);
    return exit;
}
