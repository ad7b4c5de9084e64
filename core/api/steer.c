/* Steering one row set at one pusher: POST /v1/batches/{id}/pushers/{pusher}/expedite. */
#include "api/api.h"

#include "base/hash.h"
#include "base/sys.h"

enum { RECORD_MAX = 80 << 20 };

struct chosen {
    struct epoch epoch;
    uint64_t position, uuid_hash;
    uint32_t rows;
    struct runner *runner;
};

/* 0, or it was answered. */
static int choose(struct api *api, struct http_request *r, const struct api_params *params, struct chosen *out)
{
    struct journal_segment segment;
    struct record record;
    struct buf copy;
    struct slice uuid = {"", 0};
    int code = batch_id_parse(slice_of(params->text[0]), &out->epoch, &out->position);
    if (code != ERR_OK)
        code = ERR_NOTFOUND;
    buf_init(&copy, RECORD_MAX);
    if (code == ERR_OK)
        code = journal_find_batch(api->journal, &out->epoch, out->position, &segment);
    if (code == ERR_OK)
        code = journal_read(api->journal, out->position, &copy, &record);
    if (code == ERR_OK) {
        (void)context_get(record.context, CONTEXT_UUID, &uuid);
        out->uuid_hash = hash_bytes(uuid);
        out->rows = record.rows;
    }
    buf_free(&copy);
    if (code != ERR_OK) {
        api_error(r, code, "there is no row set with this id (any more)");
        return code;
    }
    out->runner = supervisor_find(api->supervisor, slice_of(params->text[1]));
    if (out->runner != NULL && out->runner->pusher != NULL && pusher_takes(out->runner->pusher, out->position))
        return ERR_OK;
    api_problem(r, 404, "not-found", "there is no pusher of this name that this row set is for");
    return ERR_NOTFOUND;
}

void api_batch_expedite(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct chosen c;
    struct pusher_view view;
    if (choose(api, r, params, &c) != ERR_OK)
        return;
    struct pusher *p = c.runner->pusher;
    pusher_view(p, c.position, c.rows, c.uuid_hash, &view);
    if (view.pending + view.waiting + view.parked == 0) {
        api_problem(r, 409, "conflict", "this pusher has settled it; a replay sends it again");
        return;
    }
    if (p->state == PUSHER_PAUSED || p->broken || p->host != HOST_READY) {
        api_problem(r, 409, "conflict", "this pusher does not push just now; see its state");
        return;
    }
    uint32_t cut = pusher_expedite(p, &c.epoch, c.position, clock_ms());
    supervisor_step(api->supervisor, c.runner);
    struct buf b;
    buf_init(&b, 256);
    int code = buf_addf(&b, "{\"expedited\":%u,\"pending\":%u,\"waiting\":%u,\"parked\":%u}\n", cut, view.pending,
                        view.waiting, view.parked);
    api_json(r, 202, &b, code);
}
