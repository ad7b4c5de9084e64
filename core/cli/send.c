/* `headgate send`: rows from files or standard input, posted in order until all are acknowledged.
 *
 * Each file is read twice. The first pass checks its structure and makes its digest, so that a broken file is refused
 * before anything of it is sent; the second sends. The uuid (unless one is given) comes from the digest and the
 * Idempotency-Key of a request from digest, first row and uuid: the same file sent again, also after a crash in the
 * middle, is recognised by the gateway for as long as it remembers. */
#include "cli/cli.h"

#include "base/sys.h"
#include "cli/human.h"
#include "cli/keep.h"
#include "cli/post.h"
#include "cli/remote.h"
#include "cli/say.h"
#include "common/csvcell.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RETRY_FOR_MS = 120000, KEY_TEXT = 2 * INPUT_DIGEST + 1, UUID_TEXT = 37, KEEP_SHORT_MS = 3600000 };

struct send {
    struct args args;
    struct rowfile_options options;
    struct post post;
    int64_t batch_rows;
    bool quiet;
    /* of the file at hand: */
    struct input input;
    struct rowfile file;
    struct parcel parcel;
    struct progress progress;
    unsigned char digest[INPUT_DIGEST];
    char derived[UUID_TEXT];
    const char *uuid;
    uint64_t total;   /* rows the first pass found */
    uint64_t ordinal; /* of the parcel's first row in the file */
    size_t step;      /* rows in one request; less after a 413 */
};

/* --- options --- */

/* The place of an option's value among `words`; 0 when it was not given. */
static int one_word(const struct args *a, enum option_id option, const char *words, int *out)
{
    const char *text = args_value(a, option, NULL);
    *out = text == NULL ? 0 : csvform_word(text, words);
    return *out >= 0 ? EXIT_DONE
                     : say_error(EXIT_USAGE, "send: --%s must be one of %s", option_rows[option].name, words);
}

/* How CSV is written. Without --delimiter the file's name tells. */
static int send_csv(struct send *s)
{
    static const enum option_id only[] = {OPT_DELIMITER, OPT_DECIMAL, OPT_QUOTES, OPT_ENCODING,
                                          OPT_SKIP,      OPT_TYPES,   OPT_INDEX};
    const struct args *a = &s->args;
    struct csvform *form = &s->options.csv;
    const char *delimiter = args_value(a, OPT_DELIMITER, NULL);
    int decimal = 0, quotes = 0, encoding = 0;
    int64_t skip = 0;
    for (size_t i = 0; i < COUNT_OF(only); i++)
        s->options.csv_only = s->options.csv_only || args_has(a, only[i]);
    if (delimiter != NULL && csvform_delimiter(delimiter, &form->delimiter) != 0)
        return say_error(EXIT_USAGE,
                         "send: --delimiter must be one character, no quote and no letter beyond ASCII, or `tab`");
    int exit = one_word(a, OPT_DECIMAL, ".|,", &decimal);
    if (exit == EXIT_DONE)
        exit = one_word(a, OPT_QUOTES, CSVFORM_QUOTES, &quotes);
    if (exit == EXIT_DONE)
        exit = one_word(a, OPT_ENCODING, CSVFORM_ENCODINGS, &encoding);
    if (exit == EXIT_DONE)
        exit = args_number(a, OPT_SKIP, 0, CSVFORM_SKIP_MAX, &skip);
    *form = (struct csvform){.delimiter = form->delimiter,
                             .decimal = ".,"[decimal < 0 ? 0 : decimal],
                             .quotes = (enum csvform_quotes)quotes,
                             .encoding = (enum csvform_encoding)encoding,
                             .skip = (uint32_t)skip,
                             .types = args_value(a, OPT_TYPES, NULL),
                             .index = args_value(a, OPT_INDEX, NULL)};
    return exit;
}

