/* The webhook's request, with libcurl. What is secret stands in files, is read for each request and forgotten after it:
 * no setting holds it, so none can show it, and no error repeats what the library says, which may hold the address. */
#include "api/hook.h"

#include "base/sys.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 5000, TRANSFER_MS = 10000, SECRET_BYTES = 8 << 10 };

/* A file's text, without the newline at its end. */
static int read_text(const char *path, const char *what, char out[SECRET_BYTES], struct err *e)
{
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(e, errno, "%s cannot be read", what);
    ssize_t n = sys->pread(fd, out, SECRET_BYTES - 1, 0);
    int number = errno;
    sys->close(fd);
    if (n < 0)
        return err_errno(e, number, "%s cannot be read", what);
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] != '\0' ? ERR_OK : err_set(e, ERR_MISSING, "%s holds nothing", what);
}

/* The answer's body says nothing that is needed. */
static size_t ignore(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

static int watch(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load((const _Atomic bool *)arg);
}

static bool headers_make(const struct hook *h, struct curl_slist **out, struct err *e, int *code)
{
    char token[SECRET_BYTES], line[SECRET_BYTES + 32];
    *out = curl_slist_append(NULL, "Content-Type: application/json");
    if (*out == NULL)
        return false;
    if (h->token_file == NULL)
        return true;
    *code = read_text(h->token_file, "the file of alerts.token_file", token, e);
    if (*code != ERR_OK)
        return false;
    snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    struct curl_slist *more = curl_slist_append(*out, line);
    *out = more != NULL ? more : *out;
    return more != NULL;
}

static void prepare(CURL *curl, const struct hook *h, const char *url, struct slice body, const _Atomic bool *stop)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "headgate/" HG_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TRANSFER_MS);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.ptr);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, stop);
    if (h->ca != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

static int outcome(CURL *curl, CURLcode got, struct err *e)
{
    long status = 0;
    if (got == CURLE_ABORTED_BY_CALLBACK)
        return err_set(e, ERR_CLOSED, "stopping");
    if (got != CURLE_OK)
        return err_set(e, ERR_UNREACHABLE, "the webhook does not answer: %s", curl_easy_strerror(got));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300 ? ERR_OK
                                         : err_set(e, ERR_UNREACHABLE, "the webhook answers with status %ld", status);
}

int hook_post(const struct hook *h, struct slice body, const _Atomic bool *stop, struct err *e)
{
    char url[SECRET_BYTES];
    struct curl_slist *headers = NULL;
    int code = ERR_OK;
    if (h->url == NULL)
        code = read_text(h->url_file, "the file of alerts.webhook_file", url, e);
    else
        snprintf(url, sizeof url, "%s", h->url);
    if (code != ERR_OK)
        return code;
    CURL *curl = curl_easy_init();
    if (curl == NULL || !headers_make(h, &headers, e, &code)) {
        code = code != ERR_OK ? code : err_set(e, ERR_NOMEM, "out of memory");
    } else {
        prepare(curl, h, url, body, stop);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        code = outcome(curl, curl_easy_perform(curl), e);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code;
}

void hook_fini(struct hook *h)
{
    free(h->url);
    free(h->url_file);
    free(h->token_file);
    free(h->ca);
    *h = (struct hook){0};
}
