/* What an index may be called: MetadataCreateIndexService of both servers. The index template is made with create=true,
 * so one that an operator has changed since is left alone. */
#include "place.h"

#include "bulk.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATE_NAME_SIZE = 200 };

int place_check(const char *index, char *why, size_t why_size)
{
    if (!isalnum((unsigned char)index[0])) {
        snprintf(why, why_size, "has to begin with a letter or a digit, as names of indexes do");
        return -1;
    }
    if (strpbrk(index, "\\/*?\"<>| ,#:")) {
        snprintf(why, why_size,
                 "holds one of the characters that no index may have in its name: \\ / * ? \" < > | , # : "
                 "and the space");
        return -1;
    }
    return 0;
}

char *place_url(const char *base, const char *path)
{
    char *url;
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return asprintf(&url, "%.*s/%s", (int)len, base, path) < 0 ? NULL : url;
}

/* "rows-%Y-{line}" as "rows-*-*". */
static void pattern_fill(struct strbuf *out, const char *index)
{
    while (*index) {
        if (*index == '{' || (*index == '%' && index[1] != '%')) {
            index += *index == '{' ? strcspn(index, "}") + 1 : 2;
            strbuf_addc(out, '*');
            continue;
        }
        index += *index == '%';
        strbuf_addc(out, (char)tolower((unsigned char)*index++));
    }
}

static char *template_body(const char *index, json_t *mapping)
{
    struct strbuf pattern;
    strbuf_init(&pattern, TEMPLATE_NAME_SIZE);
    pattern_fill(&pattern, index);
    json_t *body =
        json_pack("{s:[s], s:{s:O}}", "index_patterns", strbuf_str(&pattern), "template", "mappings", mapping);
    char *text = body && !pattern.failed ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    strbuf_fini(&pattern);
    return text;
}

static int answer_result(const struct http_answer *answer, char *why, size_t why_size)
{
    static const char there[] = "already exists";
    if (answer->status >= 200 && answer->status < 300)
        return HG_OPEN_OK;
    if (answer->status == 400 && answer->body.len &&
        memmem(answer->body.ptr, answer->body.len, there, sizeof(there) - 1))
        return HG_OPEN_OK;
    char reason[800];
    http_answer_reason(answer, reason, sizeof(reason));
    snprintf(why, why_size, "the mapping cannot be made: %s", reason);
    return answer->status == 400 && !bulk_stranger(answer) ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
}

static int template_put(struct http_client *client, const char *url, const char *body, const char *key_line, char *why,
                        size_t why_size)
{
    const char *const fields[] = {"Content-Type: application/json", key_line};
    struct http_request request = {"PUT", body, strlen(body), fields, key_line ? 2 : 1, url};
    struct http_answer answer;
    http_answer_init(&answer, 64 * 1024);
    int result = HG_OPEN_NOT_NOW;
    if (http_client_send(client, &request, &answer) == 0)
        result = answer_result(&answer, why, why_size);
    else
        snprintf(why, why_size, "%s", answer.error);
    http_answer_fini(&answer);
    return result;
}

int place_mapping(struct http_client *client, const struct place *place, char *why, size_t why_size)
{
    char path[TEMPLATE_NAME_SIZE];
    json_error_t error;
    snprintf(path, sizeof(path), "_index_template/headgate-%s?create=true", place->instance);
    json_t *mapping = json_load_file(place->file, 0, &error);
    if (!json_is_object(mapping)) {
        snprintf(why, why_size, "MAPPING %.200s is no JSON object: %s", place->file,
                 mapping ? "it is something else" : error.text);
        json_decref(mapping);
        return HG_OPEN_BROKEN;
    }
    char *body = template_body(place->index, mapping), *url = place_url(place->base, path);
    int result = HG_OPEN_NOT_NOW;
    if (body && url)
        result = template_put(client, url, body, place->key_line, why, why_size);
    else
        snprintf(why, why_size, "no memory");
    free(body);
    free(url);
    json_decref(mapping);
    return result;
}
