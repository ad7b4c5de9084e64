/* Finding row sets by id, uuid and key: in the head, in sealed segments, after a restart, without the index files. */
#include "journal_bed.h"

static void index_names(const struct bed *b, uint64_t base, char *out)
{
    assert_int_equal(file_path(b->dir, base, FILE_INDEX, out), ERR_OK);
}

static bool indexes_written(struct bed *b, void *arg)
{
    uint64_t at = 0;
    struct journal_segment s;
    (void)arg;
    for (; journal_segment_at(b->j, at, &s) == ERR_OK; at = s.end) {
        char path[PATH_MAX];
        index_names(b, s.base, path);
        if (!s.head && access(path, F_OK) != 0)
            return false;
    }
    return true;
}

static uint64_t key_hash(const char *key)
{
    return journal_key_hash(slice_make(NULL, 0), SLICE_LIT("/v1/rows"), slice_of(key));
}

/* Every uuid and key is found where it is; the latest key wins; what is not there is not found. */
static void expect_found(struct bed *b)
{
    for (size_t i = 0; i < b->fact_count; i++) {
        const struct fact *fact = &b->facts[i];
        uint64_t positions[8], key;
        uint32_t count = 0;
        char uuid[32];
        struct buf copy;
        struct record record;
        struct slice text;
        buf_init(&copy, 1 << 20);
        assert_int_equal(journal_read(b->j, fact->position, &copy, &record), ERR_OK);
        assert_true(context_get(record.context, CONTEXT_UUID, &text));
        snprintf(uuid, sizeof uuid, SLICE_FMT, SLICE_ARG(text));
        assert_int_equal(journal_find_uuid(b->j, slice_of(uuid), UINT64_MAX, positions, 8, &count), ERR_OK);
        assert_true(count >= 1);
        bool there = false;
        for (uint32_t k = 0; k < count; k++) {
            there = there || positions[k] == fact->position;
            assert_true(k == 0 || positions[k] < positions[k - 1]);
        }
        assert_true(there);
        assert_int_equal(journal_find_uuid(b->j, slice_of(uuid), fact->position, positions, 8, &count), ERR_OK);
        for (uint32_t k = 0; k < count; k++)
            assert_true(positions[k] < fact->position);
        if (fact->key != 0) {
            assert_int_equal(journal_find_key(b->j, fact->key, &key), ERR_OK);
            assert_true(key >= fact->position);
        }
        buf_free(&copy);
    }
    uint64_t none;
    uint32_t count = 9;
    assert_int_equal(journal_find_key(b->j, key_hash("never sent"), &none), ERR_NOTFOUND);
    assert_int_equal(journal_find_uuid(b->j, SLICE_LIT("never sent"), UINT64_MAX, &none, 1, &count), ERR_OK);
    assert_int_equal(count, 0);
}

static void lookups_fill(struct bed *b)
{
    bed_init(b);
    bed_open(b);
    for (int i = 0; i < 150; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 70);
        assert_int_equal(bed_put_key(b, 1 + (uint32_t)i % 3, 3000, i % 2 == 0 ? key : NULL, NULL), ERR_OK);
    }
}

static void test_across_segments(void **state)
{
    (void)state;
    struct bed b;
    lookups_fill(&b);
    expect_found(&b);
    bed_wait(&b, indexes_written, NULL);
    expect_found(&b);
    bed_reopen(&b);
    expect_found(&b);
    bed_wait(&b, indexes_written, NULL);
    expect_found(&b);
    /* Each key's latest request. */
    uint64_t latest, position;
    assert_int_equal(bed_put_key(&b, 2, 10, "k3", &position), ERR_OK);
    assert_int_equal(journal_find_key(b.j, key_hash("k3"), &latest), ERR_OK);
    assert_true(latest == position);
    bed_fini(&b);
}

