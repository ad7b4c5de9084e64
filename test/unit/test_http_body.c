/* Bodies: content codings split at every byte, the decoders' limits, the budget and what waits for room in it. */
#include "http_bench.h"

#include "base/sys.h"
#include "http/body.h"

#include <zlib.h>
#include <zstd.h>

/* --- packing --- */

static size_t gzip_as(const void *from, size_t len, char *to, size_t room, int level, gz_header *head)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_true(head == NULL || deflateSetHeader(&z, head) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t out = room - z.avail_out;
    deflateEnd(&z);
    return out;
}

static size_t gzip(const void *from, size_t len, char *to, size_t room)
{
    return gzip_as(from, len, to, room, 9, NULL);
}

static size_t zstd_window(const void *from, size_t len, char *to, size_t room, int window)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_inBuffer in = {from, len, 0};
    ZSTD_outBuffer out = {to, room, 0};
    assert_false(ZSTD_isError(ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush))); /* the size is not known ahead */
    while (ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) != 0)
        assert_true(out.pos < room);
    ZSTD_freeCCtx(c);
    return out.pos;
}

static size_t zstd(const void *from, size_t len, char *to, size_t room)
{
    return zstd_window(from, len, to, room, 17);
}

static const struct packer {
    const char *name;
    enum coding_kind kind;
    size_t (*pack)(const void *from, size_t len, char *to, size_t room);
} packers[] = {{"gzip", CODING_GZIP, gzip}, {"zstd", CODING_ZSTD, zstd}};

/* --- a body without a server --- */

struct fed {
    struct budget budget;
    struct body_pool pool;
    struct body body;
    struct head head;
};

static void fed_begin(struct fed *f, enum coding_kind kind, bool chunked, size_t length, uint64_t max)
{
    f->head = (struct head){.coding = kind, .chunked = chunked, .has_length = !chunked, .body_length = length};
    assert_int_equal(body_begin(&f->body, &f->pool, &f->head, max, 4096), BODY_MORE);
}

static void fed_init(struct fed *f, uint64_t budget)
{
    memset(f, 0, sizeof *f);
    f->budget.max = budget;
    body_pool_init(&f->pool, &f->budget);
}

static void fed_fini(struct fed *f)
{
    body_fini(&f->body, &f->pool);
    body_pool_fini(&f->pool);
    assert_int_equal(f->budget.used, 0);
    assert_int_equal(f->budget.used_small, 0);
}

static enum body_result feed(struct fed *f, const char *bytes, size_t len, size_t step)
{
    enum body_result result = BODY_MORE;
    for (size_t at = 0; at < len && result == BODY_MORE; at += step) {
        size_t size = len - at < step ? len - at : step;
        char *piece = malloc(size);
        memcpy(piece, bytes + at, size);
        struct slice in = slice_make(piece, size);
        result = body_feed(&f->body, &f->pool, &in);
        assert_true(result != BODY_MORE || in.len == 0);
        free(piece);
    }
    return result;
}

static char text[300000], packed[400000];

static void text_make(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = (char)('a' + (x >> 24) % 16);
    }
}

static void test_codings(void **unused)
{
    (void)unused;
    static const size_t steps[] = {1, 2, 3, 7, 100, 4096, SIZE_MAX / 2};
    struct fed f;
    fed_init(&f, 1 << 24);
    text_make();
    for (size_t k = 0; k < COUNT_OF(packers); k++) {
        size_t len = packers[k].pack(text, sizeof text, packed, sizeof packed);
        for (size_t s = 0; s < COUNT_OF(steps); s++) {
            fed_begin(&f, packers[k].kind, false, len, sizeof text);
            assert_int_equal(feed(&f, packed, len, steps[s]), BODY_WHOLE);
            assert_int_equal(f.body.len, sizeof text); /* exactly the maximum */
            assert_memory_equal(f.body.own, text, sizeof text);
            body_fini(&f.body, &f.pool);
        }
        fed_begin(&f, packers[k].kind, false, len, sizeof text - 1); /* the limit counts what comes out */
        assert_int_equal(feed(&f, packed, len, 5000), BODY_BAD);
        assert_int_equal(f.body.bad.status, 413);
        body_fini(&f.body, &f.pool);
    }
    fed_fini(&f);
}

