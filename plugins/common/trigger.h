/* Triggers of a control tower: what began the work whose rows come under the trigger's uuid. Asked for by that uuid, at
 * `<address>/triggers/<uuid>`, and kept for a while. One thread. Needs -lcurl -ljansson. */
#ifndef COMMON_TRIGGER_H
#define COMMON_TRIGGER_H

#include "common/http_client.h"
#include "headgate.h"

#include <jansson.h>

struct triggers;

enum trigger_found {
    TRIGGER_HERE,
    TRIGGER_UNKNOWN, /* the tower knows no such uuid */
    TRIGGER_UNCLEAR, /* its answer is no trigger, which is not the rows' fault either */
    TRIGGER_NOT_NOW  /* the tower is away, busy, or refuses the password: as good for every other uuid */
};

/* `http`: its url is the tower's address; `keep_ms`: how long a trigger is taken to be as it was. As http_client_new().
 */
struct triggers *triggers_new(const struct http_settings *http, int64_t keep_ms, struct hg_host *host,
                              const struct hg_api *api, char *why, size_t why_size, int *broken);
void triggers_free(struct triggers **t);

/* TRIGGER_HERE: `*metadata` is the trigger's `metadata`, an object, which holds until the next call. Else a sentence in
 * `why`, and for TRIGGER_NOT_NOW `*after` as not_now() wants it. */
enum trigger_found triggers_find(struct triggers *t, struct hg_text uuid, const json_t **metadata, char *why,
                                 size_t why_size, int64_t *after);

/* 1 when the tower would probably answer; else 0 with a sentence. */
int triggers_probe(struct triggers *t, char *why, size_t why_size);

#endif
