/* A file as a sequence of items: lines of NDJSON, the objects of a JSON file, the records of a CSV file. Read in a
 * window that grows to the largest item; can go on from where an earlier process was. */
#ifndef DIRECTORY_ITEMS_H
#define DIRECTORY_ITEMS_H

#include "common/csvtable.h"

#include <stddef.h>
#include <stdint.h>

enum items_kind { ITEMS_NONE, ITEMS_NDJSON, ITEMS_JSON, ITEMS_CSV };

enum { ITEM_MAX = 16 << 20, WHY_MAX = 600 };

struct items {
    int fd; /* owned */
    enum items_kind kind;
    char *window;
    size_t cap, filled, used;
    uint64_t offset;       /* in the file, of window[used] */
    uint64_t line;         /* on which it stands */
    int end;               /* the window reaches to the end of the file */
    int array;             /* ITEMS_JSON: the objects stand in an array */
    int begun, ended;      /* ITEMS_JSON: its `[` was seen, its `]` */
    struct csvtable table; /* ITEMS_CSV */
    char why[WHY_MAX];     /* of ITEM_BAD */
};

enum item_result { ITEM_ROW, ITEM_END, ITEM_BAD, ITEM_FAILED /* errno */ };

struct item {
    const char *ptr; /* until the next call */
    size_t len;
    uint64_t line;
    int64_t index; /* -1: none */
    int data;      /* a data object whatever its keys are called */
};

/* By the end of the name; ITEMS_NONE: not for us. `*tabs`: its cells stand between tabs. */
enum items_kind items_kind_of(const char *name, int *tabs);
/* Takes over the descriptor. `form` is for ITEMS_CSV; what it points to must stay. Begins at `offset`, which an earlier
 * run has told, on `line`. ITEM_END: all is well. */
enum item_result items_open(struct items *s, int fd, enum items_kind kind, const struct csvform *form, uint64_t offset,
                            uint64_t line);
void items_close(struct items *s);
/* The next row; empty lines are passed over. Behind it s->offset and s->line are where to go on. */
enum item_result items_next(struct items *s, struct item *out);

#endif
