/* Any bytes as a plugin's description (a host says them, so they are not trusted) and as a setup text. What can be read
 * is written again and must then read and write the same. */
#include "base/check.h"
#include "host/setup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct buf *one, const struct buf *two)
{
    CHECK(one->len == two->len && memcmp(one->ptr, two->ptr, one->len) == 0);
}

static void check_described(struct slice text)
{
    struct described d, again;
    struct err e;
    struct buf one, two, faults;
    if (described_read(text, &d, &e) != ERR_OK)
        return;
    buf_init(&one, 4 << 20);
    buf_init(&two, 4 << 20);
    buf_init(&faults, 1 << 20);
    CHECK(described_write(&d, &one) == ERR_OK);
    CHECK(described_read(buf_slice(&one), &again, &e) == ERR_OK);
    CHECK(described_write(&again, &two) == ERR_OK);
    check_again(&one, &two);
    /* Each option set to its own default, and to something else. */
    struct setting *settings = calloc(d.count + 1, sizeof *settings);
    bool missing;
    CHECK(settings != NULL);
    for (size_t i = 0; i < d.count; i++)
        settings[i] = (struct setting){d.options[i].name, d.options[i].fallback == NULL ? "5" : d.options[i].fallback};
    size_t count = described_check(&d, settings, d.count, &faults, &missing);
    CHECK((count > 0) == (faults.len > 0));
    free(settings);
    described_fini(&d);
    described_fini(&again);
    buf_free(&one);
    buf_free(&two);
    buf_free(&faults);
}

static void check_setup(struct slice text)
{
    struct setup s, again;
    struct buf one, two;
    if (setup_read(text, &s, NULL) != ERR_OK)
        return;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    CHECK(setup_write(&s, &one) == ERR_OK);
    CHECK(setup_read(buf_slice(&one), &again, NULL) == ERR_OK);
    CHECK(setup_write(&again, &two) == ERR_OK);
    check_again(&one, &two);
    setup_fini(&s);
    setup_fini(&again);
    buf_free(&one);
    buf_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * 1024)
        return 0;
    check_described(slice_make(data, size));
    check_setup(slice_make(data, size));
    return 0;
}