/* Cut anywhere, something behind it, a byte changed: an error each time, never a wrong body. */
static void test_broken_codings(void **unused)
{
    (void)unused;
    char small[300];
    struct fed f;
    fed_init(&f, 1 << 24);
    for (size_t k = 0; k < COUNT_OF(packers); k++) {
        size_t len = packers[k].pack("hello, hello, hello", 19, small, sizeof small);
        for (size_t cut = 1; cut < len; cut++)
            for (size_t step = 4; step <= 1000; step += 996) {
                fed_begin(&f, packers[k].kind, false, cut, 1000);
                assert_int_equal(feed(&f, small, cut, step), BODY_BAD);
                assert_int_equal(f.body.bad.status, 400);
                body_fini(&f.body, &f.pool);
            }
        small[len] = 'x';
        fed_begin(&f, packers[k].kind, false, len + 1, 1000);
        assert_int_equal(feed(&f, small, len + 1, 1000), BODY_BAD);
        body_fini(&f.body, &f.pool);
        fed_begin(&f, packers[k].kind, false, len + 1, 1000);
        assert_int_equal(feed(&f, small, len + 1, 1), BODY_BAD);
        body_fini(&f.body, &f.pool);
        small[len - 1] = (char)(small[len - 1] ^ 1); /* of the length or checksum */
        fed_begin(&f, packers[k].kind, false, len, 1000);
        assert_int_equal(feed(&f, small, len, 1000), BODY_BAD);
        body_fini(&f.body, &f.pool);
    }
    fed_fini(&f);
}

/* In one piece room is made for what the body says comes out, and just that; where it lies, it is as if it had said
 * nothing. */
static void test_gzip_in_one_piece(void **unused)
{
    (void)unused;
    struct fed f;
    fed_init(&f, 1 << 24);
    text_make();
    size_t len = gzip(text, sizeof text, packed, sizeof packed);
    fed_begin(&f, CODING_GZIP, false, len, 1 << 22);
    assert_int_equal(feed(&f, packed, len, len), BODY_WHOLE);
    assert_int_equal(f.body.len, sizeof text);
    assert_memory_equal(f.body.own, text, sizeof text);
    assert_int_equal(f.body.room, sizeof text);
    body_fini(&f.body, &f.pool);
    fed_begin(&f, CODING_GZIP, false, len, sizeof text - 1); /* more than may come */
    assert_int_equal(feed(&f, packed, len, len), BODY_BAD);
    assert_int_equal(f.body.bad.status, 413);
    body_fini(&f.body, &f.pool);
    static const uint32_t lies[] = {0, 1, sizeof text - 1, sizeof text + 1, 1 << 22, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        for (int byte = 0; byte < 4; byte++)
            packed[len - 4 + (size_t)byte] = (char)(lies[i] >> 8 * byte);
        fed_begin(&f, CODING_GZIP, false, len, 1 << 22);
        assert_int_equal(feed(&f, packed, len, len), BODY_BAD);
        assert_int_equal(f.body.bad.status, 400);
        body_fini(&f.body, &f.pool);
    }
    fed_fini(&f);
}

/* A few bytes that say they become a million are not believed: deflate cannot do that. */
static void test_gzip_says_too_much(void **unused)
{
    (void)unused;
    char small[64];
    struct fed f;
    fed_init(&f, 1 << 24);
    size_t len = gzip("hello", 5, small, sizeof small);
    memcpy(small + len - 4, (const char[]){0, 0, 16, 0}, 4);
    fed_begin(&f, CODING_GZIP, false, len, 1 << 22);
    assert_int_equal(feed(&f, small, len, len), BODY_BAD);
    assert_int_equal(f.body.bad.status, 400);
    assert_true(f.body.room < 1 << 20);
    fed_fini(&f);
}