static int send_format(struct send *s)
{
    const char *format = args_value(&s->args, OPT_FORMAT, NULL);
    int exit = send_csv(s);
    if (exit == EXIT_DONE && format != NULL && rowfile_format(format, &s->options) != ERR_OK)
        return say_error(EXIT_USAGE, "send: --format must be ndjson, json, csv or tsv, not `%s`", format);
    return exit;
}

static int send_options(struct send *s)
{
    s->batch_rows = PARCEL_ROWS;
    s->post.retry_for_ms = RETRY_FOR_MS;
    s->quiet = args_has(&s->args, OPT_QUIET);
    s->uuid = args_value(&s->args, OPT_UUID, NULL);
    int exit = send_format(s);
    if (exit == EXIT_DONE)
        exit = args_number(&s->args, OPT_BATCH, 1, PARCEL_ROWS_MAX, &s->batch_rows);
    if (exit == EXIT_DONE)
        exit = args_duration(&s->args, OPT_RETRY_FOR, &s->post.retry_for_ms);
    if (exit == EXIT_DONE && s->uuid != NULL &&
        (s->uuid[0] == '\0' || csvcell_utf8((struct hg_text){s->uuid, strlen(s->uuid)}) != strlen(s->uuid)))
        return say_error(EXIT_USAGE, "send: --uuid must be 1 to 128 characters of UTF-8");
    return exit;
}

static int send_connect(struct send *s)
{
    struct err e = {0};
    struct target target;
    char *token = NULL;
    const char *to = args_value(&s->args, OPT_TO, NULL);
    int code = to != NULL ? remote_target_parse(to, &target, &e)
                          : remote_target("http.listen", "HEADGATE_HTTP_LISTEN", "127.0.0.1:8080", &target, &e);
    if (code != ERR_OK)
        return say_error(EXIT_USAGE, "send: %s", e.text);
    code = call_token(&token, &e);
    if (code == ERR_OK)
        code = call_open(&s->post.call, &target, token, args_value(&s->args, OPT_CA, NULL), &e);
    free(token);
    return code == ERR_OK ? EXIT_DONE : say_error(code == ERR_NOMEM ? EXIT_INTERNAL : EXIT_CONFIG, "%s", e.text);
}

/* --- names made from the digest --- */

/* RFC 9562, version 8: the bits are the digest's. */
static void uuid_derive(const unsigned char digest[INPUT_DIGEST], char out[UUID_TEXT])
{
    unsigned char b[16];
    memcpy(b, digest, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x80);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    size_t at = 0;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        at += (size_t)snprintf(out + at, UUID_TEXT - at, "%02x", b[i]);
    }
}

static int key_derive(const struct send *s, uint64_t ordinal, char out[KEY_TEXT])
{
    unsigned char place[8], sum[EVP_MAX_MD_SIZE];
    const char *uuid = s->file.documents ? "" : s->uuid;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    for (int i = 0; i < 8; i++)
        place[i] = (unsigned char)(ordinal >> (8 * i));
    bool well = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(hash, s->digest, INPUT_DIGEST) == 1 &&
                EVP_DigestUpdate(hash, place, sizeof place) == 1 && EVP_DigestUpdate(hash, uuid, strlen(uuid)) == 1 &&
                EVP_DigestFinal_ex(hash, sum, NULL) == 1;
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; well && i < INPUT_DIGEST; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    return well ? EXIT_DONE : say_error(EXIT_INTERNAL, "SHA-256 failed");
}

/* --- one file --- */

/* A fault of the file. "line N: what" becomes "file:N: what", as compilers write it. */
static int file_fault(const struct send *s, int code, const struct err *e)
{
    unsigned long long line;
    int used = 0;
    const char *name = s->input.name;
    if (code == ERR_USAGE)
        return say_error(EXIT_USAGE, "send: %s: %s", name, e->text);
    if (sscanf(e->text, "line %llu: %n", &line, &used) == 1 && used > 0)
        return say_error(EXIT_REFUSED, "%s:%llu: %s", name, line, e->text + used);
    return say_error(exit_of(code), "%s", e->text[0] != '\0' ? e->text : err_text(code));
}

