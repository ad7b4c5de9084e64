/* What people look at over time: GET /v1/history and GET /v1/log. */
#include "api/api.h"
#include "api/history.h"
#include "api/recent.h"

#include <stdlib.h>

void api_history(struct api *api, struct http_request *r, const struct api_params *params)
{
    char word[16] = "hour";
    struct buf b;
    (void)params;
    int span = http_query(r, "span", word, sizeof word) == -2 ? -1 : history_span(word);
    if (span < 0) {
        api_problem(r, 422, "schema", "span is minute, hour or day");
        return;
    }
    if (shared_answer(&api->shared, SHARED_HISTORY + (size_t)span, r))
        return;
    buf_init(&b, API_BODY_MAX);
    int code = history_print(api->history, span, &b);
    if (code == ERR_OK)
        shared_keep(&api->shared, SHARED_HISTORY + (size_t)span, r, buf_slice(&b));
    api_json(r, 200, &b, code);
}

static bool read_level(const struct http_request *r, enum log_level *level)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    char word[16] = "debug";
    if (http_query(r, "level", word, sizeof word) == -2)
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], word) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void api_log(struct api *api, struct http_request *r, const struct api_params *params)
{
    uint64_t after = 0;
    enum log_level level;
    (void)params;
    if (!read_level(r, &level) || !api_number(r, "after", &after)) {
        api_problem(r, 422, "schema", "level is error, warn, info or debug; after is the number that came as next");
        return;
    }
    struct buf b;
    buf_init(&b, API_BODY_MAX);
    int code = api->recent == NULL ? ERR_NOMEM : recent_print(api->recent, after, level, &b);
    api_json(r, 200, &b, code);
}
