/* What a request asks and who it says it is, after its head was read: parameters of the query, parts of the path, the
 * session's cookie and the token of a change, where it comes from; and moments and ids, which stand in all of them.
 * Compared with other readings of the same rules, written here.
 *
 * Input: a byte for the method; then lines: the target, then fields. `\1` stands for the id of a session that is open,
 * `\2` for its token. */
#include "access/keyfile.h"
#include "access/sessions.h"
#include "api/session.h"
#include "api/site.h"
#include "base/id.h"
#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 16, TEXT = 4096 };

static struct api api;
static struct key key;
static char id[SESSION_DIGITS + 1];
static struct session session;
static struct sys table;

/* It stands still: the session must outlive a run of any length. */
static int no_clock(clockid_t which, struct timespec *out)
{
    (void)which;
    *out = (struct timespec){.tv_sec = 1800000000};
    return 0;
}

/* --- percent-decoding, read again --- */

static int digit(char c)
{
    const char *at = c == '\0' ? NULL : strchr("0123456789abcdefABCDEF", c);
    long n = at == NULL ? -1 : at - "0123456789abcdefABCDEF";
    return (int)(n >= 16 ? n - 6 : n);
}

/* The length; -1: malformed, holds NUL, or is longer than `room`. */
static long decode(struct slice text, bool query, char *out, size_t room)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++, len++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            if (i + 2 >= text.len || digit(text.ptr[i + 1]) < 0 || digit(text.ptr[i + 2]) < 0)
                return -1;
            c = digit(text.ptr[i + 1]) << 4 | digit(text.ptr[i + 2]);
            i += 2;
        }
        if (query && text.ptr[i] == '+')
            c = ' ';
        if (c == 0 || len >= room)
            return -1;
        out[len] = (char)c;
    }
    return (long)len;
}

static long query_again(struct slice query, const char *name, char *out, size_t room)
{
    for (size_t at = 0, end; at < query.len; at = end + 1) {
        for (end = at; end < query.len && query.ptr[end] != '&'; end++)
            ;
        size_t equal = at;
        while (equal < end && query.ptr[equal] != '=')
            equal++;
        if (!slice_is(slice_make(query.ptr + at, equal - at), name))
            continue;
        size_t from = equal < end ? equal + 1 : end;
        long len = decode(slice_make(query.ptr + from, end - from), true, out, room);
        return len < 0 ? -2 : len;
    }
    return -1;
}

static void check_query(const struct http_request *r)
{
    static const char *const names[] = {"uuid", "since", "after", "limit", "a", ""};
    static const size_t sizes[] = {1, 2, 16, 1024};
    for (size_t n = 0; n < COUNT_OF(names); n++)
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            char one[1024], two[1024];
            long len = http_query(r, names[n], one, sizes[s]);
            CHECK(len == query_again(r->query, names[n], two, sizes[s] - 1));
            CHECK(len < 0 || ((size_t)len == strlen(one) && memcmp(one, two, (size_t)len) == 0));
        }
}

/* --- moments and ids --- */

static void check_texts(const struct http_request *r)
{
    char text[1024], again[ROW_ID_LEN + 1];
    struct epoch epoch;
    uint64_t position;
    uint32_t row;
    int64_t moment;
    long len = http_query(r, "since", text, sizeof text);
    if (len > 0 && api_time_parse(text, &moment) == ERR_OK)
        CHECK(moment < INT64_C(253402387200000000)); /* the year 10000, and a time zone */
    len = http_query(r, "after", text, sizeof text);
    if (len > 0 && row_id_parse(slice_of(text), &epoch, &position, &row) == ERR_OK) {
        row_id_text(&epoch, position, row, again);
        CHECK(strcmp(again, text) == 0);
    }
    if (len > 0 && batch_id_parse(slice_of(text), &epoch, &position) == ERR_OK) {
        batch_id_text(&epoch, position, again);
        CHECK(strcmp(again, text) == 0);
    }
    const char *name = api_route_name(r);
    CHECK(name == NULL || strncmp(name, "api_", 4) == 0);
}

/* --- who it is --- */

static bool field_of(const struct http_request *r, const char *name, struct slice *out)
{
    for (uint32_t i = 0; i < r->field_count; i++)
        if (r->fields[i].name.len == strlen(name) && strncasecmp(r->fields[i].name.ptr, name, strlen(name)) == 0) {
            *out = r->fields[i].value;
            return true;
        }
    return false;
}

/* RFC 6265: pairs apart by `;` and blanks; the first of that name counts. */
static bool cookie_is(const struct http_request *r)
{
    char text[TEXT], *rest;
    struct slice field;
    if (!field_of(r, "Cookie", &field))
        return false;
    snprintf(text, sizeof text, "%.*s", (int)field.len, field.ptr);
    for (char *pair = strtok_r(text, ";", &rest); pair != NULL; pair = strtok_r(NULL, ";", &rest)) {
        pair += strspn(pair, " ");
        if (strncmp(pair, "headgate_session=", 17) == 0)
            return strcmp(pair + 17, id) == 0;
    }
    return false;
}