/* Many of one uuid, page by page. */
static void test_pages(void **state)
{
    (void)state;
    struct bed b;
    uint64_t expected[600];
    uint32_t total = 0;
    bed_init(&b);
    bed_open(&b);
    for (int i = 0; i < 200; i++) {
        b.serial = (uint64_t)(i % 3 == 0 ? 1000 + i : 41); /* bed_put counts one up */
        assert_int_equal(bed_put(&b, 1 + (uint32_t)i % 3, 2000), ERR_OK);
        for (int k = 0; i % 3 != 0 && k < 1 + i % 3; k++)
            expected[total++] = b.facts[b.fact_count - (size_t)(1 + i % 3) + (size_t)k].position;
    }
    for (int round = 0; round < 3; round++) {
        uint64_t before = UINT64_MAX, page[7];
        uint32_t left = total, count = 0;
        do {
            assert_int_equal(journal_find_uuid(b.j, SLICE_LIT("u42"), before, page, 7, &count), ERR_OK);
            for (uint32_t i = 0; i < count; i++)
                assert_true(page[i] == expected[--left]);
            before = count > 0 ? page[count - 1] : 0;
        } while (count == 7);
        assert_int_equal(left, 0);
        bed_wait(&b, indexes_written, NULL);
        if (round == 1)
            bed_reopen(&b);
    }
    bed_fini(&b);
}

/* Deleted, cut, flipped, of another segment: never trusted, built again. */
static void test_ruined_indexes(void **state)
{
    (void)state;
    for (int how = 0; how < 6; how++) {
        struct bed b;
        uint64_t at = 0;
        struct journal_segment s;
        char first[PATH_MAX] = "";
        lookups_fill(&b);
        bed_wait(&b, indexes_written, NULL);
        if (how < 5)
            journal_close(&b.j);
        else
            expect_found(&b); /* opened while it was good, hurt while running */
        struct bed *quiet = &b;
        struct journal *running = b.j;
        if (how < 5) {
            struct err e;
            assert_int_equal(journal_open_quiet(&quiet->j, &b.options, &b.report, &e), ERR_OK);
        }
        for (; journal_segment_at(b.j, at, &s) == ERR_OK; at = s.end) {
            char path[PATH_MAX];
            index_names(&b, s.base, path);
            int fd = open(path, O_RDWR);
            if (fd < 0)
                continue;
            char byte = 0;
            off_t flip = how == 2 ? 40 : 4096 + 8; /* the header, the filter, or else a block */
            struct stat st;
            assert_int_equal(fstat(fd, &st), 0);
            if (how >= 4)
                flip = st.st_size - 4096 + 3;
            switch (how) {
            case 0: assert_int_equal(unlink(path), 0); break;
            case 1: assert_int_equal(ftruncate(fd, 5000), 0); break;
            default:
                assert_int_equal(pread(fd, &byte, 1, flip), 1);
                byte = (char)(byte ^ 8);
                assert_int_equal(pwrite(fd, &byte, 1, flip), 1);
                break;
            }
            close(fd);
            if (first[0] == '\0')
                snprintf(first, sizeof first, "%s", path);
        }
        assert_true(first[0] != '\0');
        if (how < 5) {
            journal_free(&b.j);
            bed_open(&b);
        } else {
            assert_ptr_equal(b.j, running);
        }
        expect_found(&b);
        bed_wait(&b, indexes_written, NULL);
        expect_found(&b);
        bed_fini(&b);
    }
}

static void test_by_id(void **state)
{
    (void)state;
    struct bed b;
    struct journal_segment s;
    struct buf copy;
    struct record record;
    lookups_fill(&b);
    for (size_t i = 0; i < b.fact_count; i++) {
        assert_int_equal(journal_find_batch(b.j, &b.facts[i].epoch, b.facts[i].position, &s), ERR_OK);
        assert_true(s.base <= b.facts[i].position && b.facts[i].position < s.end);
    }
    struct epoch other = b.facts[0].epoch;
    other.bytes[15] ^= 1;
    uint64_t some = b.facts[3].position;
    assert_int_equal(journal_find_batch(b.j, &other, some, &s), ERR_NOTFOUND);
    assert_int_equal(journal_find_batch(b.j, &b.facts[0].epoch, some + 8, &s), ERR_NOTFOUND);
    assert_int_equal(journal_find_batch(b.j, &b.facts[0].epoch, 0, &s), ERR_NOTFOUND);
    assert_int_equal(journal_find_batch(b.j, &b.facts[0].epoch, UINT64_MAX, &s), ERR_NOTFOUND);
    buf_init(&copy, 100);
    assert_int_equal(journal_read(b.j, some, &copy, &record), ERR_LIMIT);
    assert_int_equal(journal_read(b.j, UINT64_MAX / 2, &copy, &record), ERR_NOTFOUND);
    buf_free(&copy);
    /* Segments do not overlap, and end where the next begins or before. */
    uint64_t at = 0, last = 0, rows = 0;
    for (; journal_segment_at(b.j, at, &s) == ERR_OK; at = s.end) {
        assert_true(s.first >= last && s.end > s.first && s.first == s.base + SEGMENT_HEADER);
        assert_true(s.first_row >= rows);
        assert_true(s.created_us > 0 && (s.sealed_us == 0) == s.head);
        rows = s.first_row;
        last = s.end;
    }
    assert_true(last == journal_durable(b.j).position);
    assert_int_equal(journal_segment_at(b.j, last, &s), ERR_NOTFOUND);
    bed_fini(&b);
}

