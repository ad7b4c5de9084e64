/* What holds for a pusher to a database without its server: settings that are wrong are said to be, and a server that
 * is not there, is silent or is another one is never held against rows. */
#include "database.h"

#include "testkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket that listens on loopback; its port as text. */
static int listener(char *port, size_t size)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(port, size, "%u", ntohs(a.sin_port));
    return fd;
}

static const char *plugin;

static struct testkit *kit_for(const char *port)
{
    struct testkit *kit = testkit_load(plugin);
    assert_non_null(kit);
    testkit_set(kit, "HOST", "127.0.0.1");
    testkit_set(kit, "PORT", port);
    testkit_set(kit, "USER", "nobody");
    testkit_set(kit, "PASSWORD", "a-secret-word");
    testkit_set(kit, "DATABASE", "nothing");
    testkit_set(kit, "CONNECT_TIMEOUT", "1s");
    testkit_set(kit, "REQUEST_TIMEOUT", "1s");
    return kit;
}

static void settings(void **state)
{
    (void)state;
    struct testkit *kit = testkit_load(plugin);
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(kit), "HOST"));
    testkit_free(&kit);
    kit = kit_for("1");
    testkit_set(kit, "TABLE", "a-name-that-is-longer-than-the-sixty-three-bytes-that-a-table-may-have");
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(kit), "63 bytes"));
    testkit_free(&kit);
    kit = kit_for("70000");
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(kit), "PORT"));
    testkit_free(&kit);
}

static void nobody_there(void **state)
{
    (void)state;
    char port[8];
    close(listener(port, sizeof(port)));
    struct testkit *kit = kit_for(port);
    assert_int_equal(testkit_start(kit), HG_OPEN_NOT_NOW);
    assert_true(testkit_fault(kit)[0] != '\0');
    assert_null(strstr(testkit_fault(kit), "a-secret-word"));
    testkit_free(&kit);
}

static void nobody_answers(void **state)
{
    (void)state;
    char port[8];
    int fd = listener(port, sizeof(port));
    struct testkit *kit = kit_for(port);
    assert_int_equal(testkit_start(kit), HG_OPEN_NOT_NOW);
    assert_true(testkit_fault(kit)[0] != '\0');
    testkit_free(&kit);
    close(fd);
}

static void *say_nonsense(void *arg)
{
    char rest[256];
    int fd = accept(*(int *)arg, NULL, NULL);
    if (fd < 0)
        return NULL;
    if (write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28)
        shutdown(fd, SHUT_WR);
    while (read(fd, rest, sizeof(rest)) > 0)
        ;
    close(fd);
    return NULL;
}

static void another_protocol(void **state)
{
    (void)state;
    char port[8];
    pthread_t thread;
    int fd = listener(port, sizeof(port));
    pthread_create(&thread, NULL, say_nonsense, &fd);
    struct testkit *kit = kit_for(port);
    testkit_set(kit, "TLS", "no");
    assert_int_equal(testkit_start(kit), HG_OPEN_NOT_NOW);
    assert_true(testkit_fault(kit)[0] != '\0');
    testkit_free(&kit);
    shutdown(fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(fd);
}

int database_tests(const char *path)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(another_protocol),
    };
    plugin = path;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
