/* `headgate tap`: server-sent events as lines for people, or with --json as one JSON object a line. Ends when it is
 * interrupted, when nobody reads any more, or when the daemon stops. */
#include "cli/cli.h"

#include "base/buf.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/session.h"

#include <stdlib.h>

enum { EVENT_MAX = 1 << 20, DATA_COLUMNS = 400 };

struct listener {
    bool json;
    struct buf text;  /* what has come of a line */
    char event[32];   /* of the lines to come */
    bool written_off; /* standard output takes no more */
};

static void say_rows(const json_t *set)
{
    const json_t *rows = json_object_get(set, "data");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        char clean[2 * DATA_COLUMNS];
        char *text = json_dumps(json_object_get(json_array_get(rows, i), "data"), JSON_COMPACT);
        say_clean(clean, sizeof clean, text == NULL ? "" : text, DATA_COLUMNS);
        printf("          %s\n", clean);
        free(text);
    }
    if (js_integer(set, "more") > 0)
        printf("          and %lld more\n", js_integer(set, "more"));
}

static void say_taken(const json_t *set)
{
    char when[HUMAN_MAX], uuid[256], client[128];
    human_time(js_text(set, "received"), when);
    say_clean(uuid, sizeof uuid, js_text(set, "uuid"), 64);
    say_clean(client, sizeof client, js_text(set, "client"), 32);
    printf("%s taken    %s  %lld rows%s%s  %s\n", when, uuid, js_integer(set, "rows"), client[0] == '\0' ? "" : " of ",
           client, js_text(set, "id"));
    say_rows(set);
}

static void say_verdict(const json_t *verdict)
{
    char uuid[256], error[512], when[HUMAN_MAX];
    const char *pusher = js_text(verdict, "pusher");
    const json_t *receipt = json_object_get(verdict, "receipt");
    const json_t *at = json_object_get(json_object_get(receipt, "pushers"), pusher);
    human_time(js_text(receipt, "received"), when);
    say_clean(uuid, sizeof uuid, js_text(receipt, "uuid"), 64);
    say_clean(error, sizeof error, js_text(at, "error"), 200);
    printf("%s verdict  %s  %s %s: %lld delivered", when, uuid, pusher, js_text(at, "state"),
           js_integer(at, "delivered"));
    static const char *const others[] = {"duplicate", "skipped", "dead"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (js_integer(at, others[i]) > 0)
            printf(", %lld %s", js_integer(at, others[i]), others[i]);
    printf("%s%s\n", error[0] == '\0' ? "" : "; ", error);
}

static void say_event(const struct listener *l, const json_t *data)
{
    if (strcmp(l->event, "taken") == 0)
        say_taken(data);
    else if (strcmp(l->event, "verdict") == 0)
        say_verdict(data);
    else if (strcmp(l->event, "missed") == 0)
        printf("-- missed: %lld rows came too fast to be shown, %lld events were lost\n", js_integer(data, "rows"),
               js_integer(data, "events"));
}

static void take_data(struct listener *l, struct slice text)
{
    if (l->json) {
        printf("{\"event\":\"%s\",\"data\":" SLICE_FMT "}\n", l->event, SLICE_ARG(text));
    } else {
        json_t *data = js_parse(text);
        say_event(l, data);
        json_decref(data);
    }
    if (fflush(stdout) != 0)
        l->written_off = true;
}

static bool begins(struct slice line, const char *word, struct slice *rest)
{
    size_t len = strlen(word);
    if (line.len < len || memcmp(line.ptr, word, len) != 0)
        return false;
    *rest = slice_make(line.ptr + len, line.len - len);
    return true;
}

static void take_line(struct listener *l, struct slice line)
{
    struct slice rest;
    if (begins(line, "event: ", &rest))
        snprintf(l->event, sizeof l->event, SLICE_FMT, SLICE_ARG(rest));
    else if (begins(line, "data: ", &rest))
        take_data(l, rest);
}

static bool take_part(void *arg, struct slice bytes)
{
    struct listener *l = arg;
    if (buf_add(&l->text, bytes.ptr, bytes.len) != ERR_OK)
        return false;
    size_t from = 0;
    const char *end;
    while (!l->written_off && (end = memchr(l->text.ptr + from, '\n', l->text.len - from)) != NULL) {
        size_t len = (size_t)(end - (l->text.ptr + from));
        take_line(l, slice_make(l->text.ptr + from, len));
        from += len + 1;
    }
    memmove(l->text.ptr, l->text.ptr + from, l->text.len - from);
    l->text.len -= from;
    return !l->written_off;
}

int verb_tap(int argc, char **argv)
{
    struct session s;
    struct listener l = {.written_off = false};
    buf_init(&l.text, EVENT_MAX);
    int exit = session_open(&s, "tap", argc, argv, 0, 0);
    if (exit == EXIT_DONE) {
        l.json = args_has(&s.args, OPT_JSON);
        exit = session_path(&s, "/v1/tap", NULL, "");
    }
    if (exit == EXIT_DONE)
        exit = session_query(&s, "uuid", OPT_BY_UUID);
    if (exit == EXIT_DONE)
        exit = session_query(&s, "pusher", OPT_PUSHER);
    if (exit == EXIT_DONE)
        exit = session_query(&s, "client", OPT_BY_CLIENT);
    if (exit == EXIT_DONE)
        exit = remote_follow(&s.remote, buf_str(&s.path), take_part, &l);
    session_close(&s);
    buf_free(&l.text);
    return exit;
}
