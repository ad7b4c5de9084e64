/* @NAME@ without a daemon: the test kit loads it, hands it rows and tells what became of them. */
#include <testkit.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int faults;

static void check(int good, const char *what)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    faults += !good;
}

static int lines(const char *path)
{
    FILE *in = fopen(path, "r");
    int count = 0;
    for (int c; in != NULL && (c = fgetc(in)) != EOF;)
        count += c == '\n';
    if (in != NULL)
        fclose(in);
    return count;
}

int main(void)
{
    static const char path[] = "test_@NAME@.rows";
    struct testkit *kit = testkit_load("./@NAME@.so");
    if (kit == NULL)
        return 1;
    unlink(path);
    testkit_set(kit, "PATH", path);
    check(testkit_start(kit) == HG_OPEN_OK, "opens");
    testkit_rows(kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"name\":\"Ada\"}},{\"data\":{\"name\":7}},"
                      "{\"data\":{\"age\":36}}]}");
    check(testkit_push(kit, 0, 3) == HG_ALL_OK, "takes three rows");
    check(testkit_verdict(kit, 0) == HG_OK && testkit_verdict(kit, 2) == HG_OK, "delivers two of them");
    check(testkit_verdict(kit, 1) == HG_REJECT && testkit_reason(kit, 1)[0] != '\0', "refuses one, and says why");
    check(lines(path) == 2, "has written two lines");
    unlink(path);
    mkdir(path, 0755);
    check(testkit_push(kit, 0, 1) == HG_NOT_NOW && testkit_push_reason(kit)[0] != '\0', "says not now, and why");
    check(testkit_probe(kit) == HG_OPEN_NOT_NOW, "its probe says the same");
    rmdir(path);
    check(testkit_push(kit, 0, 1) == HG_ALL_OK && lines(path) == 1, "goes on when the far end is back");
    testkit_stop(kit);
    testkit_free(&kit);
    unlink(path);
    return faults != 0;
}
