/* The daemon's settings: layers, names, faults, rules between settings, what is shown and what is generated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/address.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One load: a file's text (NULL: an empty file), variables and flags. */
struct loaded {
    struct conf *conf;
    struct buf faults, notices;
    int code;
    char path[64];
};

static void write_file(char path[64], const char *text)
{
    snprintf(path, 64, "/tmp/test_conf.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void load(struct loaded *l, const char *file, const char *const *environment, const char *const *flags)
{
    static const char *const nothing[] = {NULL};
    *l = (struct loaded){.conf = NULL};
    buf_init(&l->faults, 64 * 1024);
    buf_init(&l->notices, 64 * 1024);
    write_file(l->path, file == NULL ? "" : file);
    struct conf_input input = {.file = l->path,
                               .flags = flags,
                               .environment = (char *const *)(uintptr_t)(environment == NULL ? nothing : environment)};
    l->code = conf_load(&input, &l->conf, &l->faults, &l->notices);
    unlink(l->path);
    assert_int_equal(l->code != ERR_OK, l->conf == NULL);
    assert_int_equal(l->code != ERR_OK, l->faults.len > 0);
}

static void done(struct loaded *l)
{
    conf_free(&l->conf);
    conf_free(&l->conf); /* does no harm */
    buf_free(&l->faults);
    buf_free(&l->notices);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static size_t lines_in(struct buf *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->len; i++)
        count += b->ptr[i] == '\n';
    return count;
}

static bool line_of(const struct conf *c, const char *key, struct conf_line *out)
{
    for (size_t at = 0; conf_next(c, &at, out);)
        if (strcmp(out->key, key) == 0)
            return true;
    return false;
}

static void expect(const struct conf *c, const char *key, const char *value, const char *origin)
{
    struct conf_line line;
    assert_true(line_of(c, key, &line));
    assert_string_equal(line.value, value);
    assert_string_equal(line.origin, origin);
}

static void test_defaults(void **state)
{
    struct loaded l;
    (void)state;
    load(&l, NULL, NULL, NULL);
    assert_int_equal(l.code, ERR_OK);
    const struct settings *s = conf_settings(l.conf);
    assert_string_equal(s->http_listen[0], "127.0.0.1:8080");
    assert_null(s->http_listen[1]);
    assert_string_equal(s->admin_listen[0], "127.0.0.1:8081");
    assert_null(s->probes_listen[0]);
    assert_null(s->admin_hosts[0]);
    assert_int_equal(s->http_threads, 1);
    assert_int_equal(s->http_socket_mode, 0660);
    assert_null(s->http_socket_group);
    assert_int_equal(s->http_auth, AUTH_UNSET);
    assert_string_equal(s->data_dir, "/var/lib/headgate");
    assert_string_equal(s->plugins_dir[0], HG_PREFIX "/lib/headgate/plugins");
    assert_true(s->plugins_watch && !s->plugins_strict && !s->plugins_none);
    assert_int_equal(s->http_max_body, 16 << 20);
    assert_int_equal(s->http_max_rows, 100000);
    assert_int_equal(s->http_max_header, 16 << 10);
    assert_int_equal(s->http_max_connections, 1024);
    assert_true(s->http_max_memory >= 1 << 20 && s->http_max_memory <= 128 << 20);
    assert_int_equal(s->http_header_timeout, 10000);
    assert_int_equal(s->http_body_timeout, 30000);
    assert_int_equal(s->http_idle_timeout, 75000);
    assert_int_equal(s->rows_keys, ROWS_KEYS_CAMEL);
    assert_int_equal(s->rows_max_depth, 32);
    assert_int_equal(s->journal_durability, DURABLE_FSYNC);
    assert_int_equal(s->journal_segment, 64 << 20);
    assert_int_equal(s->journal_max_bytes, 0);
    assert_int_equal(s->journal_max_bytes_percent, 0);
    assert_int_equal(s->journal_min_free, 256 << 20);
    assert_int_equal(s->journal_keep, 86400000);
    assert_int_equal(s->journal_keep_bytes, 1 << 30);
    assert_int_equal(s->dead_max_bytes, 1 << 30);
    assert_int_equal(s->park_max_bytes, 256 << 20);
    assert_int_equal(s->stop_keep_taking, 0);
    assert_int_equal(s->stop_timeout, 20000);
    assert_int_equal(s->log_level, LOG_LEVEL_INFO);
    assert_int_equal(s->log_format, LOG_FORMAT_AUTO);
    expect(l.conf, "http.listen", "127.0.0.1:8080", "default");
    expect(l.conf, "journal.max_bytes", "auto", "default");
    expect(l.conf, "http.auth", "", "default");
    done(&l);
}

static void test_layers(void **state)
{
    struct loaded l;
    char origin[128];
    (void)state;
    load(&l,
         "[http]\nmax_body = 1MiB\nmax_rows = 10\nmax_header = 2KiB\nthreads = 3\n"
         "[log]\nlevel = debug\n",
         LIST("HEADGATE_HTTP_MAX_ROWS=20", "HEADGATE_HTTP_MAX_HEADER=3KiB", "HEADGATE_HTTP_THREADS=", "PATH=/bin",
              "HEADGATE=x", "headgate_http_threads=4"),
         LIST("http.max_header=4KiB", "log.level="));
    assert_int_equal(l.code, ERR_OK);
    expect(l.conf, "http.max_header", "4KiB", "flag");
    expect(l.conf, "http.max_rows", "20", "environment HEADGATE_HTTP_MAX_ROWS");
    snprintf(origin, sizeof origin, "file %s:2", l.path);
    expect(l.conf, "http.max_body", "1MiB", origin);
    snprintf(origin, sizeof origin, "file %s:5", l.path); /* empty means unset: the file stays */
    expect(l.conf, "http.threads", "3", origin);
    snprintf(origin, sizeof origin, "file %s:7", l.path);
    expect(l.conf, "log.level", "debug", origin);
    assert_int_equal(conf_settings(l.conf)->log_level, LOG_LEVEL_DEBUG);
    done(&l);
}

/* Values that are written in several ways, or into two members. */
static void test_kinds(void **state)
{
    static const struct {
        const char *flag, *key, *shown;
    } samples[] = {
        {"http.listen=127.0.0.1:80 ,unix:/run/a b.sock,[::1]:0", "http.listen",
         "127.0.0.1:80, unix:/run/a b.sock, [::1]:0"},
        {"plugins.dir=/a: /b c ", "plugins.dir", "/a:/b c"},
        {"admin.hosts=a.example,b:8081", "admin.hosts", "a.example, b:8081"},
        {"http.socket_mode=600", "http.socket_mode", "0600"},
        {"http.socket_group=headgate", "http.socket_group", "headgate"},
        {"http.auth=none", "http.auth", "none"},
        {"admin.auth=keys ,none", "admin.auth", "none, keys"},
        {"http.max_body=1024KiB", "http.max_body", "1MiB"},
        {"http.max_memory=64MiB", "http.max_memory", "64MiB"},
        {"http.idle_timeout=3600s", "http.idle_timeout", "1h"},
        {"plugins.strict=1", "plugins.strict", "yes"},
        {"rows.keys=any", "rows.keys", "any"},
        {"journal.durability=interval:1s", "journal.durability", "interval:1s"},
        {"journal.durability=none", "journal.durability", "none"},
        {"journal.max_bytes=80%", "journal.max_bytes", "80%"},
        {"journal.max_bytes=5GiB", "journal.max_bytes", "5GiB"},
        {"journal.max_bytes=auto", "journal.max_bytes", "auto"},
        {"journal.min_free=0", "journal.min_free", "0"},
        {"journal.keep=7d", "journal.keep", "168h"},
        {"stop.keep_taking=5s", "stop.keep_taking", "5s"},
        {"log.format=json", "log.format", "json"},
    };
    struct loaded l;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        load(&l, NULL, NULL, LIST(samples[i].flag));
        if (l.code != ERR_OK)
            fail_msg("%s: %s", samples[i].flag, buf_str(&l.faults));
        expect(l.conf, samples[i].key, samples[i].shown, "flag");
        done(&l);
    }
    load(&l, NULL, NULL, LIST("journal.max_bytes=80%", "journal.durability=interval:250ms"));
    assert_int_equal(conf_settings(l.conf)->journal_max_bytes_percent, 80);
    assert_int_equal(conf_settings(l.conf)->journal_max_bytes, 0);
    assert_int_equal(conf_settings(l.conf)->journal_durability, DURABLE_INTERVAL);
    assert_int_equal(conf_settings(l.conf)->journal_durability_ms, 250);
    done(&l);
}

/* One bad flag, and words of its one fault. */
static void test_faults(void **state)
{
    static const struct {
        const char *flag, *words;
    } samples[] = {
        {"http.lisen=x", "flag: there is no setting http.lisen; did you mean http.listen?"},
        {"quite.another=x", "flag: there is no setting quite.another\n"},
        {"http.listen", "flag http.listen: write section.key=value"},
        {"http.listen=8080", "http.listen: \"8080\" is not an address"},
        {"http.listen=127.0.0.1:80,,[::1]:80", "an item of the list is empty"},
        {"http.listen=127.0.0.1:80,", "an item of the list is empty"},
        {"http.threads=0", "\"0\" is too small: it must be at least 1"},
        {"http.threads=65", "\"65\" is too large: it must be at most 64"},
        {"http.threads=two", "is not a whole number"},
        {"http.threads=\"2\"", "quotes would be part of the value"},
        {"data.dir='/data'", "quotes would be part of the value"},
        {"data.dir=/data\n/x", "there is a control character"},
        {"http.socket_mode=0888", "is not an access mode"},
        {"http.socket_mode=4755", "is not an access mode"},
        {"http.auth=nobody", "\"nobody\" is not one of none, keys, oidc, mtls"},
        {"http.auth=keys,nobody", "\"nobody\" is not one of none, keys, oidc, mtls"},
        {"http.auth=keys,", "an item of the list is empty"},
        {"http.auth=,keys", "\"\" is not one of none, keys, oidc, mtls"},
        {"http.max_body=16", "\"16\" has no unit"},
        {"http.max_body=16MB", "\"MB\" is no unit"},
        {"http.max_body=0", "\"0\" is too small"},
        {"http.max_memory=0", "or write `auto`"},
        {"http.max_memory=80%", "a size is written as in"},
        {"http.header_timeout=10", "\"10\" has no unit"},
        {"http.header_timeout=2h", "at most 1h"},
        {"plugins.watch=on", "is neither yes nor no"},
        {"rows.keys=snake", "is not one of camel, any"},
        {"rows.max_depth=1001", "at most 1000"},
        {"journal.durability=interval", "is not one of fsync, interval:100ms, none"},
        {"journal.durability=interval:100", "\"100\" has no unit"},
        {"journal.durability=interval:0", "at least 1ms"},
        {"journal.durability=interval:1h", "at most 10s"},
        {"journal.max_bytes=0%", "leaves no space at all"},
        {"journal.max_bytes=120%", "is more than 100%"},
        {"journal.max_bytes=0", "or write `auto`"},
        {"journal.max_bytes=100MiB", "at least two segments of journal.segment (64MiB)"},
        {"journal.segment=65KiB", "multiple of 4KiB"},
        {"log.level=trace", "is not one of error, warn, info, debug"},
        {"http.listen=0.0.0.0:8080",
         "0.0.0.0:8080 can be reached from other machines, but http.auth is not written out"},
        {"http.listen=127.0.0.1:1,[::]:8080", "[::]:8080 can be reached"},
        {"admin.listen=gateway:8081", "gateway:8081 can be reached from other machines, but admin.auth is not"},
        {"admin.listen=127.0.0.1:8080", "127.0.0.1:8080 is also in admin.listen"},
        {"http.listen=127.0.0.1:80,127.0.0.1:80", "127.0.0.1:80 is also in http.listen"},
        {"probes.listen=127.0.0.1:8081", "127.0.0.1:8081 is also in probes.listen"},
        {"tls.certificate=/x", "tls.certificate and tls.key belong together"},
        {"tls.client_roles=/x", "mean nothing without tls.certificate"},
        {"tls.client_required=yes", "name those who sign"},
        {"admin.auth=mtls", "admin.auth: `mtls` needs admin.tls = yes, tls.certificate"},
        {"http.auth=oidc", "needs oidc.issuer and oidc.audience"},
        {"oidc.issuer=http://id.example", "oidc.issuer: write an https address"},
        {"oidc.issuer=http://127.0.0.1.example/x", "oidc.issuer: write an https address"},
        {"oidc.jwks_url=ftp://x", "oidc.jwks_url: write an https address"},
        {"oidc.algorithms=RS256,none", "oidc.algorithms: \"none\" is not one of RS256"},
        {"tls.minimum=1.1", "is not one of 1.2, 1.3"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct loaded l;
        load(&l, NULL, NULL, LIST(samples[i].flag));
        if (l.code != ERR_CONFIG || lines_in(&l.faults) != 1 || strstr(buf_str(&l.faults), samples[i].words) == NULL)
            fail_msg("%s: %s", samples[i].flag, buf_str(&l.faults));
        done(&l);
    }
}

static void test_reach(void **state)
{
    struct loaded l;
    (void)state;
    load(&l, NULL, NULL,
         LIST("http.listen=0.0.0.0:8080,host:1", "http.auth=none", "admin.listen=[::]:8081", "admin.auth=none",
              "probes.listen=0.0.0.0:9000"));
    assert_int_equal(l.code, ERR_OK);
    done(&l);
    load(&l, NULL, NULL, LIST("http.listen=0.0.0.0:8080", "admin.auth=none")); /* the other one's word does not count */
    assert_int_equal(l.code, ERR_CONFIG);
    done(&l);
    load(&l, NULL, NULL, LIST("http.listen=127.0.0.1:0,127.0.0.1:0")); /* a new port each time */
    assert_int_equal(l.code, ERR_OK);
    done(&l);
}

static void test_all_at_once(void **state)
{
    struct loaded l;
    (void)state;
    load(&l,
         "[http]\nlisten = 1\nlistne = 2\nthreads = 0\n[htpp]\nmax_rows = 1\n[plugin Bad]\nx = 1\n[plugin]\ny = 2\n",
         LIST("HEADGATE_HTTP_MAX_BODY=16", "HEADGATE_HTTP_MAX_BODI=16KiB", "HEADGATE_DATA_DIR_FILE=/x",
              "HEADGATE_ADMIN_LISTEN=0.0.0.0:1"),
         LIST("log.level=loud"));
    assert_int_equal(l.code, ERR_CONFIG);
    static const char *const words[] = {
        ":2: http.listen: \"1\" is not an address",
        ":3: there is no setting http.listne; did you mean http.listen?",
        ":4: http.threads: \"0\" is too small",
        ":6: there is no setting htpp.max_rows; did you mean http.max_rows?",
        ":8: [plugin Bad] is not [plugin <name>]",
        ":10: [plugin] is not [plugin <name>]",
        "environment HEADGATE_HTTP_MAX_BODY: http.max_body: \"16\" has no unit",
        "environment HEADGATE_HTTP_MAX_BODI: there is no such setting; did you mean HEADGATE_HTTP_MAX_BODY?",
        "environment HEADGATE_DATA_DIR_FILE: there is no such setting; only secret options have a _FILE form",
        "flag: log.level: \"loud\" is not one of",
        "admin.listen: 0.0.0.0:1 can be reached",
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(buf_str(&l.faults), words[i]) == NULL)
            fail_msg("%s is not in:\n%s", words[i], buf_str(&l.faults));
    assert_int_equal(lines_in(&l.faults), COUNT_OF(words));
    done(&l);
}

static void test_kubernetes(void **state)
{
    struct loaded l;
    (void)state;
    load(&l, NULL,
         LIST("HEADGATE_SERVICE_HOST=10.0.0.1", "HEADGATE_SERVICE_PORT=8080", "HEADGATE_SERVICE_PORT_HTTP=8080",
              "HEADGATE_PORT=tcp://10.0.0.1:8080", "HEADGATE_PORT_8080_TCP=tcp://10.0.0.1:8080",
              "HEADGATE_PORT_8080_TCP_PROTO=tcp", "HEADGATE_PORT_8080_TCP_PORT=8080",
              "HEADGATE_PORT_8080_TCP_ADDR=10.0.0.1", "HEADGATE_PORT_53_UDP_ADDR=10.0.0.1", "HEADGATE_CONFIG=/nowhere",
              /* --config goes first */ "HEADGATE_TOKEN=t", "HEADGATE_TOKEN_FILE=/t", "HEADGATE_CA=c",
              "HEADGATE_CERT=c", "HEADGATE_CERT_KEY=k"),
         NULL);
    assert_int_equal(l.code, ERR_OK);
    assert_int_equal(lines_in(&l.notices), 1);
    assert_non_null(strstr(buf_str(&l.notices), "HEADGATE_SERVICE_HOST, HEADGATE_SERVICE_PORT, "));
    assert_non_null(strstr(buf_str(&l.notices), ", HEADGATE_PORT_53_UDP_ADDR\n"));
    assert_null(strstr(buf_str(&l.notices), "TOKEN"));
    done(&l);
    static const char *const near_misses[] = {
        "HEADGATE_SERVICE_HOSTS=x",     "HEADGATE_SERVICE_PORTS=1", "HEADGATE_PORT_x_TCP=1", "HEADGATE_PORT_=1",
        "HEADGATE_PORT_80_TCP_EXTRA=1", "HEADGATE_PORT_80=1",       "HEADGATE_ADMIN_PORT=1", "HEADGATE_TOKENS=1",
        "HEADGATE_API_SERVICE_HOST=1",  "HEADGATE_PORT_80_TCPX=1",  "HEADGATE_SERVICE=1",    "HEADGATE_=1",
    };
    for (size_t i = 0; i < COUNT_OF(near_misses); i++) {
        load(&l, NULL, LIST(near_misses[i]), NULL);
        if (l.code != ERR_CONFIG)
            fail_msg("%s was taken", near_misses[i]);
        done(&l);
    }
}

/* Which file: --config, else HEADGATE_CONFIG, else the default path; only the last may be absent. */
static void test_which_file(void **state)
{
    char path[64], variable[128];
    struct conf *conf = NULL;
    struct buf faults;
    (void)state;
    buf_init(&faults, 4096);
    write_file(path, "[log]\nlevel = warn\n");
    snprintf(variable, sizeof variable, "HEADGATE_CONFIG=%s", path);
    char *environment[] = {variable, NULL}, *empty[] = {(char[]){"HEADGATE_CONFIG="}, NULL};
    char *absent[] = {(char[]){"HEADGATE_CONFIG=/nowhere/x.ini"}, NULL};
    struct conf_input input = {.environment = environment};
    assert_int_equal(conf_load(&input, &conf, &faults, NULL), ERR_OK);
    assert_int_equal(conf_settings(conf)->log_level, LOG_LEVEL_WARN);
    conf_free(&conf);
    input.file = "/dev/null";
    assert_int_equal(conf_load(&input, &conf, &faults, NULL), ERR_OK);
    assert_int_equal(conf_settings(conf)->log_level, LOG_LEVEL_INFO);
    conf_free(&conf);
    input = (struct conf_input){.environment = empty};
    assert_int_equal(conf_load(&input, &conf, &faults, NULL), ERR_OK);
    conf_free(&conf);
    assert_int_equal(faults.len, 0);
    input = (struct conf_input){.environment = absent};
    assert_int_equal(conf_load(&input, &conf, &faults, NULL), ERR_CONFIG);
    assert_string_equal(buf_str(&faults), "file /nowhere/x.ini: cannot be opened: No such file or directory\n");
    input = (struct conf_input){.file = "/nowhere/y.ini", .environment = empty};
    assert_int_equal(conf_load(&input, &conf, NULL, NULL), ERR_CONFIG);
    assert_null(conf);
    unlink(path);
    buf_free(&faults);
}

/* A buffer that is too small for the faults does not turn them into success. */
static void test_small_buffer(void **state)
{
    struct conf *conf = NULL;
    struct buf faults;
    char *environment[] = {NULL};
    (void)state;
    buf_init(&faults, 10);
    struct conf_input input = {
        .file = "/dev/null", .environment = environment, .flags = LIST("http.threads=0", "http.max_rows=0")};
    assert_int_equal(conf_load(&input, &conf, &faults, NULL), ERR_CONFIG);
    assert_int_equal(faults.len, 0);
    buf_free(&faults);
}

static void test_notices(void **state)
{
    struct loaded l;
    (void)state;
    load(&l, NULL, NULL, LIST("http.max_memory=16MiB", "journal.segment=1MiB"));
    assert_int_equal(l.code, ERR_OK);
    assert_int_equal(lines_in(&l.notices), 2);
    assert_non_null(strstr(buf_str(&l.notices), "more than three quarters of http.max_memory (16MiB)"));
    assert_non_null(strstr(buf_str(&l.notices), "more than half of journal.segment (1MiB)"));
    done(&l);
}

static void test_changed(void **state)
{
    struct loaded a, b;
    struct conf_line line;
    size_t at = 0;
    (void)state;
    load(&a, "[http]\nmax_rows = 10\nidle_timeout = 60s\nthreads = 1\n", NULL, NULL);
    load(&b, "[http]\nmax_rows = 20\nidle_timeout = 1m\n[data]\ndir = /other\n", NULL, NULL);
    assert_true(conf_changed(a.conf, b.conf, &at, &line));
    assert_string_equal(line.key, "http.max_rows");
    assert_string_equal(line.value, "20");
    assert_true(line.reloadable);
    assert_true(
        conf_changed(a.conf, b.conf, &at, &line)); /* 60s and 1m are the same, and where it stands is no matter */
    assert_string_equal(line.key, "data.dir");
    assert_false(line.reloadable);
    assert_false(conf_changed(a.conf, b.conf, &at, &line));
    done(&a);
    done(&b);
}

static void test_reloadable(void **state)
{
    static const char *const reload[] = {"http.max_body",
                                         "http.max_rows",
                                         "http.max_header",
                                         "http.max_connections",
                                         "http.max_memory",
                                         "http.header_timeout",
                                         "http.body_timeout",
                                         "http.idle_timeout",
                                         "admin.hosts",
                                         "plugins.watch",
                                         "plugins.strict",
                                         "rows.keys",
                                         "rows.max_depth",
                                         "journal.max_bytes",
                                         "journal.min_free",
                                         "journal.keep",
                                         "journal.keep_bytes",
                                         "dead.max_bytes",
                                         "park.max_bytes",
                                         "stop.keep_taking",
                                         "stop.timeout",
                                         "clients.undelivered_bytes",
                                         "clients.keep",
                                         "log.level",
                                         "log.format",
                                         "clients.rows_per_second",
                                         "clients.bytes_per_second",
                                         "audit.max_bytes",
                                         "alerts.webhook",
                                         "alerts.webhook_file",
                                         "alerts.token_file",
                                         "alerts.ca",
                                         "alerts.failing",
                                         "alerts.dead_letters",
                                         "alerts.lag",
                                         "alerts.budget",
                                         "alerts.calm"};
    struct loaded l;
    struct conf_line line;
    size_t count = 0;
    (void)state;
    load(&l, NULL, NULL, NULL);
    for (size_t at = 0; conf_next(l.conf, &at, &line);) {
        assert_int_equal(line.reloadable, settings_reloadable(line.key));
        count += line.reloadable;
    }
    assert_int_equal(count, COUNT_OF(reload));
    for (size_t i = 0; i < COUNT_OF(reload); i++)
        assert_true(settings_reloadable(reload[i]));
    assert_false(settings_reloadable("http.nothing"));
    done(&l);
}

static void test_addresses(void **state)
{
    static const char *const local[] = {"127.0.0.1:80", "127.8.8.8:0", "[::1]:8080",           "localhost:1",
                                        "LocalHost:1",  "unix:/x",     "[::ffff:127.0.0.1]:80"};
    static const char *const open[] = {"0.0.0.0:80",   "[::]:80", "10.0.0.1:80",          "example.org:80",
                                       "128.0.0.1:80", "[::2]:1", "[::ffff:10.0.0.1]:80", "localhost.example:80"};
    static const char *const bad[] = {
        "",       "8080",    ":8080",  "host",   "host:",       "host:x",   "host:65536",  "host:-1",
        "[::1]",  "[::1:80", "::1:80", "[x]:80", "[]:80",       "1.2.3:80", "1.2.3.4.5:8", "256.1.1.1:1",
        "a b:80", "unix:",   "unix:x", "*:80",   "host:000080", "-a:80",    "]:80"};
    char longest[200] = "unix:/";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(local); i++) {
        assert_int_equal(address_check(local[i], NULL), ERR_OK);
        assert_true(address_is_local(local[i]));
    }
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        assert_int_equal(address_check(open[i], NULL), ERR_OK);
        assert_false(address_is_local(open[i]));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (address_check(bad[i], NULL) != ERR_SYNTAX)
            fail_msg("%s was taken", bad[i]);
        assert_true(address_is_local(bad[i]) == (strncmp(bad[i], "unix:", 5) == 0));
    }
    memset(longest + 6, 'x', 106);
    assert_int_equal(address_check(longest, NULL), ERR_OK);
    longest[112] = 'x';
    assert_int_equal(address_check(longest, NULL), ERR_SYNTAX);
    memset(longest, 'x', 199);
    assert_int_equal(address_check(longest, NULL), ERR_SYNTAX);
}

