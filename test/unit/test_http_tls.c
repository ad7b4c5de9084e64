/* The tests of test_http_server.c again, each connection through TLS; and what only TLS has: handshakes that do not
 * happen, certificates that change and certificates of clients.
 *
 * A client of those tests has one end of a pair of sockets; a thread takes what it sends through TLS to the server and
 * back, ends included. */
#define main server_main
#include "test_http_server.c"
#undef main

#include "certs.h"
#include "http/tls.h"
#include "scratch.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static char *folder;
static SSL_CTX *client_context;

/* --- the tunnel --- */

struct tunnel {
    int wire, end;
    SSL *ssl;
};

static bool send_all(int fd, const char *bytes, ssize_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, (size_t)len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= n;
    }
    return true;
}

/* From the client to the server; false when it sends no more. */
static bool outward(struct tunnel *t)
{
    char bytes[20000];
    ssize_t n = recv(t->end, bytes, sizeof bytes, 0);
    if (n > 0)
        return SSL_write(t->ssl, bytes, (int)n) == (int)n;
    SSL_shutdown(t->ssl);
    shutdown(t->wire, SHUT_WR);
    return false;
}

/* Back; false when the server has ended. */
static bool inward(struct tunnel *t)
{
    char bytes[20000];
    do {
        int n = SSL_read(t->ssl, bytes, sizeof bytes);
        if (n <= 0 && SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ)
            return true; /* a ticket, not data */
        if (n <= 0 || !send_all(t->end, bytes, n)) {
            shutdown(t->end, SHUT_WR);
            return false;
        }
    } while (SSL_pending(t->ssl) > 0);
    return true;
}

static void *tunnel_run(void *arg)
{
    struct tunnel *t = arg;
    bool out = true, in = SSL_connect(t->ssl) == 1;
    while (in) {
        struct pollfd fds[2] = {{.fd = t->wire, .events = POLLIN}, {.fd = out ? t->end : -1, .events = POLLIN}};
        if (poll(fds, 2, GUARD_MS) <= 0)
            break;
        if (fds[0].revents != 0)
            in = inward(t);
        if (in && fds[1].revents != 0)
            out = outward(t);
    }
    close(t->end);
    SSL_free(t->ssl);
    close(t->wire);
    free(t);
    return NULL;
}

static int tunnel(int fd)
{
    int pair[2];
    struct tunnel *t = calloc(1, sizeof *t);
    pthread_t thread;
    pthread_attr_t attr;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *t = (struct tunnel){.wire = fd, .end = pair[1], .ssl = SSL_new(client_context)};
    SSL_set_fd(t->ssl, fd);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    assert_int_equal(pthread_create(&thread, &attr, tunnel_run, t), 0);
    pthread_attr_destroy(&attr);
    return pair[0];
}

/* --- set-up --- */

static const char *file(const char *name)
{
    return scratch_path(folder, name);
}

static struct tls *open_tls(const char *client_ca, bool required)
{
    struct tls *t = NULL;
    struct err e = {.text = ""};
    const struct tls_options options = {.certificate = file("server.pem"),
                                        .key = file("server.key"),
                                        .client_ca = client_ca,
                                        .client_required = required};
    if (tls_open(&t, &options, &e) != ERR_OK)
        fail_msg("%s", e.text);
    return t;
}

static SSL_CTX *client_new(const char *cert)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);
    assert_int_equal(SSL_CTX_load_verify_file(c, file("ca.pem")), 1);
    if (cert != NULL) {
        char pem[64], key[64];
        snprintf(pem, sizeof pem, "%s.pem", cert);
        snprintf(key, sizeof key, "%s.key", cert);
        assert_int_equal(SSL_CTX_use_certificate_file(c, file(pem), SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c, file(key), SSL_FILETYPE_PEM), 1);
    }
    return c;
}

