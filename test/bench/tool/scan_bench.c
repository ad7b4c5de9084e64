/* How fast is the row scanner, and how much faster than jansson reading the same bytes?
 *
 *     scan_bench [SECONDS [FILE…]]
 *
 * Without a FILE it makes its own bodies: a batch of 100 rows of 10 keys (about 29 kB), the same with the keys of each
 * row in another order (no shape to follow), with blanks as Python's json.dumps writes them, a single row, and NDJSON.
 * Each kind is 64 different bodies in turn. Rounds of the two readers alternate; the best round of each counts, so what
 * else the machine does matters little. The last lines are single calls: one field by key, and a walk over all fields.
 */
#include "base/sys.h"
#include "rows/rows.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 10, ROUNDS = 7 };

static const char *const names[KEYS] = {"sampleId",         "concentration", "volumeUl",  "plateBarcode",
                                        "opticalDensity",   "isControl",     "readAtUtc", "operatorName",
                                        "instrumentSerial", "wellNote"};

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 11) % limit);
}

static void must(int code)
{
    if (code != ERR_OK) {
        fprintf(stderr, "scan_bench: %s\n", err_text(code));
        exit(1);
    }
}

static void add_value(struct buf *b, int kind)
{
    static const char *const literals[] = {"true", "false", "null"};
    char text[17] = {0};
    switch (kind) {
    case 0: must(buf_addf(b, "%u", 1 + random_below(9999999))); break;
    case 1: must(buf_addf(b, "%u.%u", random_below(1000), 1 + random_below(9999))); break;
    case 2:
        for (int i = 0; i < 16; i++)
            text[i] = "abcdefghijklmnopqrstuvwxyz0123456789-"[random_below(37)];
        must(buf_addf(b, "\"%s\"", text));
        break;
    case 3: must(buf_adds(b, literals[random_below(3)])); break;
    default:
        must(buf_addf(b, "\"2026-11-%02uT%02u:%02u:%02uZ\"", 1 + random_below(28), random_below(24), random_below(60),
                      random_below(60)));
    }
}

static void add_data(struct buf *b, bool shuffled, const char *blank)
{
    int order[KEYS];
    for (int i = 0; i < KEYS; i++) {
        int at = shuffled ? (int)random_below((unsigned)i + 1) : i;
        order[i] = order[at];
        order[at] = i;
    }
    for (int i = 0; i < KEYS; i++) {
        must(buf_addf(b, "%s%s\"%s\":%s", i == 0 ? "{" : ",", i == 0 ? "" : blank, names[order[i]], blank));
        add_value(b, order[i] % 5);
    }
    must(buf_addc(b, '}'));
}

static void add_batch(struct buf *b, unsigned rows, bool shuffled, const char *blank)
{
    must(buf_adds(b, "{\"uuid\":\"dd4f1f8c-62a1-4a5e-9d3b-0d7cf4e1a111\",\"rows\":["));
    for (unsigned i = 0; i < rows; i++) {
        must(buf_addf(b, "%s{\"index\":%s%u,%s\"data\":%s", i == 0 ? "" : ",", blank, i, blank, blank));
        add_data(b, shuffled, blank);
        must(buf_addc(b, '}'));
    }
    must(buf_adds(b, "]}"));
}

static void add_lines(struct buf *b, unsigned rows)
{
    for (unsigned i = 0; i < rows; i++) {
        must(buf_addf(b, "{\"uuid\":\"u-%u\",\"row\":{\"index\":%u,\"data\":", i, i));
        add_data(b, false, "");
        must(buf_adds(b, "}}\n"));
    }
}

/* Many bodies of one kind: a processor that has seen one body a thousand times knows by heart where it branches. */
enum { BODIES = 64 };

struct bodies {
    struct buf text;
    size_t from[BODIES + 1];
    size_t count;
};

static struct slice body_at(const struct bodies *b, size_t i)
{
    return slice_make(b->text.ptr + b->from[i], b->from[i + 1] - b->from[i]);
}

static double scan_rate(struct scan *s, const struct scan_rules *rules, const struct bodies *b, double seconds)
{
    int64_t from = clock_ns(), now = from;
    uint64_t bytes = 0;
    while ((double)(now - from) < seconds * 1e9) {
        for (size_t i = 0; i < b->count; i++)
            must(scan_body(s, rules, body_at(b, i)));
        bytes += b->text.len;
        now = clock_ns();
    }
    return (double)bytes / (double)(now - from) * 1e3;
}

static void jansson_read(struct slice text)
{
    json_error_t error;
    json_t *tree = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (tree == NULL) {
        fprintf(stderr, "scan_bench: jansson: %s\n", error.text);
        exit(1);
    }
    json_decref(tree);
}

