/* HTTP to a daemon through libcurl's easy interface.
 *
 * Proxies of the environment are ignored: the daemon is on this machine or near, and a token must not travel through a
 * stranger. Redirects are not followed for the same reason. Main thread only. */
#include "cli/call.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 20, TOKEN_MAX = 16 << 10, CONNECT_MS = 5000, STALL_SECONDS = 60, URL_MAX = 64 << 10 };

static size_t call_take(char *bytes, size_t size, size_t count, void *arg)
{
    struct call *c = arg;
    return buf_add(&c->body, bytes, size * count) == ERR_OK ? size * count : 0;
}

static size_t call_pass(char *bytes, size_t size, size_t count, void *arg)
{
    struct call *c = arg;
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return call_take(bytes, size, count, arg);
    return c->request->part(c->request->part_arg, slice_make(bytes, size * count)) ? size * count : 0;
}

/* Is it that field, with a value that begins so? A header line ends in CR LF. */
static bool says(const char *line, size_t len, const char *name, const char *value)
{
    size_t at = strlen(name), most = strlen(value);
    if (len <= at + most || strncasecmp(line, name, at) != 0)
        return false;
    while (at < len && (line[at] == ' ' || line[at] == '\t'))
        at++;
    return len - at >= most && strncasecmp(line + at, value, most) == 0;
}

static size_t call_header(char *line, size_t size, size_t count, void *arg)
{
    struct call *c = arg;
    size_t len = size * count;
    c->replayed = c->replayed || says(line, len, "Idempotency-Replayed:", "true");
    c->unaudited = c->unaudited || says(line, len, "Headgate-Audit:", "not-written");
    return len;
}

static int call_authorize(struct call *c, const char *token, struct err *e)
{
    if (token == NULL)
        return ERR_OK;
    for (const char *at = token; *at != '\0'; at++)
        if (*at <= ' ' || *at == 0x7F)
            return err_set(e, ERR_SYNTAX, "the token has a character that no header can carry (a blank, a newline?)");
    if (asprintf(&c->authorization, "Authorization: Bearer %s", token) < 0) {
        c->authorization = NULL;
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

/* Empty is unset, as everywhere. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int call_open(struct call *c, const struct target *target, const char *token, const char *ca, struct err *e)
{
    *c = (struct call){.target = *target,
                       .ca = ca != NULL ? ca : environment("HEADGATE_CA"),
                       .cert = environment("HEADGATE_CERT"),
                       .cert_key = environment("HEADGATE_CERT_KEY")};
    buf_init(&c->body, ANSWER_MAX);
    int code = call_authorize(c, token, e);
    if (code != ERR_OK)
        return code;
    c->curl = curl_easy_init();
    if (c->curl == NULL) {
        call_close(c);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

void call_close(struct call *c)
{
    curl_easy_cleanup(c->curl);
    if (c->authorization != NULL)
        explicit_bzero(c->authorization, strlen(c->authorization));
    free(c->authorization);
    buf_free(&c->body);
    c->curl = NULL;
    c->authorization = NULL;
}

static bool headers_add(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer == NULL)
        return false;
    *headers = longer;
    return true;
}

static bool call_headers(const struct call *c, const struct call_request *r, struct curl_slist **out)
{
    char line[512];
    bool well = headers_add(out, "Expect:") && headers_add(out, "Accept: application/json, application/problem+json");
    if (c->authorization != NULL)
        well = well && headers_add(out, c->authorization);
    if (r->body.ptr != NULL) {
        snprintf(line, sizeof line, "Content-Type: %s", r->type == NULL ? "application/json" : r->type);
        well = well && headers_add(out, line);
    }
    if (r->key != NULL) {
        snprintf(line, sizeof line, "Idempotency-Key: %s", r->key);
        well = well && headers_add(out, line);
    }
    return well;
}

static void call_setup(struct call *c, const struct call_request *r, const char *url, struct curl_slist *headers)
{
    CURL *curl = c->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "headgate/" HG_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, r->part == NULL ? call_take : call_pass);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, call_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->fault);
    if (c->ca != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* this one, and no other */
    }
    if (c->cert != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert);
    if (c->cert_key != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, c->cert_key);
    if (c->target.socket[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->target.socket);
    if (r->timeout_ms > 0) {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    } else if (r->part == NULL) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    }
    if (r->body.ptr != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.ptr);
    } else if (strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
}

