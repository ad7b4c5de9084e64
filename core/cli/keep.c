/* Reads journal.keep and journal.keep_bytes from GET /v1/config. A second, quiet look: its failure is no failure of the
 * command. */
#include "cli/keep.h"

#include "cli/remote.h"
#include "conf/value.h"

#include <stdlib.h>

enum { KEEP_TIMEOUT_MS = 2000 };

static void keep_read(const json_t *answer, struct keep *out)
{
    const json_t *settings = json_object_get(answer, "settings");
    for (size_t i = 0; i < json_array_size(settings); i++) {
        const json_t *row = json_array_get(settings, i);
        const char *key = js_text(row, "key"), *value = js_text(row, "value");
        int64_t number;
        if (strcmp(key, "journal.keep") == 0 && value_duration(value, &number, NULL) == ERR_OK) {
            out->known = true;
            out->ms = number;
            snprintf(out->text, sizeof out->text, "%s", value);
        } else if (strcmp(key, "journal.keep_bytes") == 0 && value_size(value, &number, NULL) == ERR_OK) {
            out->bytes = number;
        }
    }
}

void keep_ask(const struct args *a, struct keep *out)
{
    struct target target;
    struct call call;
    char *token = NULL;
    const char *given = args_value(a, OPT_ADMIN, NULL);
    *out = (struct keep){.ms = -1, .bytes = -1};
    if (given == NULL && args_has(a, OPT_TO) && getenv("HEADGATE_ADMIN_LISTEN") == NULL)
        return;
    int code = given != NULL ? remote_target_parse(given, &target, NULL)
                             : remote_target("admin.listen", "HEADGATE_ADMIN_LISTEN", "127.0.0.1:8081", &target, NULL);
    if (code != ERR_OK || call_token(&token, NULL) != ERR_OK)
        return;
    if (call_open(&call, &target, token, args_value(a, OPT_CA, NULL), NULL) == ERR_OK) {
        struct call_request request = {.method = "GET", .path = "/v1/config", .timeout_ms = KEEP_TIMEOUT_MS};
        json_t *answer = NULL;
        if (call_send(&call, &request, NULL) == ERR_OK && call.status == 200)
            answer = js_parse(buf_slice(&call.body));
        keep_read(answer, out);
        json_decref(answer);
    }
    call_close(&call);
    free(token);
}