static void jansson_body(struct slice body, bool lines)
{
    for (size_t at = 0; at < body.len;) {
        const char *feed = lines ? memchr(body.ptr + at, '\n', body.len - at) : NULL;
        size_t len = feed == NULL ? body.len - at : (size_t)(feed - body.ptr) + 1 - at;
        jansson_read(slice_make(body.ptr + at, len));
        at += len;
    }
}

static double jansson_rate(const struct bodies *b, bool lines, double seconds)
{
    int64_t from = clock_ns(), now = from;
    uint64_t bytes = 0;
    while ((double)(now - from) < seconds * 1e9) {
        for (size_t i = 0; i < b->count; i++)
            jansson_body(body_at(b, i), lines);
        bytes += b->text.len;
        now = clock_ns();
    }
    return (double)bytes / (double)(now - from) * 1e3;
}

static void compare(const char *name, const struct bodies *b, bool ndjson, double seconds)
{
    const struct scan_rules rules = {.max_rows = 1000000, .max_depth = 32, .ndjson = ndjson};
    struct scan *s = scan_new();
    if (s == NULL)
        must(ERR_NOMEM);
    must(scan_body(s, &rules, body_at(b, 0)));
    uint32_t rows = scan_rows(s);
    double ours = 0, theirs = 0, slice = seconds / ROUNDS / 2;
    for (int i = 0; i < ROUNDS; i++) {
        double rate = scan_rate(s, &rules, b, slice);
        ours = rate > ours ? rate : ours;
        rate = jansson_rate(b, ndjson, slice);
        theirs = rate > theirs ? rate : theirs;
    }
    printf("%-18s %7zu bytes %5u rows  scan %7.1f MB/s %6.1f ns/row  jansson %6.1f MB/s  ratio %5.1f\n", name,
           body_at(b, 0).len, rows, ours, rows == 0 ? 0 : (double)body_at(b, 0).len / rows / ours * 1e3, theirs,
           ours / theirs);
    scan_free(&s);
}

enum shape { SAME, SHUFFLED, BLANKS, SINGLE, LINES, SHAPES };

static void compare_made(enum shape shape, double seconds)
{
    static const char *const titles[SHAPES] = {"batch 100 x 10", "keys shuffled", "with blanks", "one row", "ndjson"};
    struct bodies b = {.count = BODIES};
    buf_init(&b.text, 64u << 20);
    for (size_t i = 0; i < BODIES; i++) {
        if (shape == LINES)
            add_lines(&b.text, 100);
        else
            add_batch(&b.text, shape == SINGLE ? 1 : 100, shape == SHUFFLED, shape == BLANKS ? " " : "");
        b.from[i + 1] = b.text.len;
    }
    compare(titles[shape], &b, shape == LINES, seconds);
    buf_free(&b.text);
}

static void walk(struct slice data, double seconds)
{
    int64_t from = clock_ns(), now = from;
    uint64_t gets = 0, fields = 0, walks = 0, found = 0;
    struct slice value;
    while ((double)(now - from) < seconds * 1e9) {
        for (unsigned i = 0; i < 1000; i++)
            found += json_get(data, slice_of(names[i % KEYS]), &value);
        gets += 1000;
        now = clock_ns();
    }
    double get = (double)(now - from) / (double)gets;
    from = now = clock_ns();
    while ((double)(now - from) < seconds * 1e9) {
        struct json_field field;
        for (unsigned i = 0; i < 100; i++)
            for (size_t at = 0; json_next(data, &at, &field);)
                fields++;
        walks += 100;
        now = clock_ns();
    }
    if (found != gets || fields != walks * KEYS)
        must(ERR_INTERNAL);
    printf("one field by key %.1f ns, all %d fields %.1f ns\n", get, KEYS, (double)(now - from) / (double)walks);
}

static void compare_file(const char *path, double seconds)
{
    struct bodies b = {.count = 1};
    buf_init(&b.text, 64u << 20);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        must(ERR_IO);
    for (size_t got = 1; got > 0; b.text.len += got) {
        must(buf_reserve(&b.text, 65536));
        got = fread(b.text.ptr + b.text.len, 1, 65536, f);
    }
    fclose(f);
    b.from[1] = b.text.len;
    size_t len = strlen(path);
    compare(path, &b, len > 7 && strcmp(path + len - 7, ".ndjson") == 0, seconds);
    buf_free(&b.text);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    for (int i = 2; i < argc; i++)
        compare_file(argv[i], seconds);
    if (argc > 2)
        return 0;
    for (enum shape shape = SAME; shape < SHAPES; shape++)
        compare_made(shape, seconds);
    struct buf data;
    buf_init(&data, 4096);
    add_data(&data, false, "");
    walk(buf_slice(&data), seconds / 4);
    buf_free(&data);
    return 0;
}
