/* plugins/common: what pushers to stores and brokers share. Halving, packing, and a connection against
 * a real server of ours, with and without TLS. */
#include "common/gzip.h"
#include "common/peer.h"
#include "common/ranges.h"

#include "scratch.h"
#include "webserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* --- ranges --- */

/* Every row comes alone, in order, when everything is refused; only the way to the guilty one when nothing else is. */
static void test_ranges(void **state)
{
    (void)state;
    struct ranges ranges;
    struct range r;
    for (size_t count = 0; count < 40; count++) {
        size_t alone = 0;
        ranges_start(&ranges, 5, 5 + count);
        while (ranges_next(&ranges, &r)) {
            assert_true(r.from < r.to && r.to <= 5 + count);
            if (!ranges_halve(&ranges, r))
                assert_int_equal(r.from, 5 + alone++);
        }
        assert_int_equal(alone, count);
        for (size_t guilty = 5; guilty < 5 + count; guilty++) {
            size_t next = 5, asked = 0;
            ranges_start(&ranges, 5, 5 + count);
            while (ranges_next(&ranges, &r)) {
                asked++;
                assert_int_equal(r.from, next);
                if (r.from <= guilty && guilty < r.to && ranges_halve(&ranges, r))
                    continue;
                next = r.to;
            }
            assert_int_equal(next, 5 + count);
            assert_true(asked <= 13); /* 2 log2(40) + 1 */
        }
    }
    ranges_start(&ranges, 0, SIZE_MAX); /* the depth is enough for any number */
    while (ranges_next(&ranges, &r) && ranges_halve(&ranges, r))
        assert_true(ranges.depth <= RANGES_DEPTH);
}

/* --- gzip --- */

static void test_gzip(void **state)
{
    (void)state;
    struct strbuf in, one, two;
    char out[4096];
    strbuf_init(&in, 1 << 20);
    strbuf_init(&one, 1 << 20);
    strbuf_init(&two, 1 << 20);
    for (int i = 0; i < 300; i++)
        strbuf_addf(&in, "line %d\n", i);
    assert_int_equal(gzip_pack(&one, &in), 0);
    assert_int_equal(gzip_pack(&two, &in), 0);
    assert_true(one.len < in.len && one.len == two.len);
    assert_memory_equal(one.ptr, two.ptr, one.len);
    z_stream z = {
        .next_in = (Bytef *)one.ptr, .avail_in = (uInt)one.len, .next_out = (Bytef *)out, .avail_out = sizeof(out)};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, in.len);
    assert_memory_equal(out, in.ptr, in.len);
    inflateEnd(&z);
    one.max = one.len = 10;
    assert_int_equal(gzip_pack(&one, &in), -1);
    one.max = 1 << 20;
    strbuf_fini(&in);
    strbuf_fini(&one);
    strbuf_fini(&two);
}

/* --- peer --- */

static int stopping; /* what the host says */

static int api_stopping(const struct hg_host *host)
{
    (void)host;
    return stopping;
}

static const struct hg_api api = {.size = sizeof(api), .stopping = api_stopping};

static void respond(void *arg, const struct web_request *request, struct web_reply *reply)
{
    (void)request;
    reply->how = (enum web_how)atomic_load((_Atomic int *)arg); /* the server has a thread of its own */
    snprintf(reply->body, sizeof(reply->body), "hello");
}

static int64_t port_of(const struct web *web)
{
    return strtoll(strrchr(web_url(web), ':') + 1, NULL, 10);
}

static struct peer *try_open(const struct peer_settings *s, int ms, char why[300], int *broken)
{
    return peer_open(s, NULL, &api, peer_clock() + ms, why, 300, broken);
}

/* One request and its answer's end; NULL, or why not. */
static const char *talk(struct peer *p, int ms)
{
    static char answer[2000];
    static const char request[] = "GET /rows HTTP/1.1\r\nHost: h\r\n\r\n";
    size_t at = 0;
    int64_t until = peer_clock() + ms;
    if (peer_send(p, request, sizeof(request) - 1, until) != 0)
        return peer_error(p);
    while (at < 5 || memcmp(answer + at - 5, "hello", 5) != 0) {
        long got = peer_receive(p, answer + at, sizeof(answer) - at, until);
        if (got < 0)
            return peer_error(p);
        at += (size_t)got;
    }
    return NULL;
}

static void test_peer(void **state)
{
    (void)state;
    char why[300];
    int broken;
    _Atomic int how = WEB_ANSWER;
    struct web *web = web_start(respond, &how, NULL, 0);
    struct peer_settings s = {.host = "127.0.0.1", .port = port_of(web)};
    struct peer *p = try_open(&s, 5000, why, &broken);
    assert_non_null(p);
    assert_null(talk(p, 5000));
    assert_null(talk(p, 5000));
    how = WEB_HANG;
    assert_string_equal(talk(p, 150), "no answer in time");
    peer_close(&p);
    assert_null(p);
    how = WEB_CLOSE;
    p = try_open(&s, 5000, why, &broken);
    assert_non_null(p);
    assert_string_equal(talk(p, 5000), "the far end closed the connection");
    peer_close(&p);
    how = WEB_HANG;
    p = try_open(&s, 5000, why, &broken);
    stopping = 1; /* what was begun is left two seconds, not the minute that the deadline allows */
    int64_t before = peer_clock();
    assert_string_equal(talk(p, 60000), "stopping");
    assert_in_range(peer_clock() - before, 1900, 20000);
    stopping = 0;
    peer_close(&p);
    web_stop(&web);
    s.port = web_dead_port();
    assert_null(try_open(&s, 5000, why, &broken));
    assert_non_null(strstr(why, "refused"));
    assert_false(broken);
    s = (struct peer_settings){.socket = "/nowhere/at/all"};
    assert_null(try_open(&s, 5000, why, &broken));
    assert_non_null(strstr(why, "No such file"));
}

static void test_peer_tls(void **state)
{
    (void)state;
    char why[300], *folder = scratch_make();
    int broken;
    _Atomic int how = WEB_ANSWER;
    struct web *web = web_start(respond, &how, folder, 1);
    char *ca = strdup(scratch_path(folder, "cert.pem")), *key = strdup(scratch_path(folder, "key.pem"));
    struct peer_settings s = {
        .host = "127.0.0.1", .port = port_of(web), .tls = 1, .ca = ca, .cert = ca, .key = key, .verify = 1};
    struct peer *p = try_open(&s, 5000, why, &broken);
    assert_non_null(p);
    assert_null(talk(p, 5000));
    peer_close(&p);
    s.ca = NULL; /* nobody vouches for it */
    assert_null(try_open(&s, 5000, why, &broken));
    assert_non_null(strstr(why, "self-signed"));
    s.ca = ca;
    s.host = "localhost"; /* it is for 127.0.0.1 */
    p = try_open(&s, 5000, why, &broken);
    assert_null(p);
    assert_non_null(strstr(why, "TLS: "));
    s.verify = 0;
    p = try_open(&s, 5000, why, &broken);
    assert_non_null(p);
    assert_null(talk(p, 5000));
    peer_close(&p);
    s.cert = s.key = NULL; /* the server wants to see one */
    p = try_open(&s, 5000, why, &broken);
    assert_true(!p || talk(p, 5000));
    peer_close(&p);
    s.key = key;
    assert_null(try_open(&s, 5000, why, &broken));
    assert_true(broken);
    s.key = NULL;
    s.ca = "/nowhere";
    assert_null(try_open(&s, 5000, why, &broken));
    assert_false(broken); /* the file may come */
    web_stop(&web);
    free(ca);
    free(key);
    scratch_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_peer_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