static void check_session(struct http_request *r)
{
    struct session found;
    struct access_denial why;
    struct slice other;
    bool in = api_session(&api, r, &found);
    CHECK(in == (cookie_is(r) && !field_of(r, "Authorization", &other)));
    if (!in)
        return;
    CHECK(strcmp(found.key.id, key.id) == 0 && r->caller.roles != 0);
    bool token = field_of(r, "X-CSRF-Token", &other) && slice_is(other, session.token);
    CHECK(api_session_guarded(r, &found, &why) == (token || r->method == HTTP_GET || r->method == HTTP_HEAD));
}

/* A page of this gateway itself is at home, and at home is nobody else. */
static void check_site(const struct http_request *r)
{
    struct slice origin, host, from;
    char home[2][TEXT];
    bool foreign = site_foreign(r);
    if (field_of(r, "Sec-Fetch-Site", &from) && from.len == 10 && strncasecmp(from.ptr, "cross-site", 10) == 0) {
        CHECK(foreign);
        return;
    }
    if (!field_of(r, "Origin", &origin)) {
        CHECK(!foreign);
        return;
    }
    if (!field_of(r, "Host", &host)) {
        CHECK(foreign);
        return;
    }
    bool is = false;
    for (int i = 0; i < 2; i++) {
        snprintf(home[i], TEXT, "%s%.*s", i == 0 ? "http://" : "https://", (int)host.len, host.ptr);
        is = is || (origin.len == strlen(home[i]) && strncasecmp(origin.ptr, home[i], origin.len) == 0);
    }
    CHECK(!(is && foreign));
    if (!foreign) { /* the same but for a port that needs not be said */
        CHECK(origin.len >= 7 && strncasecmp(origin.ptr, "http", 4) == 0);
        size_t least = host.len > 4 ? host.len - 4 : 0;
        CHECK(origin.len >= 7 + (least < 1 ? 0 : least - 1) && origin.len <= host.len + 12);
    }
}

/* --- a request of it --- */

/* Bytes no head lets through are left out; the session's texts are put in. */
static size_t fill(const uint8_t *data, size_t size, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < size && len + SESSION_DIGITS < TEXT; i++) {
        const char *put = data[i] == 1 ? id : data[i] == 2 ? session.token : NULL;
        if (put != NULL) {
            memcpy(out + len, put, SESSION_DIGITS);
            len += SESSION_DIGITS;
        } else if (data[i] != '\0' && data[i] != '\r') {
            out[len++] = (char)data[i];
        }
    }
    return len;
}

static struct slice line_next(struct slice *rest)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    struct slice line = slice_make(rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr));
    *rest = slice_make(rest->ptr + line.len + (end != NULL), rest->len - line.len - (end != NULL));
    return line;
}

static void cut(struct slice text, char at, struct slice *before, struct slice *behind)
{
    const char *end = text.len == 0 ? NULL : memchr(text.ptr, at, text.len);
    *before = slice_make(text.ptr, end == NULL ? text.len : (size_t)(end - text.ptr));
    *behind = end == NULL ? slice_make(text.ptr + text.len, 0) : slice_make(end + 1, text.len - before->len - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char dir[] = "/tmp/fuzz-request-XXXXXX", text[KEY_TEXT + 1], path[64];
    struct err e;
    struct keyfile file = {.count = 0};
    table = sys_plain;
    table.clock = no_clock;
    sys = &table;
    key.roles = ROLE_ADMIN;
    CHECK(mkdtemp(dir) != NULL && key_draw(&key, text) == ERR_OK && keyfile_add(&file, &key, &e) == ERR_OK);
    CHECK(keyfile_write(dir, &file, &e) == ERR_OK);
    const struct access_options options = {.data_dir = dir, .auth = AUTH_KEYS};
    CHECK(access_open(&api.access, &options, &e) == ERR_OK && access_keys(api.access) == 1);
    keyfile_fini(&file);
    snprintf(path, sizeof path, "%s/keys", dir);
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
    CHECK(access_key(api.access, slice_of(text), &key));
    api.admin_auth = AUTH_KEYS;
    api.sessions = sessions_new();
    CHECK(api.sessions != NULL && sessions_begin(api.sessions, &key, clock_ms(), id, &session) == ERR_OK);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT];
    struct http_field fields[FIELDS];
    struct http_request r = {.listener = LISTENER_ADMIN, .fields = fields};
    if (size < 1)
        return 0;
    struct slice rest = slice_make(text, fill(data + 1, size - 1, text));
    r.method = (enum http_method)(data[0] % (HTTP_OTHER + 1));
    cut(line_next(&rest), '?', &r.path, &r.query);
    while (rest.len > 0 && r.field_count < FIELDS) {
        struct http_field *f = &fields[r.field_count++];
        cut(line_next(&rest), ':', &f->name, &f->value);
        while (f->value.len > 0 && f->value.ptr[0] == ' ')
            f->value = slice_make(f->value.ptr + 1, f->value.len - 1);
    }
    check_query(&r);
    check_texts(&r);
    check_site(&r);
    check_session(&r);
    return 0;
}