/* Checksums of the head are looked at, in one piece or many. */
static void test_gzip_head_sum(void **unused)
{
    (void)unused;
    char name[] = "rows.json", small[100];
    gz_header head = {.name = (Bytef *)name, .hcrc = 1};
    struct fed f;
    fed_init(&f, 1 << 24);
    size_t len = gzip_as("hello", 5, small, sizeof small, 9, &head);
    for (int broken = 0; broken < 2; broken++)
        for (size_t step = 1; step <= len; step++) {
            small[10] = broken ? 'x' : 'r';
            fed_begin(&f, CODING_GZIP, false, len, 1000);
            assert_int_equal(feed(&f, small, len, step), broken ? BODY_BAD : BODY_WHOLE);
            body_fini(&f.body, &f.pool);
        }
    fed_fini(&f);
}

static void test_members_in_a_row(void **unused)
{
    (void)unused;
    char small[300];
    struct fed f;
    fed_init(&f, 1 << 24);
    for (size_t k = 0; k < COUNT_OF(packers); k++) {
        size_t len = packers[k].pack("hello ", 6, small, sizeof small);
        len += packers[k].pack("", 0, small + len, sizeof small - len);
        len += packers[k].pack("worlds", 6, small + len, sizeof small - len); /* as long as the first */
        for (size_t step = 1; step <= len; step++) {
            fed_begin(&f, packers[k].kind, false, len, 1000);
            assert_int_equal(feed(&f, small, len, step), BODY_WHOLE);
            assert_int_equal(f.body.len, 12);
            assert_memory_equal(f.body.own, "hello worlds", 12);
            body_fini(&f.body, &f.pool);
        }
    }
    fed_fini(&f);
}

static void test_a_window_too_large(void **unused)
{
    (void)unused;
    struct fed f;
    fed_init(&f, 1 << 26);
    text_make();
    for (int window = ZSTD_WINDOW_LOG; window <= ZSTD_WINDOW_LOG + 1; window++) {
        size_t len = zstd_window(text, sizeof text, packed, sizeof packed, window);
        fed_begin(&f, CODING_ZSTD, false, len, sizeof text);
        assert_int_equal(feed(&f, packed, len, 1000), window == ZSTD_WINDOW_LOG ? BODY_WHOLE : BODY_BAD);
        body_fini(&f.body, &f.pool);
    }
    fed_fini(&f);
}

/* Input that never yields anything ends all the same: what comes is limited too. */
static void test_empty_members_without_end(void **unused)
{
    (void)unused;
    char empty[64], chunk[128];
    struct fed f;
    fed_init(&f, 1 << 24);
    size_t len = gzip("", 0, empty, sizeof empty);
    size_t size = (size_t)snprintf(chunk, sizeof chunk, "%zx\r\n", len);
    memcpy(chunk + size, empty, len);
    memcpy(chunk + size + len, "\r\n", 2);
    fed_begin(&f, CODING_GZIP, true, 0, 1000);
    enum body_result result = BODY_MORE;
    int fed = 0;
    for (; fed < 1000 && result == BODY_MORE; fed++)
        result = feed(&f, chunk, size + len + 2, 1000);
    assert_int_equal(result, BODY_BAD);
    assert_int_equal(f.body.bad.status, 413);
    fed_fini(&f);
}

static void test_no_room_in_the_budget(void **unused)
{
    (void)unused;
    struct fed f;
    struct charge blocker = {0};
    text_make();
    for (size_t k = 0; k < COUNT_OF(packers); k++) {
        size_t len = packers[k].pack(text, sizeof text, packed, sizeof packed);
        fed_init(&f, 1 << 22);
        assert_true(budget_take(&f.budget, &blocker, (1 << 22) * 3 / 4 - 200000, true));
        fed_begin(&f, packers[k].kind, false, len, sizeof text);
        struct slice in = slice_make(packed, len);
        assert_int_equal(body_feed(&f.body, &f.pool, &in), BODY_PAUSE);
        assert_int_equal(body_feed(&f.body, &f.pool, &in), BODY_PAUSE);
        budget_return(&f.budget, &blocker);
        assert_int_equal(body_feed(&f.body, &f.pool, &in), BODY_WHOLE); /* goes on where it was */
        assert_memory_equal(f.body.own, text, sizeof text);
        fed_fini(&f);
    }
}

