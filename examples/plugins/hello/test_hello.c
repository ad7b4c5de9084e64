/* The pusher without a daemon: the test kit loads it, hands it rows and tells what became of them. */
#include <testkit.h>

#include <stdio.h>
#include <string.h>

static int faults;

static void check(int good, const char *what)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    faults += !good;
}

int main(void)
{
    struct testkit *kit = testkit_load("./hello.so");
    if (kit == NULL)
        return 1;
    check(testkit_start(kit) == HG_OPEN_OK, "starts");
    testkit_rows(kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"name\":\"Ada\"}},{\"data\":{\"age\":36}},"
                      "{\"data\":{\"name\":7}}]}");
    check(testkit_push(kit, 0, 3) == HG_ALL_OK, "takes three rows");
    check(testkit_verdict(kit, 0) == HG_OK, "delivers the one with a name");
    check(testkit_verdict(kit, 1) == HG_SKIP, "skips the one without");
    check(testkit_verdict(kit, 2) == HG_REJECT, "refuses a name that is no text");
    const char *line = testkit_log(kit, 0, NULL);
    check(line != NULL && strcmp(line, "hello, Ada") == 0, "greets");
    testkit_stop(kit);
    testkit_free(&kit);
    return faults != 0;
}
