/* Faults of a refused request, mapped to the lines of the source file.
 *
 * The answer names a place by JSON pointer (`/rows/17/data/x`), by byte (syntax faults), or by line of the request
 * (documents, one a line). What it names in none of these ways is shown without a line. */
#include "cli/refused.h"

#include "cli/cli.h"
#include "cli/js.h"
#include "cli/remote.h"
#include "cli/say.h"

#include <inttypes.h>

/* Row number of a pointer that begins with /rows/N; the rest of it in `*tail`. */
static bool pointer_row(const char *pointer, uint64_t *row, const char **tail)
{
    static const char rows[] = "/rows/";
    if (strncmp(pointer, rows, sizeof rows - 1) != 0)
        return false;
    const char *at = pointer + sizeof rows - 1;
    *row = 0;
    for (; *at >= '0' && *at <= '9' && *row < UINT32_MAX; at++)
        *row = *row * 10 + (uint64_t)(*at - '0');
    if (at == pointer + sizeof rows - 1 || (*at != '/' && *at != '\0'))
        return false;
    *tail = at;
    return true;
}

static uint64_t fault_line(const struct parcel *parcel, const json_t *fault, const char **pointer)
{
    uint64_t row;
    if (!parcel->documents && pointer_row(*pointer, &row, pointer))
        return parcel_line_of_row(parcel, row);
    if (parcel->documents && js_integer(fault, "line") > 0)
        return parcel_line_of_row(parcel, (uint64_t)js_integer(fault, "line") - 1);
    if (json_is_integer(json_object_get(fault, "byte")) && js_integer(fault, "byte") >= 0)
        return parcel_line_of_byte(parcel, (uint64_t)js_integer(fault, "byte"));
    return parcel->body_count == 1 ? parcel_line_of_row(parcel, 0) : 0;
}

static void fault_say(const struct parcel *parcel, const char *file, const json_t *fault)
{
    char where[32] = "", text[1400];
    const char *pointer = js_text(fault, "pointer");
    uint64_t line = fault_line(parcel, fault, &pointer);
    if (line > 0)
        snprintf(where, sizeof where, ":%" PRIu64, line);
    snprintf(text, sizeof text, "%s%s: %.300s%s%.700s", file, where, pointer, pointer[0] != '\0' ? ": " : "",
             js_text(fault, "detail"));
    char clean[1400];
    say_clean(clean, sizeof clean, text, sizeof clean);
    fprintf(stderr, "%s\n", clean);
}

static void refused_summary(const struct parcel *parcel, const char *file, uint64_t acknowledged)
{
    say_note("%s: refused. None of the %zu %s of lines %" PRIu64 " to %" PRIu64
             " was taken, nor anything behind them; %" PRIu64 " rows before them were acknowledged",
             file, parcel->body_count, parcel->documents ? "documents" : "rows", parcel_line_of_row(parcel, 0),
             parcel_line_of_row(parcel, parcel->body_count - 1), acknowledged);
}

int refused_say(const struct call *c, const struct parcel *parcel, const char *file, uint64_t acknowledged)
{
    if (c->status == 401 || c->status == 403 || c->status == 404 || c->status == 405 || c->status / 100 == 3)
        return remote_problem(c);
    json_t *problem = js_parse(buf_slice(&c->body));
    const json_t *errors = json_object_get(problem, "errors");
    bool keyed = c->status == 422 && json_array_size(errors) == 0;
    for (size_t i = 0; i < json_array_size(errors); i++)
        fault_say(parcel, file, json_array_get(errors, i));
    if (json_array_size(errors) == 0 && js_text(problem, "detail")[0] != '\0')
        fault_say(parcel, file, problem);
    else if (json_array_size(errors) == 0)
        say_note("%s answered with HTTP status %ld", c->target.shown, c->status);
    refused_summary(parcel, file, acknowledged);
    if (keyed)
        say_note("if this file was sent before with other options (--batch, --types …), repeat those, or give --uuid");
    json_decref(problem);
    return EXIT_REFUSED;
}