static void test_budget(void **unused)
{
    (void)unused;
    struct budget budget = {.max = 400000};
    struct charge large = {0}, more = {0}, small = {0}, grows = {0};
    assert_true(budget_take(&budget, &large, 200000, true));
    assert_true(budget_take(&budget, &large, 300000, true));
    assert_true(budget_take(&budget, &large, 250000, true)); /* never less */
    assert_int_equal(large.bytes, 300000);
    assert_false(budget_take(&budget, &large, 300001, true)); /* three quarters are full */
    assert_false(budget_take(&budget, &more, 1, true));
    assert_true(budget_take(&budget, &small, 60000, false)); /* the last quarter is for small ones */
    assert_true(budget_take(&budget, &grows, 40000, false));
    assert_false(budget_take(&budget, &grows, 40001, false));
    assert_false(budget_take(&budget, &grows, 40000, true)); /* would become large */
    assert_int_equal(grows.large, false);
    assert_int_equal(budget.used, 400000);
    assert_int_equal(budget.used_small, 100000);
    budget_return(&budget, &large);
    assert_true(budget_take(&budget, &grows, 100000, true));
    assert_int_equal(budget.used_small, 60000);
    budget_return(&budget, &grows);
    budget_return(&budget, &small);
    assert_int_equal(budget.used, 0);
    assert_false(budget_fits(&budget, 300001));
    assert_true(budget_fits(&budget, 300000) && budget_fits(&budget, SMALL_BODY));
}

/* While one waits for room, nothing large begins; what was begun goes on, and so do small ones. */
static void test_claim(void **unused)
{
    (void)unused;
    struct budget budget = {.max = 400000};
    struct charge begun = {0}, fresh = {0}, small = {0}, claim = {0}, other = {0};
    assert_true(budget_take(&budget, &begun, 100000, true));
    assert_false(budget_claim(&budget, &claim, 250000));
    assert_int_equal(claim.bytes, 0);
    assert_false(budget_take(&budget, &fresh, 1000, true));
    assert_true(budget_take(&budget, &begun, 200000, true));
    assert_true(budget_take(&budget, &small, 1000, false));
    assert_true(budget_claim(&budget, &other, 70000)); /* one that fits is taken, and holds nobody up any more */
    assert_true(budget_take(&budget, &fresh, 1000, true));
    assert_false(budget_claim(&budget, &claim, 250000));
    budget_return(&budget, &begun);
    budget_return(&budget, &other);
    budget_return(&budget, &fresh);
    assert_true(budget_claim(&budget, &claim, 250000));
    assert_true(budget_claim(&budget, &claim, 260000)); /* as it grows */
    assert_true(budget_take(&budget, &fresh, 1000, true));
    assert_false(budget_claim(&budget, &other, 250000));
    budget.claim_ms = clock_ms() - 1; /* it never came back */
    budget_return(&budget, &fresh);
    assert_true(budget_take(&budget, &fresh, 1000, true));
    budget_return(&budget, &fresh);
    budget_return(&budget, &claim);
    budget_return(&budget, &small);
    assert_int_equal(budget.used, 0);
    assert_int_equal(budget.used_small, 0);
    assert_int_equal(budget.used_small, 0);
}

/* --- with a server --- */

static void post_coded(int fd, const char *coding, const void *bytes, size_t len, bool chunked)
{
    char head[200];
    snprintf(head, sizeof head, "POST /sum HTTP/1.1\r\nHost: h\r\nContent-Encoding: %s\r\n", coding);
    say(fd, head);
    snprintf(head, sizeof head, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n",
             len);
    say(fd, head);
    say_bytes(fd, bytes, len);
    if (chunked)
        say(fd, "\r\n0\r\n\r\n");
}

static void expect_sum(int fd, const void *bytes, size_t len)
{
    char sum[32];
    struct reply r;
    snprintf(sum, sizeof sum, "%llu", (unsigned long long)text_sum(slice_make(bytes, len)));
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, sum);
    reply_free(&r);
}

