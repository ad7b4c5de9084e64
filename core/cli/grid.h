/* A table for a terminal of 80 columns: cells aligned, one column cut where it does not fit, notes below a row.
 *
 * Memory is the grid's until grid_fini. Running out of memory is remembered and told by grid_print. Main thread. */
#ifndef HG_CLI_GRID_H
#define HG_CLI_GRID_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdio.h>

enum { GRID_WIDTH = 80, GRID_COLUMNS = 12 };

struct grid_column {
    const char *title;
    bool right; /* numbers */
    bool cut;   /* gives way when the line is too long */
};

struct grid {
    const struct grid_column *columns; /* borrowed */
    size_t count;
    struct buf text; /* cells and notes, each with a NUL; a note begins with a tab */
    size_t cell;     /* cells so far in this row */
    bool failed;
};

void grid_init(struct grid *g, const struct grid_column *columns, size_t count);
void grid_fini(struct grid *g);
/* The next cell; after the last of a row the next row begins. */
void grid_cell(struct grid *g, const char *format, ...) PRINTF_LIKE(2, 3);
/* A wrapped line below the row that ended; nothing for empty text. */
void grid_note(struct grid *g, const char *text);
/* ERR_NOMEM or ERR_LIMIT when a cell could not be kept (nothing is printed then). */
int grid_print(const struct grid *g, FILE *out) MUST_CHECK;

#endif