static int whole_start(void **state)
{
    (void)state;
    folder = scratch_make();
    cert_make(folder, "ca", "an authority", NULL, NULL, 10);
    cert_make(folder, "other", "another authority", NULL, NULL, 10);
    cert_make(folder, "server", "localhost", "IP:127.0.0.1", "ca", 10);
    cert_make(folder, "client", "a client", "DNS:client.example", "ca", 10);
    cert_make(folder, "foreign", "a client", NULL, "other", 10);
    cert_make(folder, "late", "a client", NULL, "ca", 0);
    client_context = client_new(NULL);
    bench_tls = open_tls(NULL, false);
    bench_wrap = tunnel;
    return 0;
}

static int whole_stop(void **state)
{
    (void)state;
    tls_close(&bench_tls);
    SSL_CTX_free(client_context);
    scratch_remove(&folder);
    return 0;
}

static int version(void **state, int least, int most)
{
    (void)state;
    SSL_CTX_set_min_proto_version(client_context, least);
    SSL_CTX_set_max_proto_version(client_context, most);
    return start(state);
}

static int start_12(void **state)
{
    return version(state, TLS1_2_VERSION, TLS1_2_VERSION);
}

static int start_13(void **state)
{
    return version(state, TLS1_3_VERSION, TLS1_3_VERSION);
}

/* --- handshakes --- */

static int dial_plain(struct bench *bench)
{
    bench_wrap = NULL;
    int fd = dial(bench);
    bench_wrap = tunnel;
    return fd;
}

static void job_time(struct bench *bench, void *arg)
{
    (void)bench;
    bent_clock_ms += *(int64_t *)arg;
}

static void test_no_handshake_in_time(void **state)
{
    (void)state;
    int64_t more = 61000;
    int silent = dial_plain(&b), half = dial_plain(&b);
    say_bytes(half, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11); /* the beginning of a ClientHello */
    settle(&b);
    on_loop(&b, job_time, &more);
    hear_end(silent);
    hear_end(half);
    close(silent);
    close(half);
}

static void test_no_tls_at_all(void **state)
{
    (void)state;
    struct reply r;
    int fd = dial_plain(&b);
    say(fd, GET("/echo"));
    hear_one(fd, false, &r);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "https://"));
    reply_free(&r);
    hear_end(fd);
    close(fd);
    static const char *const rubbish[] = {"\r\n",          "\x16\x03\x01\xff\xff",         "\x80\x2e\x01\x03\x00",
                                          "SSH-2.0-x\r\n", "\x15\x03\x03\x00\x02\x02\x28", "\x17\x03\x03\x00\x01x"};
    for (size_t i = 0; i < COUNT_OF(rubbish); i++) {
        char c[100];
        fd = dial_plain(&b);
        say(fd, rubbish[i]);
        shutdown(fd, SHUT_WR);
        while (recv(fd, c, sizeof c, 0) > 0) /* an alert, perhaps; then the end */
            ;
        close(fd);
    }
    assert_int_equal(b.answered, 0); /* none of it came through */
}