static void test_codings_over_the_wire(void **unused)
{
    (void)unused;
    struct bench b;
    bench_start(&b, &bench_limits, 1 << 24);
    text_make();
    int fd = dial(&b);
    for (int round = 0; round < 3; round++)
        for (size_t k = 0; k < COUNT_OF(packers); k++) {
            size_t len = packers[k].pack(text, sizeof text, packed, sizeof packed);
            post_coded(fd, packers[k].name, packed, len, round == 1);
            expect_sum(fd, text, sizeof text);
        }
    post_coded(fd, "identity", text, sizeof text, true);
    expect_sum(fd, text, sizeof text);
    post_coded(fd, "x-gzip", packed, gzip("a", 1, packed, sizeof packed), false);
    expect_sum(fd, "a", 1);
    say(fd, "POST /length HTTP/1.1\r\nHost: h\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(hear(fd), 200); /* nothing is nothing in any coding */
    post_coded(fd, "br", "abc", 3, false);
    struct reply r;
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 415);
    assert_non_null(strstr(r.head, "Accept-Encoding: gzip, zstd\r\n"));
    reply_free(&r);
    hear_end(fd);
    close(fd);
    fd = dial(&b);
    post_coded(fd, "gzip", "not gzip", 8, false);
    assert_int_equal(hear(fd), 400);
    hear_end(fd);
    close(fd);
    bench_stop(&b);
}

static void test_bodies_of_all_sizes(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {0,     1,     100,   4000,   65535,  65536,  65537, 69000,
                                   69632, 69633, 70000, 100000, 131072, 200000, 299999};
    struct bench b;
    bench_start(&b, &bench_limits, 1 << 24);
    text_make();
    int fd = dial(&b);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            char head[200];
            snprintf(head, sizeof head, "POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
            say(fd, head);
            say_bytes(fd, text, sizes[i]);
            if (round == 0) /* the next one comes ahead, behind the body */
                say(fd, GET("/none"));
            expect_sum(fd, text, sizes[i]);
            struct reply r = {0};
            if (round == 0)
                hear_one(fd, true, &r);
            reply_free(&r);
        }
    close(fd);
    bench_stop(&b);
}

/* Packed bodies that just fit the input buffer, and just do not, one behind the other. */
static void test_gzip_of_all_sizes(void **unused)
{
    (void)unused;
    struct bench b;
    bench_start(&b, &bench_limits, 1 << 24);
    text_make();
    int fd = dial(&b);
    const size_t cap = bench_limits.max_header + READ_AHEAD;
    for (size_t len = cap - 200; len < cap; len++) {
        size_t size = gzip_as(text, len, packed, sizeof packed, 0, NULL);
        post_coded(fd, "gzip", packed, size, false);
        if (len % 2 == 0) /* the next one comes ahead, behind the body */
            say(fd, GET("/none"));
        expect_sum(fd, text, len);
        struct reply r = {0};
        if (len % 2 == 0)
            hear_one(fd, true, &r);
        reply_free(&r);
    }
    close(fd);
    bench_stop(&b);
}

static uint64_t wait_used(struct bench *b, uint64_t least)
{
    for (int i = 0; i < GUARD_MS && b->budget.used < least; i++)
        poll(NULL, 0, 1);
    return b->budget.used;
}

/* A client that sends on a thread of its own, because the server may stop reading. */
struct poster {
    int fd;
    size_t length, sent;
    const char *path;
    pthread_t thread;
};

static void *post_run(void *arg)
{
    const struct poster *p = arg;
    char head[200];
    int len =
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", p->path, p->length);
    say_bytes(p->fd, head, (size_t)len);
    ssize_t n = 1;
    for (size_t at = 0; n > 0 && at < p->sent; at += (size_t)n)
        n = send(p->fd, text + at, p->sent - at, MSG_NOSIGNAL); /* may be cut short by an answer */
    return NULL;
}

static void post_start(struct poster *p, struct bench *b, const char *path, size_t length, size_t sent)
{
    *p = (struct poster){.fd = dial(b), .length = length, .sent = sent, .path = path};
    pthread_create(&p->thread, NULL, post_run, p);
}

static void post_end(struct poster *p)
{
    pthread_join(p->thread, NULL);
    close(p->fd);
}