static void test_empty(void **state)
{
    (void)state;
    struct bed b;
    struct journal_segment s;
    struct epoch epoch = {.bytes = {0}};
    uint64_t position;
    uint32_t count = 5;
    int fd;
    bed_init(&b);
    bed_open(&b);
    assert_int_equal(journal_oldest(b.j, &s), ERR_NOTFOUND);
    assert_int_equal(journal_segment_at(b.j, 0, &s), ERR_NOTFOUND);
    assert_int_equal(journal_find_batch(b.j, &epoch, 0, &s), ERR_NOTFOUND);
    assert_int_equal(journal_find_uuid(b.j, SLICE_LIT("u"), UINT64_MAX, &position, 1, &count), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(journal_find_key(b.j, 1, &position), ERR_NOTFOUND);
    assert_int_equal(journal_hold(b.j, 0, &fd, NULL), ERR_NOTFOUND);
    assert_true(journal_durable(b.j).position == 0 && journal_durable(b.j).rows == 0);
    struct journal *nothing = NULL;
    journal_close(&nothing);
    bed_fini(&b);
}

/* Scope: the same key of another client or path is another key. */
static void test_key_scope(void **state)
{
    (void)state;
    struct slice a = SLICE_LIT("a"), b = SLICE_LIT("b"), none = {NULL, 0};
    uint64_t hash = journal_key_hash(none, a, b);
    assert_true(hash != 0);
    assert_true(hash != journal_key_hash(a, none, b));
    assert_true(hash != journal_key_hash(none, b, a));
    assert_true(journal_key_hash(SLICE_LIT("ab"), none, b) != journal_key_hash(a, SLICE_LIT("b"), b));
}

/* The file says what memory does: every row set, and who they are of. */
static void expect_sets(const struct index_place *place, const struct index *x, const struct index_clients *loaded)
{
    struct sets_file f;
    const struct index_sets *s = &x->sets;
    assert_int_equal(index_open_sets(place, &f), ERR_OK);
    assert_int_equal(f.count, s->count);
    for (uint32_t i = 0; i < s->count; i += 1 + s->count / 3000) {
        struct index_set set;
        uint32_t at;
        assert_int_equal(sets_file_get(&f, i, &set), ERR_OK);
        assert_int_equal(set.place, s->entries[i].place);
        assert_int_equal(set.client, s->entries[i].client);
        assert_int_equal(set.length, 64 + i);
        assert_true(set.received_us == 1000 + i);
        assert_int_equal(sets_file_bound(&f, set.place, &at), ERR_OK);
        assert_int_equal(at, i);
        assert_int_equal(sets_bound(s, set.place), i);
    }
    close(f.fd);
    uint64_t sets = 0;
    assert_int_equal(loaded->count, s->clients.count);
    assert_true(loaded->count <= INDEX_CLIENTS + 1);
    for (uint32_t i = 0; i < loaded->count; i++) {
        assert_string_equal(loaded->all[i].name, s->clients.all[i].name);
        assert_true(loaded->all[i].bytes == s->clients.all[i].bytes);
        sets += loaded->all[i].sets;
    }
    assert_int_equal(sets, s->count);
    assert_true(s->count == 0 || (loaded->first_us == 1000 && loaded->last_us == 1000 + s->count - 1));
    if (s->count > 10) {
        assert_true(clients_table_holds(loaded, SLICE_LIT("c7"), 0, 2000));
        assert_false(clients_table_holds(loaded, SLICE_LIT("c7"), 0, 1000));
        assert_true(clients_table_holds(loaded, SLICE_LIT("nobody"), 0, 2000) == (loaded->all[CLIENT_OTHERS].sets > 0));
    }
}

/* Sizes beyond one block and one filter page. */
static void test_index_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/index-test-XXXXXX", path[PATH_MAX], temporary[PATH_MAX];
    struct index_filter filter = {NULL, 0}, loaded = {NULL, 0};
    struct index_clients clients = {.all = NULL};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.idx", dir);
    snprintf(temporary, sizeof temporary, "%s/tmp", dir);
    for (uint32_t n = 0; n <= 100000; n = n * 10 + (n == 0)) {
        struct index *x = index_new();
        for (uint32_t i = 0; i < n; i++) /* each hash twice, some keys */
            index_add(x, hash_bytes(slice_make(&(uint32_t){i / 2}, 4)),
                      i % 3 == 0 ? hash_bytes(slice_make(&(uint32_t){i + 1000000}, 4)) : 0, 4096,
                      4096 + (uint64_t)i * 8);
        for (uint32_t i = 0; i < n; i++) {
            char client[16];
            snprintf(client, sizeof client, "c%u", i * 7 % 1500);
            index_add_set(x, slice_of(i % 5 == 0 ? "" : client), 64 + i, 1000 + i, 4096, 4096 + (uint64_t)i * 8);
        }
        assert_true(x->complete);
        struct index_place place = {.path = path, .base = 4096, .salt = 5, .end = 4096 + (uint64_t)n * 8};
        assert_int_equal(index_write(&place, temporary, x, &filter), ERR_OK);
        assert_int_equal(index_open(&place, &loaded, &clients), ERR_OK);
        assert_int_equal(loaded.bytes, filter.bytes);
        expect_sets(&place, x, &clients);
        uint32_t wrong = 0, found;
        uint64_t positions[3];
        for (uint32_t i = 0; i < n; i += 1 + n / 2000) {
            uint64_t hash = hash_bytes(slice_make(&(uint32_t){i / 2}, 4));
            found = 9;
            assert_int_equal(index_lookup(&place, INDEX_UUIDS, hash, UINT64_MAX, positions, 3, &found), ERR_OK);
            assert_int_equal(found, (i / 2) * 2 + 1 < n ? 2 : 1);
            assert_true(positions[found - 1] == 4096 + (uint64_t)(i / 2) * 2 * 8);
            assert_int_equal(index_lookup(&place, INDEX_UUIDS, hash, positions[0], positions, 3, &found), ERR_OK);
            assert_int_equal(found, (i / 2) * 2 + 1 < n ? 1 : 0);
            uint64_t key = hash_bytes(slice_make(&(uint32_t){i + 1000000}, 4));
            assert_int_equal(index_lookup(&place, INDEX_KEYS, key, UINT64_MAX, positions, 3, &found), ERR_OK);
            assert_int_equal(found, i % 3 == 0 ? 1 : 0);
            assert_true(i % 3 != 0 || filter_has(&loaded, key));
            wrong += i % 3 != 0 && filter_has(&loaded, key);
        }
        assert_true(wrong < 300); /* of about 1,300 */
        struct index_place other = place;
        other.salt++;
        assert_int_equal(index_open(&other, &loaded, &clients), ERR_DAMAGED);
        other = place;
        other.end += 8;
        assert_int_equal(index_lookup(&other, INDEX_UUIDS, 1, UINT64_MAX, positions, 3, &found), ERR_DAMAGED);
        index_free(&x);
        filter_free(&filter);
        filter_free(&loaded);
        clients_table_fini(&clients);
    }
    tree_remove(dir);
}

