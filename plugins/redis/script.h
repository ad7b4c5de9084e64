/* The one script, and the command that runs it for some rows. */
#ifndef REDIS_SCRIPT_H
#define REDIS_SCRIPT_H

#include "common/strbuf.h"
#include "common/template.h"
#include "headgate.h"

enum script_mode { MODE_STREAM, MODE_LIST, MODE_HASH, MODE_PUBLISH };
enum script_form { FORM_JSON, FORM_FIELDS };

/* What stays the same for all commands. */
struct script_plan {
    enum script_mode mode;
    enum script_form form;
    const struct template *key;
    int64_t max_length; /* of a stream; 0: no limit */
    int64_t remember;   /* ids */
    const char *ids;    /* key of the ids; a second one has `:before` behind it */
};

/* Texts, one behind the other. */
struct texts {
    struct strbuf bytes;
    size_t *ends; /* where each ends */
    size_t count, room;
    int failed; /* no memory */
};

/* A command under construction. */
struct script {
    struct texts keys;
    struct texts rows;          /* the arguments */
    char field[HG_ROW_ID_SIZE]; /* of the last row; "": there is none */
    char number[24];            /* of keys, as text */
    const char **argv;          /* what goes to the server; made by script_command() */
    size_t *lens;
};

void script_init(struct script *s);
void script_fini(struct script *s);
void script_begin(struct script *s, const struct script_plan *plan);

/* Appends a row. NULL, or why this row can never be written (then nothing was appended). */
const char *script_row(struct script *s, const struct script_plan *plan, const struct hg_api *api,
                       const struct hg_row *row);
size_t script_bytes(const struct script *s);

/* How many arguments there are in argv and lens; 0: no memory. */
int script_command(struct script *s);

#endif
