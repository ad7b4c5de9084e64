/* Serving the page, and the description of the API: files out of the program. The page may run its own script and style
 * and talk to its own gateway, and nothing else: no inline script, no other site, no frame around it. */
#include "api/page.h"

#include "api/api.h"

#include <stdio.h>

#define GUARDS                                                                                                         \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "               \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                              \
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"                                              \
    "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"

static const struct page_file *find(struct slice path)
{
    for (size_t i = 0; i < page_file_count; i++)
        if (slice_is(path, page_files[i].path))
            return &page_files[i];
    return NULL;
}

/* Every browser says gzip plainly; who says it with a weight gets it plain. */
static bool takes_packed(const struct http_request *r)
{
    struct slice accept;
    return http_field(r, "accept-encoding", &accept) && memmem(accept.ptr, accept.len, "gzip", 4) != NULL &&
           memchr(accept.ptr, ';', accept.len) == NULL;
}

void api_page(struct api *api, struct http_request *r, const struct api_params *params)
{
    char fields[1024];
    struct slice known;
    const struct page_file *file = find(r->path);
    (void)api;
    (void)params;
    if (file == NULL) {
        api_problem(r, 404, "not-found", "there is no such file of the page");
        return;
    }
    bool packed = takes_packed(r), same = http_field(r, "if-none-match", &known) && slice_is(known, file->version);
    snprintf(fields, sizeof fields, GUARDS "Cache-Control: no-cache\r\nVary: Accept-Encoding\r\nETag: %s\r\n%s",
             file->version, packed && !same ? "Content-Encoding: gzip\r\n" : "");
    const struct http_answer answer = {
        .status = same ? 304 : 200,
        .content_type = same ? NULL : file->type,
        .body = same     ? (struct slice){NULL, 0}
                : packed ? slice_make((const char *)file->packed, file->packed_len)
                         : slice_make((const char *)file->plain, file->plain_len),
        .fields = fields,
    };
    api_send(r, &answer);
}
