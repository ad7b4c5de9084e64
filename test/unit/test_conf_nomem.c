/* Memory that runs out: the n-th allocation of loading settings, plugin instances and setup texts fails, for every n.
 * Each time the answer is ERR_NOMEM and everything that was taken is given back. malloc is replaced here, which the
 * sanitizers do themselves in their builds: there is nothing to run in those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "host/setup.h"

#include <headgate.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REPLACED 0
#endif
#endif
#ifndef REPLACED
#define REPLACED 1
#endif

#if REPLACED
#define SHOWN __attribute__((visibility("default")))

static long left = -1; /* allocations that still succeed; negative: all */
static long live;      /* taken and not given back, while they are counted */
static bool counting;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);

static bool fails(void)
{
    return counting && left >= 0 && left-- == 0;
}

static void *taken(void *ptr)
{
    live += counting && ptr != NULL;
    return ptr;
}

SHOWN void *malloc(size_t size)
{
    return fails() ? NULL : taken(__libc_malloc(size));
}

SHOWN void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : taken(__libc_calloc(count, size));
}

SHOWN void *realloc(void *ptr, size_t size)
{
    bool shrinks = ptr != NULL && size <= malloc_usable_size(ptr); /* libc asks for that and does without */
    if (!shrinks && fails())
        return NULL;
    return ptr == NULL ? taken(__libc_realloc(ptr, size)) : __libc_realloc(ptr, size);
}

SHOWN void free(void *ptr)
{
    live -= counting && ptr != NULL;
    __libc_free(ptr);
}

/* `job` does its work and gives everything back; it must succeed in the end, and say ERR_NOMEM until then. */
static void exhaust(int (*job)(void))
{
    for (long n = 0;; n++) {
        assert_true(n < 20000);
        live = 0;
        left = n;
        counting = true;
        int code = job();
        counting = false;
        if (live != 0)
            fail_msg("%ld blocks lost when allocation %ld failed", live, n);
        if (left >= 0) { /* none failed: done */
            assert_int_equal(code, ERR_OK);
            assert_true(n > 5);
            return;
        }
        if (code != ERR_NOMEM)
            fail_msg("%s when allocation %ld failed", err_text(code), n);
    }
}

static char ini_path[] = "/tmp/test_nomem.XXXXXX", secret_path[] = "/tmp/test_nomem.XXXXXX";
static char secret_variable[64];
static const struct conf_option options[] = {{"PATH", false}, {"TOKEN", true}};

static int load(struct conf **conf)
{
    static const char *const flags[] = {"http.socket_group=x", "plugins.dir=/a:/b", "http.max_rows=5", NULL};
    char *environment[] = {
        "HEADGATE_DATA_DIR=/d", "HEADGATE_SERVICE_HOST=x", "PLUGIN_LAB_USE=file", "PLUGIN_FILE_PATH=/x",
        "PLUGIN_GONE_X=1",      secret_variable,           "HEADGATE_LOG_LEVEL=", NULL};
    struct conf_input input = {.file = ini_path, .flags = flags, .environment = environment};
    return conf_load(&input, conf, NULL, NULL);
}

static int job_load(void)
{
    struct conf *conf = NULL;
    int code = load(&conf);
    conf_free(&conf);
    return code;
}

static struct conf *shared;

static int job_instances(void)
{
    static const char *const plugins[] = {"file", "http"};
    char **names = NULL, **uses = NULL;
    size_t count = 0;
    int code = conf_instances(shared, plugins, 2, &names, &uses, &count, NULL, NULL);
    conf_names_free(names, count);
    conf_names_free(uses, count);
    return code;
}

static int job_instance(void)
{
    struct instance instance;
    int code = conf_instance(shared, "file", "file", options, COUNT_OF(options), &instance, NULL);
    instance_fini(&instance);
    return code;
}

static int job_setup(void)
{
    static struct setting settings[] = {{"A", "1"}, {"B", "2"}};
    struct setup s = {.instance = "a",
                      .plugin = "/p",
                      .lock = "/l",
                      .state = "xyz",
                      .state_len = 3,
                      .settings = settings,
                      .count = 2};
    struct setup back = {0};
    struct buf text;
    buf_init(&text, 4096);
    int code = setup_write(&s, &text);
    if (code == ERR_OK)
        code = setup_read(buf_slice(&text), &back, NULL);
    setup_fini(&back);
    buf_free(&text);
    return code;
}

static int job_described(void)
{
    static struct described_option list[] = {{"A", "1", "1..2", "T", "g", HG_INTEGER, 0},
                                             {"B", NULL, NULL, "T", NULL, HG_STRING, 0}};
    struct described d = {
        .name = "p", .version = "1", .summary = "s", .kind = HG_PUSHER, .options = list, .count = COUNT_OF(list)};
    struct described back = {0};
    struct buf text;
    buf_init(&text, 4096);
    int code = described_write(&d, &text);
    if (code == ERR_OK)
        code = described_read(buf_slice(&text), &back, NULL);
    described_fini(&back);
    buf_free(&text);
    return code;
}

static int job_print(void)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    int code = conf_print_ini(&text);
    if (code == ERR_OK)
        code = conf_print_reference(&text);
    buf_free(&text);
    return code;
}

static void put(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_exhaust(void **state)
{
    (void)state;
    put(ini_path, "[http]\nlisten = 127.0.0.1:80, unix:/x\nmax_body = 1MiB\n[journal]\nmax_bytes = 80%\n"
                  "[plugin file]\nbatch_rows = 5\nretry_for = 1h\n[plugin other]\nuse = http\nx = 1\n");
    put(secret_path, "s3cret\n");
    snprintf(secret_variable, sizeof secret_variable, "PLUGIN_FILE_TOKEN_FILE=%s", secret_path);
    exhaust(job_load);
    assert_int_equal(load(&shared), ERR_OK);
    exhaust(job_instances);
    exhaust(job_instance);
    exhaust(job_setup);
    exhaust(job_described);
    exhaust(job_print);
    conf_free(&shared);
    unlink(ini_path);
    unlink(secret_path);
}
#else
static void test_exhaust(void **state)
{
    (void)state;
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exhaust)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
