/* Tables: all cells are kept first, because a column is as wide as its widest cell. Bounded by GRID_TEXT_MAX. */
#include "cli/grid.h"

#include "cli/say.h"

#include <stdarg.h>

enum { GRID_TEXT_MAX = 16 << 20, GRID_GAP = 2, GRID_CELL_MAX = 512, GRID_LEAST = 8, GRID_INDENT = 4 };

void grid_init(struct grid *g, const struct grid_column *columns, size_t count)
{
    CHECK(count > 0 && count <= GRID_COLUMNS);
    *g = (struct grid){.columns = columns, .count = count};
    buf_init(&g->text, GRID_TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        grid_cell(g, "%s", columns[i].title);
}

void grid_fini(struct grid *g)
{
    buf_free(&g->text);
}

static void grid_add(struct grid *g, const char *text)
{
    if (buf_add(&g->text, text, strlen(text) + 1) != ERR_OK)
        g->failed = true;
}

void grid_cell(struct grid *g, const char *format, ...)
{
    char raw[GRID_CELL_MAX], text[GRID_CELL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    say_clean(text, sizeof text, raw, sizeof text);
    grid_add(g, text);
    g->cell = (g->cell + 1) % g->count;
}

void grid_note(struct grid *g, const char *text)
{
    CHECK(g->cell == 0);
    if (text[0] == '\0')
        return;
    if (buf_addc(&g->text, '\t') != ERR_OK)
        g->failed = true;
    grid_add(g, text);
}

static void grid_widths(const struct grid *g, size_t widths[GRID_COLUMNS])
{
    const char *end = g->text.ptr + g->text.len;
    size_t column = 0;
    for (const char *at = g->text.ptr; at < end; at += strlen(at) + 1) {
        if (*at == '\t')
            continue;
        size_t columns = say_columns(at);
        if (columns > widths[column])
            widths[column] = columns;
        column = (column + 1) % g->count;
    }
    size_t total = 0;
    for (size_t i = 0; i < g->count; i++)
        total += widths[i] + (i > 0 ? GRID_GAP : 0);
    for (size_t i = 0; i < g->count && total > GRID_WIDTH; i++) {
        size_t least = g->columns[i].cut ? GRID_LEAST : widths[i];
        size_t spare = widths[i] > least ? widths[i] - least : 0;
        size_t over = total - GRID_WIDTH < spare ? total - GRID_WIDTH : spare;
        widths[i] -= over;
        total -= over;
    }
}

static void grid_print_cell(const struct grid *g, FILE *out, size_t column, size_t width, const char *text)
{
    char cut[GRID_CELL_MAX];
    int pad = (int)(width - say_clean(cut, sizeof cut, text, width));
    bool last = column + 1 == g->count;
    if (g->columns[column].right)
        fprintf(out, "%*s%s", pad, "", cut);
    else
        fprintf(out, "%s%*s", cut, last ? 0 : pad, "");
    fprintf(out, last ? "\n" : "%*s", GRID_GAP, "");
}

int grid_print(const struct grid *g, FILE *out)
{
    if (g->failed)
        return ERR_NOMEM;
    size_t widths[GRID_COLUMNS] = {0}, column = 0;
    grid_widths(g, widths);
    const char *end = g->text.ptr + g->text.len;
    for (const char *at = g->text.ptr; at < end; at += strlen(at) + 1) {
        if (*at == '\t') {
            say_wrapped(out, GRID_INDENT, GRID_WIDTH, at + 1, false);
            continue;
        }
        grid_print_cell(g, out, column, widths[column], at);
        column = (column + 1) % g->count;
    }
    return ERR_OK;
}
