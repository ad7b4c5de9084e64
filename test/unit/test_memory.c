/* The control group's memory limit, read from a folder that looks like /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/memory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[] = "/tmp/test_memory.XXXXXX";

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s;
    (void)type;
    (void)f;
    return remove(path);
}

/* A file below the root with its folders. */
static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int begin(void **state)
{
    (void)state;
    memcpy(root, "/tmp/test_memory.XXXXXX", sizeof root);
    return mkdtemp(root) == NULL;
}

static int end(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_none(void **state)
{
    (void)state;
    assert_true(memory_group_limit(root) == UINT64_MAX);
    put("/proc/self/cgroup", "0::/\n");
    assert_true(memory_group_limit(root) == UINT64_MAX);
    put("/sys/fs/cgroup/memory.max", "max\n");
    assert_true(memory_group_limit(root) == UINT64_MAX);
    put("/proc/self/cgroup", "what\n0\n:\n0:\n0::\nx:y:z\n");
    assert_true(memory_group_limit(root) == UINT64_MAX);
}

static void test_v2(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a.slice/b.service\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "268435456\n");
    assert_int_equal(memory_group_limit(root), 268435456);
    put("/sys/fs/cgroup/a.slice/memory.max", "134217728\n"); /* above it, and less */
    assert_int_equal(memory_group_limit(root), 134217728);
    put("/sys/fs/cgroup/a.slice/memory.max", "max\n");
    assert_int_equal(memory_group_limit(root), 268435456);
}

static void test_v2_container(void **state)
{
    (void)state;
    put("/sys/fs/cgroup/memory.max", "67108864\n"); /* the mount is the container's own group */
    put("/proc/self/cgroup", "0::/\n");
    assert_int_equal(memory_group_limit(root), 67108864);
    put("/proc/self/cgroup", "0::/kubepods/pod1/c1\n"); /* a name of another namespace */
    assert_int_equal(memory_group_limit(root), 67108864);
    put("/proc/self/cgroup", "0::/../../x\n");
    assert_int_equal(memory_group_limit(root), 67108864);
}

static void test_v1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:cpu,cpuacct:/c\n4:hugetlb,memory:/docker/abc\n0::/docker/abc\n");
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "33554432\n");
    put("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1\n"); /* another controller's group */
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(memory_group_limit(root), 33554432);
}

static void test_real(void **state)
{
    (void)state;
    assert_true(memory_group_limit("") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, begin, end),
        cmocka_unit_test_setup_teardown(test_v2, begin, end),
        cmocka_unit_test_setup_teardown(test_v2_container, begin, end),
        cmocka_unit_test_setup_teardown(test_v1, begin, end),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