/* The generated file loads, and so does the same with every comment sign before a key taken away: all are defaults. */
static void test_generated(void **state)
{
    struct buf ini, open, page;
    struct loaded l, plain;
    struct conf_line line;
    (void)state;
    buf_init(&ini, 1 << 20);
    buf_init(&open, 1 << 20);
    buf_init(&page, 1 << 20);
    assert_int_equal(conf_print_ini(&ini), ERR_OK);
    assert_int_equal(conf_print_reference(&page), ERR_OK);
    load(&plain, buf_str(&ini), NULL, NULL);
    assert_int_equal(plain.code, ERR_OK);
    for (const char *p = buf_str(&ini); *p != '\0';) {
        size_t len = strcspn(p, "\n") + 1;
        if (p[0] == '#' && p[1] != ' ' && strstr(p, "<prefix>") != p + 7)
            p++, len--;
        assert_int_equal(buf_add(&open, p, len), ERR_OK);
        p += len;
    }
    load(&l, buf_str(&open), NULL, NULL);
    if (l.code != ERR_OK)
        fail_msg("%s", buf_str(&l.faults));
    size_t at = 0, named = 0;
    assert_false(conf_changed(plain.conf, l.conf, &at, &line));
    for (at = 0; conf_next(l.conf, &at, &line);) {
        named += strncmp(line.origin, "file ", 5) == 0;
        assert_non_null(strstr(buf_str(&page), line.key));
    }
    assert_true(named > 25); /* all but those without a default */
    static const char *const pushers[] = {"ENABLED", "WHEN_FULL", "MAX_LAG", "PLUGIN_<NAME>_RETRY_FOR",
                                          "PLUGIN_<NAME>_CLIENTS"};
    for (size_t i = 0; i < COUNT_OF(pushers); i++)
        assert_non_null(strstr(buf_str(&page), pushers[i]));
    done(&l);
    done(&plain);
    struct buf small; /* no room: an error, not a shorter page */
    buf_init(&small, 500);
    assert_int_equal(conf_print_ini(&small), ERR_LIMIT);
    buf_clear(&small);
    assert_int_equal(conf_print_reference(&small), ERR_LIMIT);
    buf_free(&small);
    buf_free(&ini);
    buf_free(&open);
    buf_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_layers),     cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_faults),     cmocka_unit_test(test_reach),      cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_kubernetes), cmocka_unit_test(test_which_file), cmocka_unit_test(test_small_buffer),
        cmocka_unit_test(test_notices),    cmocka_unit_test(test_changed),    cmocka_unit_test(test_reloadable),
        cmocka_unit_test(test_addresses),  cmocka_unit_test(test_generated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