static int call_failed(const struct call *c, CURLcode got, struct err *e)
{
    const char *why = c->fault[0] != '\0' ? c->fault : curl_easy_strerror(got);
    int code = ERR_CLOSED;
    if (got == CURLE_OUT_OF_MEMORY)
        code = ERR_NOMEM;
    else if (got == CURLE_WRITE_ERROR)
        code = ERR_LIMIT;
    else if (got == CURLE_OPERATION_TIMEDOUT)
        code = ERR_TIMEOUT;
    else if (got == CURLE_COULDNT_CONNECT || got == CURLE_COULDNT_RESOLVE_HOST ||
             got == CURLE_PEER_FAILED_VERIFICATION || got == CURLE_SSL_CONNECT_ERROR)
        code = ERR_UNREACHABLE;
    else if (got == CURLE_UNSUPPORTED_PROTOCOL || got == CURLE_URL_MALFORMAT || got == CURLE_SSL_CACERT_BADFILE ||
             got == CURLE_SSL_CERTPROBLEM)
        code = ERR_SYNTAX;
    return err_set(e, code, "%s", why);
}

int call_send(struct call *c, const struct call_request *r, struct err *e)
{
    char *url = NULL;
    struct curl_slist *headers = NULL;
    int code = ERR_NOMEM;
    buf_clear(&c->body);
    c->request = r;
    c->status = 0;
    c->replayed = c->unaudited = false;
    c->fault[0] = '\0';
    struct buf path;
    buf_init(&path, URL_MAX);
    bool changes = strcmp(r->method, "GET") != 0;
    if (buf_adds(&path, r->path) != ERR_OK || call_query(&path, "why", changes ? c->why : NULL) != ERR_OK ||
        asprintf(&url, "%s%s", c->target.base, buf_str(&path)) < 0) {
        url = NULL;
        buf_free(&path);
        goto out;
    }
    buf_free(&path);
    if (!call_headers(c, r, &headers))
        goto out;
    call_setup(c, r, url, headers);
    CURLcode got = curl_easy_perform(c->curl);
    if (got != CURLE_OK) {
        code = call_failed(c, got, e);
        goto done;
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
    curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &seconds);
    c->retry_after_ms = seconds > 0 && seconds < 1000000 ? (int64_t)seconds * 1000 : 0;
    code = ERR_OK;
    goto done;
out:
    err_set(e, ERR_NOMEM, "out of memory");
done:
    curl_slist_free_all(headers);
    free(url);
    return code;
}

static int token_read(const char *path, char **out, struct err *e)
{
    char text[TOKEN_MAX];
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(e, errno, "HEADGATE_TOKEN_FILE %s", path), ERR_CONFIG;
    ssize_t len = sys->read(fd, text, sizeof text - 1);
    int number = errno;
    sys->close(fd);
    if (len < 0)
        return err_errno(e, number, "HEADGATE_TOKEN_FILE %s", path), ERR_CONFIG;
    if (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
    char *copy = strdup(text);
    explicit_bzero(text, sizeof text);
    if (copy == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    *out = copy;
    return ERR_OK;
}

int call_token(char **out, struct err *e)
{
    const char *plain = getenv("HEADGATE_TOKEN"), *file = getenv("HEADGATE_TOKEN_FILE");
    bool has_plain = plain != NULL && plain[0] != '\0', has_file = file != NULL && file[0] != '\0';
    *out = NULL;
    if (has_plain && has_file)
        return err_set(e, ERR_CONFIG, "HEADGATE_TOKEN and HEADGATE_TOKEN_FILE are both set: unset one");
    if (has_file)
        return token_read(file, out, e);
    if (has_plain && (*out = strdup(plain)) == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

int call_encode(struct buf *path, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        int code = strchr(plain, *text) != NULL ? buf_addc(path, *text)
                                                : buf_addf(path, "%%%02X", (unsigned)(unsigned char)*text);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

int call_query(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return ERR_OK;
    char first = path->len > 0 && memchr(path->ptr, '?', path->len) != NULL ? '&' : '?';
    int code = buf_addf(path, "%c%s=", first, name);
    return code != ERR_OK ? code : call_encode(path, value);
}