/* The first pass: structure and digest. */
static int file_check(struct send *s)
{
    struct err e = {0};
    struct row row;
    int code;
    s->total = 0;
    while ((code = rowfile_next(&s->file, &row, &e)) == ERR_OK)
        s->total++;
    if (code != ERR_NOTFOUND)
        return file_fault(s, code, &e);
    if (input_digest(&s->input, s->digest) != ERR_OK)
        return say_error(EXIT_INTERNAL, "SHA-256 failed");
    if (s->file.documents && args_has(&s->args, OPT_UUID))
        return say_error(EXIT_USAGE, "send: %s holds whole documents with uuids of their own; leave --uuid out",
                         s->input.name);
    return EXIT_DONE;
}

static void file_announce(struct send *s)
{
    if (s->file.blank > 0 && !s->quiet)
        say_note("%s: %" PRIu64 " empty lines skipped", s->input.name, s->file.blank);
    if (s->file.documents)
        return;
    s->uuid = args_value(&s->args, OPT_UUID, NULL);
    if (s->uuid == NULL) {
        uuid_derive(s->digest, s->derived);
        s->uuid = s->derived;
    }
    if (!s->quiet)
        say_note("%s: uuid %s%s", s->input.name, s->uuid,
                 s->uuid == s->derived ? " (from the file's digest: sent again, the file has the same)" : "");
}

/* The parcel in requests of at most `step` rows. */
static int parcel_send(struct send *s)
{
    char key[KEY_TEXT];
    for (size_t at = 0; at < s->parcel.count;) {
        size_t count = s->parcel.count - at < s->step ? s->parcel.count - at : s->step;
        bool too_large;
        int exit = key_derive(s, s->ordinal + at, key);
        if (exit != EXIT_DONE)
            return exit;
        if (parcel_build(&s->parcel, s->uuid, at, count) != ERR_OK)
            return say_error(EXIT_INTERNAL, "out of memory");
        exit = post_parcel(&s->post, &s->parcel, key, &too_large);
        if (too_large) {
            s->step = count / 2;
            continue;
        }
        if (exit != EXIT_DONE)
            return exit;
        at += count;
        progress_show(&s->progress, s->ordinal + at);
    }
    s->ordinal += s->parcel.count;
    parcel_clear(&s->parcel);
    return EXIT_DONE;
}

/* The second pass. */
static int file_rows(struct send *s)
{
    struct err e = {0};
    struct row row;
    int code, exit = EXIT_DONE;
    while ((code = rowfile_next(&s->file, &row, &e)) == ERR_OK) {
        if (!parcel_takes(&s->parcel, &row) && (exit = parcel_send(s)) != EXIT_DONE)
            return exit;
        if (parcel_add(&s->parcel, &row) != ERR_OK)
            return say_error(EXIT_INTERNAL, "out of memory");
    }
    if (code != ERR_NOTFOUND)
        return file_fault(s, code, &e);
    exit = parcel_send(s);
    unsigned char digest[INPUT_DIGEST];
    if (exit == EXIT_DONE &&
        (input_digest(&s->input, digest) != ERR_OK || memcmp(digest, s->digest, INPUT_DIGEST) != 0))
        exit = say_error(EXIT_REFUSED, "%s changed while it was sent: some rows may be missing or from both versions",
                         s->input.name);
    return exit;
}

