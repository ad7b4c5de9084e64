/* Pullers, as operators see them: GET /v1/pullers. What is done to one by its name is in pushers.c. */
#include "api/api.h"

#include "base/sys.h"
#include "headgate.h"

bool api_is_puller(const struct runner *r)
{
    return r->puller != NULL || (r->pusher == NULL && r->file != NULL && r->file->about.kind == HG_PULLER);
}

static int add_time(struct buf *b, const char *name, int64_t wall_us)
{
    int code = buf_addf(b, ",\"%s\":", name);
    if (code != ERR_OK)
        return code;
    return wall_us > 0 ? api_time(b, wall_us) : buf_adds(b, "\"\"");
}

static int add_numbers(struct buf *b, const struct puller *p)
{
    static const struct puller none;
    const struct puller *of = p == NULL ? &none : p;
    int code = buf_addf(
        b,
        ",\"rows\":%llu,\"sets\":%llu,\"runs\":%llu,\"refused\":%llu,\"not_now\":%llu,\"restarts\":%llu,\"pulling\":%s",
        (unsigned long long)of->counts.rows, (unsigned long long)of->counts.sets, (unsigned long long)of->counts.runs,
        (unsigned long long)of->counts.refused, (unsigned long long)of->counts.not_now,
        (unsigned long long)of->counts.restarts, of->pulling ? "true" : "false");
    if (code == ERR_OK)
        code = add_time(b, "last_run", of->last_run_us);
    return code == ERR_OK ? add_time(b, "next_run", of->next_wall_us) : code;
}

int api_add_puller(struct buf *b, const struct runner *r)
{
    int code = buf_addf(b, "{\"name\":\"%s\",\"plugin\":", r->name);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->plugin));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"version\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->file == NULL ? "" : r->file->about.version));
    if (code == ERR_OK)
        code = buf_addf(b, ",\"state\":\"%s\",\"since\":", pusher_state_word(runner_state(r)));
    if (code == ERR_OK)
        code = api_time(b, r->puller == NULL ? clock_wall_us() : r->puller->state_since_us);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"every\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->instance.common.every.text));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"client\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->instance.common.client == NULL ? "" : r->instance.common.client));
    if (code == ERR_OK)
        code = add_numbers(b, r->puller);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"error\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(runner_error(r)));
    return code != ERR_OK ? code
                          : buf_addf(b, ",\"pid\":%d,\"confined\":%s,\"memory\":%llu}", runner_pid(r),
                                     r->confined ? "true" : "false", (unsigned long long)r->memory);
}

int api_add_pullers(struct buf *b, struct supervisor *s)
{
    bool more = false;
    int code = buf_addc(b, '[');
    LIST_EACH(supervisor_runners(s), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        if (!api_is_puller(r))
            continue;
        if (code == ERR_OK)
            code = api_comma(b, &more);
        if (code == ERR_OK)
            code = api_add_puller(b, r);
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

void api_pullers_list(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    int code = buf_adds(&b, "{\"pullers\":");
    if (code == ERR_OK)
        code = api_add_pullers(&b, api->supervisor);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    api_json(r, 200, &b, code);
}
