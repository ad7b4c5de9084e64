/* A trigger that makes no sense is the control tower's to mend, so its rows wait; a row whose index the list does not
 * have can never be placed. */
#include "run.h"

#include "common/percent.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {"experimentId", "activityId", "runId"};
enum { NAMES = 3 };

static int run_read(const json_t *entry, struct run *out)
{
    const char *ids[NAMES];
    for (size_t i = 0; i < NAMES; i++) {
        ids[i] = json_string_value(json_object_get(entry, names[i]));
        if (!ids[i] || ids[i][0] == '\0')
            return -1;
    }
    *out = (struct run){ids[0], ids[1], ids[2]};
    return 0;
}

const char *run_spec_fault(const json_t *spec)
{
    static const char fault[] =
        "the trigger's metadata.spec is neither {experimentId, activityId, runId} nor a list of these";
    struct run run;
    if (json_is_object(spec))
        return run_read(spec, &run) == 0 ? NULL : fault;
    if (!json_is_array(spec))
        return fault;
    if (json_array_size(spec) > RUN_WELLS_MAX)
        return "the trigger's metadata.spec has more than 4096 wells";
    for (size_t i = 0; i < json_array_size(spec); i++)
        if (!json_is_null(json_array_get(spec, i)) && run_read(json_array_get(spec, i), &run) != 0)
            return fault;
    return NULL;
}

int run_of(const json_t *spec, int64_t index, struct run *out, char *why, size_t why_size)
{
    if (json_is_object(spec))
        return run_read(spec, out);
    if (index < 0)
        snprintf(why, why_size, "it has no index, and its trigger lists a run for each index");
    else if ((uint64_t)index >= json_array_size(spec) || run_read(json_array_get(spec, (size_t)index), out) != 0)
        snprintf(why, why_size, "its trigger has no run for index %lld", (long long)index);
    else
        return 0;
    return -1;
}

int run_compare(const struct run *a, const struct run *b)
{
    int order = strcmp(a->experiment, b->experiment);
    if (order == 0)
        order = strcmp(a->activity, b->activity);
    return order != 0 ? order : strcmp(a->run, b->run);
}

void run_address(const char *address, const struct run *run, struct strbuf *out)
{
    const char *const ids[NAMES] = {run->experiment, run->activity, run->run};
    while (*address) {
        size_t i = 0, len = 0;
        for (; *address == '{' && i < NAMES; i++) {
            len = strlen(names[i]);
            if (strncmp(address + 1, names[i], len) == 0 && address[len + 1] == '}')
                break;
        }
        if (*address == '{' && i < NAMES) {
            percent_add(out, ids[i], strlen(ids[i]));
            address += len + 2;
        } else
            strbuf_addc(out, *address++);
    }
}