/* A body that finds no room waits until another is answered. */
static void test_waiting_for_room(void **unused)
{
    (void)unused;
    struct bench b;
    struct poster first, second, small;
    bench_start(&b, &bench_limits, 400000);
    text_make();
    post_start(&first, &b, "/hold", 290000, 290000);
    wait_sem(&b.event);
    post_start(&second, &b, "/sum", 200000, 200000);
    wait_used(&b, 290001);
    post_start(&small, &b, "/sum", 30000, 30000); /* a quarter is kept for those */
    expect_sum(small.fd, text, 30000);
    assert_true(b.budget.used <= 400000);
    bench_release(&b);
    assert_int_equal(hear(first.fd), 200);
    expect_sum(second.fd, text, 200000);
    post_end(&first);
    post_end(&second);
    post_end(&small);
    bench_stop(&b);
}

static void test_no_room_in_time(void **unused)
{
    (void)unused;
    struct bench b;
    struct poster first, second;
    bench_start(&b, &bench_limits, 400000);
    text_make();
    post_start(&first, &b, "/hold", 290000, 290000);
    wait_sem(&b.event);
    post_start(&second, &b, "/sum", 200000, 150000);
    int coded = dial(&b);
    post_coded(coded, "gzip", packed, gzip(text, sizeof text, packed, sizeof packed), false);
    wait_heard(&b, (struct heard){.paused = 2});
    bent_clock_ms += bench_limits.body_timeout_ms;
    struct reply r;
    hear_one(second.fd, false, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.head, "Retry-After: "));
    assert_non_null(strstr(r.body, "/problems/memory"));
    reply_free(&r);
    hear_one(coded, false, &r);
    assert_int_equal(r.status, 503);
    reply_free(&r);
    post_end(&second);
    close(coded);
    bench_release(&b);
    assert_int_equal(hear(first.fd), 200);
    post_end(&first);
    bench_stop(&b);
}

/* Nothing is set aside for a length that was only declared. */
static void test_declared_is_not_taken(void **unused)
{
    (void)unused;
    enum { MANY = 20 };
    struct bench b;
    struct poster many[MANY], one;
    bench_start(&b, &bench_limits, 400000);
    for (int i = 0; i < MANY; i++)
        post_start(&many[i], &b, "/length", 1 << 20, 10);
    assert_int_equal(wait_used(&b, 10 * MANY), 10 * MANY);
    post_start(&one, &b, "/sum", 200000, 200000);
    expect_sum(one.fd, text, 200000);
    post_end(&one);
    for (int i = 0; i < MANY; i++)
        post_end(&many[i]);
    bench_stop(&b);
}

static void job_charge(struct bench *b, void *arg)
{
    bool *ok = arg;
    struct http_request *r = b->held[0];
    ok[0] = http_charge(r, 200000);
    ok[1] = http_charge(r, 500000);
    ok[2] = b->budget.used == 200005;
    http_body_done(r);
    ok[3] = b->budget.used == 0 && r->body.len == 0;
}

static void test_routes_pay_too(void **unused)
{
    (void)unused;
    struct bench b;
    bool ok[4];
    bench_start(&b, &bench_limits, 400000);
    int fd = dial(&b);
    say(fd, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET("/echo"));
    wait_sem(&b.event);
    on_loop(&b, job_charge, ok);
    assert_true(ok[0] && !ok[1] && ok[2] && ok[3]);
    bench_release(&b);
    assert_int_equal(hear(fd), 200);
    assert_int_equal(hear(fd), 200); /* the next one on the connection is whole */
    close(fd);
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_broken_codings),
        cmocka_unit_test(test_gzip_in_one_piece),
        cmocka_unit_test(test_gzip_says_too_much),
        cmocka_unit_test(test_gzip_head_sum),
        cmocka_unit_test(test_members_in_a_row),
        cmocka_unit_test(test_a_window_too_large),
        cmocka_unit_test(test_empty_members_without_end),
        cmocka_unit_test(test_no_room_in_the_budget),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_codings_over_the_wire),
        cmocka_unit_test(test_bodies_of_all_sizes),
        cmocka_unit_test(test_gzip_of_all_sizes),
        cmocka_unit_test(test_waiting_for_room),
        cmocka_unit_test(test_no_room_in_time),
        cmocka_unit_test(test_declared_is_not_taken),
        cmocka_unit_test(test_routes_pay_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
