/* `headgate receipt`: where each pusher is with a row set, asked by its id, by a row's id, or by uuid; `headgate
 * rowsets`: the same of those that a client sent, or that came in some time. */
#include "cli/cli.h"

#include "base/id.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/session.h"

static void receipt_head(const json_t *receipt)
{
    char received[HUMAN_MAX], line[1024];
    const char *client = js_text(receipt, "client");
    human_time(js_text(receipt, "received"), received);
    printf("%s\n", js_text(receipt, "id"));
    snprintf(line, sizeof line, "uuid %s, %s%s%s%lld rows, received %s: %s", js_text(receipt, "uuid"),
             client[0] == '\0' ? "" : "of ", client, client[0] == '\0' ? "" : ", ", js_integer(receipt, "rows"),
             received, js_text(receipt, "outcome"));
    say_wrapped(stdout, 4, GRID_WIDTH, line, false);
}

static void receipt_row(struct grid *g, const char *name, const json_t *of)
{
    grid_cell(g, "    %s", name);
    grid_cell(g, "%s", js_text(of, "state"));
    grid_cell(g, "%lld", js_integer(of, "delivered"));
    grid_cell(g, "%lld", js_integer(of, "duplicate"));
    grid_cell(g, "%lld", js_integer(of, "skipped"));
    grid_cell(g, "%lld", js_integer(of, "dead"));
    grid_cell(g, "%lld", js_integer(of, "attempts"));
    grid_note(g, js_text(of, "error"));
}

static int receipt_show(json_t *receipt)
{
    static const struct grid_column columns[] = {
        {"    PUSHER", false, true}, {"STATE", false, false}, {"DELIVERED", true, false}, {"DUPLICATE", true, false},
        {"SKIPPED", true, false},    {"DEAD", true, false},   {"ATTEMPTS", true, false},
    };
    receipt_head(receipt);
    json_t *pushers = json_object_get(receipt, "pushers"), *of;
    const char *name;
    if (json_object_size(pushers) == 0)
        return EXIT_DONE;
    struct grid g;
    grid_init(&g, columns, COUNT_OF(columns));
    json_object_foreach(pushers, name, of) receipt_row(&g, name, of);
    int code = grid_print(&g, stdout);
    grid_fini(&g);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "%s", err_text(code));
}

static int receipt_page(const json_t *page)
{
    const json_t *batches = json_object_get(page, "batches");
    int exit = EXIT_DONE;
    for (size_t i = 0; exit == EXIT_DONE && i < json_array_size(batches); i++) {
        if (i > 0)
            putchar('\n');
        exit = receipt_show(json_array_get(batches, i));
    }
    const char *next = js_text(page, "next");
    if (json_array_size(batches) == 0 && next[0] == '\0')
        return say_error(EXIT_REFUSED, "no row set of this kind is there (or none is there any more)");
    if (next[0] != '\0')
        printf("\nThere are older ones: --after %s\n", next);
    return exit;
}

/* The path to ask, and whether the answer is one receipt. */
static int receipt_path(struct session *s, const char *typed, bool *one)
{
    struct epoch epoch;
    uint64_t position;
    uint32_t row;
    char id[BATCH_ID_LEN + 1];
    struct slice text = slice_of(typed);
    *one = batch_id_parse(text, &epoch, &position) == ERR_OK || row_id_parse(text, &epoch, &position, &row) == ERR_OK;
    if (!*one) {
        int exit = session_path(s, "/v1/receipts/", typed, "");
        return exit == EXIT_DONE ? session_query(s, "after", OPT_AFTER) : exit;
    }
    batch_id_text(&epoch, position, id);
    return session_path(s, "/v1/batches/", id, "");
}

int verb_receipt(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    bool one = false;
    int exit = session_open(&s, "receipt", argc, argv, 1, 1);
    if (exit == EXIT_DONE)
        exit = receipt_path(&s, s.args.rest[0], &one);
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (exit == EXIT_DONE && answer != NULL)
        exit = one ? receipt_show(answer) : receipt_page(answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}

int verb_rowsets(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "rowsets", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/rowsets", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_query(&s, "client", OPT_BY_CLIENT);
    if (exit == EXIT_DONE)
        exit = session_query_when(&s, "from", OPT_FROM_TIME);
    if (exit == EXIT_DONE)
        exit = session_query_when(&s, "to", OPT_TO_TIME);
    if (exit == EXIT_DONE)
        exit = session_query(&s, "limit", OPT_PAGE_LIMIT);
    if (exit == EXIT_DONE)
        exit = session_query(&s, "after", OPT_AFTER);
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (exit == EXIT_DONE && answer != NULL)
        exit = receipt_page(answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}