/* Pages of row sets of one client and a time, whatever the bound on what is looked at; and all of clients from a place
 * on. */
struct seen {
    uint64_t positions[4000];
    uint32_t count, named;
    uint64_t bytes;
};

static void see(void *arg, struct slice client, uint64_t position, uint32_t bytes)
{
    struct seen *seen = arg;
    seen->positions[seen->count++] = position;
    seen->named += client.len > 0;
    seen->bytes += bytes;
}

static uint32_t collect(struct bed *b, const struct journal_sets *what, uint32_t look, uint64_t *out)
{
    uint64_t before = UINT64_MAX;
    uint32_t total = 0;
    while (before > 0) {
        uint32_t count = 0;
        uint64_t was = before;
        assert_int_equal(journal_find_sets(b->j, what, &before, look, out + total, 7, &count), ERR_OK);
        assert_true(count <= 7 && before < was);
        total += count;
    }
    return total;
}

static void test_sets_of_clients(void **state)
{
    (void)state;
    struct bed b;
    static uint64_t of_a[2000], found[4000];
    static struct seen all, late;
    uint32_t count = 0;
    bed_init(&b);
    b.options.max_bytes = 256 * BED_SEGMENT;
    b.options.keep_bytes = 256 * BED_SEGMENT;
    bed_open(&b);
    for (uint32_t i = 0; i < 1800; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        bed_client(i % 3 == 0 ? "a" : i % 3 == 1 ? "" : name);
        assert_int_equal(bed_put(&b, 1, i % 2 == 0 ? 8 : 3000), ERR_OK);
        if (i % 3 == 0)
            of_a[count++] = b.facts[b.fact_count - 1].position;
    }
    for (int round = 0; round < 3; round++) {
        static const uint32_t looks[] = {1, 10, 1000000};
        for (size_t k = 0; k < COUNT_OF(looks); k++) {
            const struct journal_sets what = {.client = SLICE_LIT("a"), .from_us = INT64_MIN, .to_us = INT64_MAX};
            assert_int_equal(collect(&b, &what, looks[k], found), count);
            for (uint32_t i = 0; i < count; i++)
                assert_true(found[i] == of_a[count - 1 - i]);
        }
        const struct journal_sets everybody = {.from_us = INT64_MIN, .to_us = INT64_MAX}, never = {.to_us = 1};
        assert_int_equal(collect(&b, &everybody, 100, found), b.fact_count);
        for (size_t i = 0; i < b.fact_count; i++)
            assert_true(found[i] == b.facts[b.fact_count - 1 - i].position);
        assert_int_equal(collect(&b, &never, 100, found), 0);
        all = late = (struct seen){.count = 0};
        assert_int_equal(journal_each_set(b.j, 0, see, &all), ERR_OK);
        assert_int_equal(all.count, 1200);
        assert_int_equal(all.named, 1200);
        assert_int_equal(journal_each_set(b.j, of_a[300], see, &late), ERR_OK);
        assert_true(late.count == 600 && late.positions[0] == of_a[300]);
        bed_wait(&b, indexes_written, NULL);
        if (round == 1)
            bed_reopen(&b);
    }
    bed_client("");
    bed_fini(&b);
}