/* Every prefix of what a client sends, and then nothing more. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    SSL *ssl = SSL_new(client_context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    char *hello;
    SSL_set_bio(ssl, in, out);
    assert_int_equal(SSL_connect(ssl), -1);
    long len = BIO_get_mem_data(out, &hello);
    for (long cut = 0; cut < len; cut += 7) {
        char c[4000];
        int fd = dial_plain(&b);
        say_bytes(fd, hello, (size_t)cut);
        shutdown(fd, SHUT_WR);
        while (recv(fd, c, sizeof c, 0) > 0)
            ;
        close(fd);
    }
    SSL_free(ssl);
}

static void old_version(int newest)
{
    int fd = dial_plain(&b);
    SSL_CTX *old = client_new(NULL);
    SSL_CTX_set_security_level(old, 0);
    SSL_CTX_set_min_proto_version(old, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(old, newest);
    SSL *ssl = SSL_new(old);
    SSL_set_fd(ssl, fd);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(old);
    close(fd);
}

static void test_old_versions(void **state)
{
    (void)state;
    old_version(TLS1_VERSION);
    old_version(TLS1_1_VERSION);
}

static void test_another_protocol(void **state)
{
    (void)state;
    int fd = dial_plain(&b);
    SSL *ssl = SSL_new(client_context);
    SSL_set_fd(ssl, fd);
    SSL_set_alpn_protos(ssl, (const unsigned char *)"\x04imap", 5);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    close(fd);
    fd = dial_plain(&b);
    ssl = SSL_new(client_context);
    SSL_set_fd(ssl, fd);
    SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    assert_int_equal(SSL_connect(ssl), 1);
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    assert_int_equal(len, 8);
    SSL_free(ssl);
    close(fd);
}

/* Reset before the answer, in the middle of one, and with an idle connection. */
static void test_gone(void **state)
{
    (void)state;
    static const char *const requests[] = {GET("/hold"), "GET /big?n=31457280 HTTP/1.1\r\nHost: h\r\n\r\n", ""};
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        int fd = dial_plain(&b), gone = b.gone;
        SSL *ssl = SSL_new(client_context);
        SSL_set_fd(ssl, fd);
        assert_int_equal(SSL_connect(ssl), 1);
        if (requests[i][0] != '\0')
            assert_true(SSL_write(ssl, requests[i], (int)strlen(requests[i])) > 0);
        if (i == 0)
            wait_sem(&b.event);
        char c;
        if (i == 1)
            while (SSL_read(ssl, &c, 1) != 1)
                ;
        reset(fd);
        if (i == 0) {
            wait_sem(&b.event);
            assert_int_equal(b.gone, gone + 1);
            bench_release(&b);
        }
        SSL_free(ssl);
    }
}

/* --- files that change --- */

static void copy(const char *from, const char *to)
{
    size_t len;
    char *bytes = scratch_read(file(from), &len);
    char path[512];
    snprintf(path, sizeof path, "%s", file(to));
    remove(path);
    scratch_write(path, bytes, len);
    free(bytes);
}

/* The serial number that the server shows now, on a new connection. */
static long shown(void)
{
    int fd = dial_plain(&b);
    SSL *ssl = SSL_new(client_context);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    long serial = ASN1_INTEGER_get(X509_get_serialNumber(certificate));
    X509_free(certificate);
    SSL_free(ssl);
    close(fd);
    return serial;
}

static void test_a_new_certificate(void **state)
{
    (void)state;
    bool changed;
    struct err e;
    int fd = dial(&b);
    say(fd, GET("/echo"));
    assert_int_equal(hear(fd), 200);
    long before = shown();
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_OK);
    assert_false(changed);
    copy("server.pem", "keep.pem");
    copy("server.key", "keep.key");
    cert_make(folder, "server", "localhost", "IP:127.0.0.1", "ca", 20);
    copy("server.pem", "next.pem");
    copy("keep.pem", "server.pem"); /* the key has been replaced, the certificate not yet */
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "server.key"));
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_OK); /* told once */
    assert_int_equal(shown(), before);
    copy("next.pem", "server.pem");
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_OK);
    assert_true(changed);
    assert_int_not_equal(shown(), before);
    assert_true(tls_expires_s(bench_tls) > clock_wall_us() / 1000000 + 15 * 86400);
    say(fd, GET("/echo")); /* the old connection goes on */
    assert_int_equal(hear(fd), 200);
    close(fd);
    scratch_write(file("server.pem"), "rubbish", 7);
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_CONFIG);
    assert_int_not_equal(shown(), before);
    copy("keep.pem", "server.pem");
    copy("keep.key", "server.key");
    assert_int_equal(tls_look(bench_tls, &changed, &e), ERR_OK);
    assert_int_equal(shown(), before);
}