/* The gateway forgets row sets after a while; then the same file again is new rows. */
static void file_warn(const struct send *s)
{
    struct keep keep;
    const struct post *p = &s->post;
    char bytes[HUMAN_MAX];
    const char *name = s->input.name;
    keep_ask(&s->args, &keep);
    if (p->forgotten)
        say_note("warning: %s: some rows were taken as new although later ones were there already: the gateway had "
                 "forgotten an earlier run (journal.keep), they may be there twice",
                 name);
    else if (p->replayed > 0 && p->replayed < p->rows)
        say_note(
            "%s: this went on where an earlier run ended. The gateway remembers for %s: if that run is longer ago, "
            "some rows may be there twice",
            name, keep.known ? keep.text : "as long as its journal.keep says");
    if (keep.known && keep.ms < KEEP_SHORT_MS)
        say_note("warning: the gateway remembers what was sent for %s only (journal.keep): after that the same file "
                 "again is new rows",
                 keep.text);
    human_bytes((double)keep.bytes, bytes);
    if (keep.bytes >= 0 && (uint64_t)keep.bytes < s->input.size)
        say_note(
            "warning: the gateway remembers %s only (journal.keep_bytes), less than this file: sent again, rows may "
            "be there twice",
            bytes);
}

static void file_report(const struct send *s, int64_t began_ms)
{
    const struct post *p = &s->post;
    char took[HUMAN_MAX], there[80] = "", weak[80] = "";
    human_seconds((double)(clock_ms() - began_ms) / 1000, took);
    if (p->replayed > 0)
        snprintf(there, sizeof there, " (%" PRIu64 " were there already)", p->replayed);
    if (p->durability[0] != '\0' && strcmp(p->durability, "fsync") != 0)
        snprintf(weak, sizeof weak, "; durability %s", p->durability);
    say_note("%s: %" PRIu64 " rows acknowledged%s in %s%s", s->input.name, p->rows, there, took, weak);
    if (p->replayed > 0 && p->replayed == p->rows)
        say_note("%s was sent before; to send it as new rows give another --uuid", s->input.name);
    file_warn(s);
}

static int file_open(struct send *s, const char *path)
{
    struct err e = {0};
    int code = input_open(&s->input, path, &e);
    if (code != ERR_OK)
        return say_error(code == ERR_NOTFOUND ? EXIT_DISK : exit_of(code), "%s", e.text);
    code = rowfile_open(&s->file, &s->input, &s->options, &e);
    return code == ERR_OK ? EXIT_DONE : file_fault(s, code, &e);
}

static int file_send(struct send *s, const char *path)
{
    struct err e = {0};
    int64_t began_ms = clock_ms();
    int exit = file_open(s, path);
    if (exit == EXIT_DONE)
        exit = file_check(s);
    if (exit == EXIT_DONE) {
        file_announce(s);
        progress_init(&s->progress, s->input.name, s->total, s->quiet);
        post_begin(&s->post, s->input.name, &s->progress);
        s->ordinal = 0;
        s->step = (size_t)s->batch_rows;
        if (parcel_init(&s->parcel, s->step, s->file.documents) != ERR_OK)
            exit = say_error(EXIT_INTERNAL, "out of memory");
        else if (rowfile_begin(&s->file, &e) != ERR_OK)
            exit = say_error(EXIT_DISK, "%s", e.text);
        else
            exit = file_rows(s);
        progress_clear(&s->progress);
        if (exit == EXIT_DONE && !s->quiet)
            file_report(s, began_ms);
    }
    parcel_fini(&s->parcel);
    rowfile_close(&s->file);
    input_close(&s->input);
    return exit;
}

int verb_send(int argc, char **argv)
{
    struct send s = {.input.fd = -1};
    int exit = args_parse(&s.args, "send", argc, argv);
    if (exit == EXIT_DONE)
        exit = send_options(&s);
    if (exit == EXIT_DONE)
        exit = send_connect(&s);
    if (exit == EXIT_DONE && s.args.rest_count == 0)
        exit = file_send(&s, NULL);
    for (int i = 0; exit == EXIT_DONE && i < s.args.rest_count; i++)
        exit = file_send(&s, s.args.rest[i]);
    call_close(&s.post.call);
    args_fini(&s.args);
    return exit;
}