/* A segment lingers as long as the client in it that keeps longest: the first one a minute from now that may not go. */
static void expect_overdue_before(struct bed *b, uint64_t position)
{
    journal_lock(b->j);
    uint32_t n = retain_overdue(b->j, clock_wall_us() + 60000000);
    assert_true(n < b->j->count);
    const struct segment *first = b->j->table[n];
    assert_true(first->header.base <= position && position < first->end);
    journal_unlock(b->j);
}

static void test_keep_of_clients(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.keep_ms = 1;
    const struct journal_keep keep[] = {{.name = "long", .keep_ms = 3600 * 1000}, {.name = "short", .keep_ms = 1}};
    bed_open(&b);
    assert_int_equal(journal_keep_clients(b.j, 0, keep, 2), ERR_OK);
    for (int i = 0; i < 200; i++) {
        bed_client(i < 100 ? "short" : i == 100 ? "long" : "");
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    }
    bed_client("");
    uint64_t of_long = b.facts[100].position, last = b.facts[199].position;
    for (int round = 0; round < 2; round++) {
        bed_wait(&b, indexes_written, NULL); /* round 1: the names come from the files */
        journal_release(b.j, journal_durable(b.j).position);
        expect_overdue_before(&b, of_long);
        if (round == 0)
            bed_reopen(&b);
        assert_int_equal(journal_keep_clients(b.j, 0, keep, 2), ERR_OK);
    }
    assert_int_equal(journal_keep_clients(b.j, 3600 * 1000, keep + 1, 1), ERR_OK); /* long as all, short as it says */
    expect_overdue_before(&b, of_long);
    assert_int_equal(journal_keep_clients(b.j, 0, NULL, 0), ERR_OK); /* all as the journal's own */
    expect_overdue_before(&b, last);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across_segments), cmocka_unit_test(test_pages),
        cmocka_unit_test(test_ruined_indexes),  cmocka_unit_test(test_by_id),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_key_scope),
        cmocka_unit_test(test_index_file),      cmocka_unit_test(test_sets_of_clients),
        cmocka_unit_test(test_keep_of_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