static void test_files_that_do_not_do(void **state)
{
    (void)state;
    struct tls *t = NULL;
    struct err e;
    const struct tls_options good = {.certificate = file("server.pem"), .key = file("server.key")};
    struct tls_options o = good;
    o.certificate = file("none.pem");
    assert_int_equal(tls_open(&t, &o, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "none.pem"));
    o = good;
    o.key = file("client.key");
    assert_int_equal(tls_open(&t, &o, &e), ERR_CONFIG);
    o = good;
    o.client_ca = file("server.key");
    assert_int_equal(tls_open(&t, &o, &e), ERR_CONFIG);
    assert_null(t);
}

/* --- certificates of clients --- */

static void peer_of(struct bench *bench, void *arg)
{
    char *out = arg;
    const X509 *certificate = http_certificate(bench->held[bench->held_count - 1]);
    out[0] = '\0';
    if (certificate != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, out, 100);
}

/* What the server sees of a client with this certificate; -1 when it is not let in. */
static int seen_as(struct bench *own, const char *cert, char cn[100])
{
    SSL_CTX *before = client_context;
    client_context = client_new(cert);
    int fd = dial(own), status = -1;
    send_all(fd, GET("/hold"), (ssize_t)strlen(GET("/hold")));
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += cn == NULL ? 0 : GUARD_MS / 1000;
    if (cn == NULL) { /* the tunnel ends without an answer */
        hear_end(fd);
    } else {
        assert_int_equal(sem_timedwait(&own->event, &until), 0);
        on_loop(own, peer_of, cn);
        bench_release(own);
        status = hear(fd);
    }
    close(fd);
    SSL_CTX_free(client_context);
    client_context = before;
    return status;
}

static void test_clients(void **state)
{
    (void)state;
    char cn[100];
    struct bench own;
    struct tls *before = bench_tls;
    for (int required = 0; required < 2; required++) {
        bench_tls = open_tls(file("ca.pem"), required == 1);
        bench_start(&own, &bench_limits, 1 << 20);
        assert_int_equal(seen_as(&own, "client", cn), 200);
        assert_string_equal(cn, "a client");
        assert_int_equal(seen_as(&own, "foreign", NULL), -1);
        assert_int_equal(seen_as(&own, "late", NULL), -1);
        if (required == 1) {
            assert_int_equal(seen_as(&own, NULL, NULL), -1);
        } else {
            assert_int_equal(seen_as(&own, NULL, cn), 200);
            assert_string_equal(cn, "");
        }
        bench_stop(&own);
        tls_close(&bench_tls);
    }
    bench_tls = before;
    bench_start(&own, &bench_limits, 1 << 20); /* nobody was asked for one */
    assert_int_equal(seen_as(&own, "client", cn), 200);
    assert_string_equal(cn, "");
    bench_stop(&own);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest common[] = {
        TEST(test_keep_alive),       TEST(test_http10),
        TEST(test_head_has_no_body), TEST(test_problem),
        TEST(test_every_byte_alone), TEST(test_two_pieces_everywhere),
        TEST(test_pipelining),       TEST(test_expect),
        TEST(test_refused_head),     TEST(test_garbage),
        TEST(test_half_closed),      TEST(test_answers_in_pieces),
        TEST(test_big_answer),       TEST(test_close_with_a_request_out),
    };
    const struct CMUnitTest own[] = {
        TEST(test_no_tls_at_all),        TEST(test_gone),
        TEST(test_cut_everywhere),       TEST(test_old_versions),
        TEST(test_another_protocol),     TEST(test_a_new_certificate),
        TEST(test_files_that_do_not_do), TEST(test_clients),
        TEST(test_no_handshake_in_time),
    };
    whole_start(NULL);
    int failed = cmocka_run_group_tests_name("TLS 1.2", common, start_12, stop) +
                 cmocka_run_group_tests_name("TLS 1.3", common, start_13, stop);
    SSL_CTX_set_min_proto_version(client_context, 0);
    SSL_CTX_set_max_proto_version(client_context, 0);
    failed += cmocka_run_group_tests_name("TLS", own, start, stop);
    whole_stop(NULL);
    return failed;
}
