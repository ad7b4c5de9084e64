/* Any bytes as a settings file. What the scan lets pass, inih must read the same (the scan is there so that this never
 * fails), and what loads must mean the same when it is written as it is shown. */
#include "base/check.h"
#include "conf/conf.h"
#include "conf/inifile.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scan(struct slice text)
{
    struct inifile file;
    struct buf faults;
    buf_init(&faults, 1 << 20);
    struct lines lines = {&faults, 0}, notices = {NULL, 0};
    CHECK(inifile_parse(text, "f", &file, &lines, &notices) == ERR_OK);
    CHECK(strncmp(buf_str(&faults), "file f: the ini library", 23) != 0); /* it is told only when nothing else is */
    inifile_fini(&file);
    buf_free(&faults);
}

/* The settings as flags, each as it is shown, must be the same settings. */
static void check_shown(const struct conf *conf)
{
    struct conf_line line;
    const char *flags[128] = {NULL};
    size_t count = 0;
    for (size_t at = 0; conf_next(conf, &at, &line);) {
        char *flag;
        CHECK(count + 1 < COUNT_OF(flags) && asprintf(&flag, "%s=%s", line.key, line.value) > 0);
        flags[count++] = flag;
    }
    struct conf *again = NULL;
    char *environment[] = {NULL};
    struct conf_input input = {.file = "/dev/null", .flags = flags, .environment = environment};
    CHECK(conf_load(&input, &again, NULL, NULL) == ERR_OK);
    size_t at = 0;
    CHECK(!conf_changed(conf, again, &at, &line));
    conf_free(&again);
    while (count > 0)
        free((char *)(uintptr_t)flags[--count]);
}

/* Every instance that the file speaks of, against a small option table. */
static void check_instances(const struct conf *conf)
{
    static const char *const plugins[] = {"file", "http"};
    static const struct conf_option options[] = {{"PATH", false}, {"URL", false}};
    char **names, **uses;
    size_t count;
    int code = conf_instances(conf, plugins, COUNT_OF(plugins), &names, &uses, &count, NULL, NULL);
    CHECK(code == ERR_OK || code == ERR_CONFIG);
    for (size_t i = 0; i < count; i++) {
        struct instance instance;
        code = conf_instance(conf, names[i], uses[i], options, COUNT_OF(options), &instance, NULL);
        CHECK(code == ERR_OK || code == ERR_CONFIG);
        CHECK(instance.common.retry_min_ms <= instance.common.retry_max_ms || code == ERR_CONFIG);
        instance_fini(&instance);
    }
    conf_names_free(names, count);
    conf_names_free(uses, count);
}

static void check_load(struct slice text)
{
    static int fd = -1;
    char path[64];
    if (fd < 0)
        fd = memfd_create("settings", 0);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct conf *conf = NULL;
    char *environment[] = {NULL};
    struct buf faults;
    buf_init(&faults, 1 << 20);
    struct conf_input input = {.file = path, .environment = environment};
    int code = conf_load(&input, &conf, &faults, NULL);
    CHECK(code == ERR_OK ? faults.len == 0 : code == ERR_CONFIG && faults.len > 0);
    if (code == ERR_OK) {
        check_shown(conf);
        check_instances(conf);
    }
    conf_free(&conf);
    buf_free(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16 * 1024)
        return 0;
    struct slice text = slice_make(data, size);
    check_scan(text);
    check_load(text);
    return 0;
}
