/* The body is always packed as base64: rows may have lines of any length, any character, and a dot alone on a line.
 * Everything of a row that stands in the head was percent-encoded by its template, so it cannot begin a line. */
#include "mail.h"

#include "common/batch_key.h"
#include "common/percent.h"
#include "common/rowline.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ADDRESS_MAX = 254, LINE_BYTES = 57 /* become 76 */, WORD_BYTES = 45 /* become 60 */, PLAIN_MAX = 900 };

int mail_address_ok(const char *address)
{
    const char *at = strchr(address, '@');
    if (!at || at == address || at[1] == '\0' || strchr(at + 1, '@') || strlen(address) > ADDRESS_MAX)
        return 0;
    for (const char *p = address; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("<>()[]\\,;:\"", *p))
            return 0;
    return 1;
}

/* --- the head --- */

static void base64_add(struct strbuf *out, const char *ptr, size_t len)
{
    char *at = strbuf_room(out, (len + 2) / 3 * 4 + 1);
    if (at)
        out->len += (size_t)EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)ptr, (int)len);
}

static int is_plain(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            return 0;
    return !strstr(text, "=?") && strlen(text) <= PLAIN_MAX;
}

/* As it is, or as encoded words (RFC 2047), each of whole characters on a line of its own. */
static void subject_add(struct strbuf *out, const char *text)
{
    strbuf_adds(out, "Subject: ");
    if (is_plain(text))
        strbuf_adds(out, text);
    else
        for (size_t len = strlen(text), take; len > 0; text += take, len -= take) {
            take = len < WORD_BYTES ? len : WORD_BYTES;
            while (take < len && take > 1 && ((unsigned char)text[take] & 0xc0) == 0x80)
                take--;
            strbuf_adds(out, "=?UTF-8?B?");
            base64_add(out, text, take);
            strbuf_adds(out, take < len ? "?=\r\n " : "?=");
        }
    strbuf_adds(out, "\r\n");
}

static int id_add(struct strbuf *out, const char *from, const struct hg_api *api, const struct hg_rows *rows,
                  struct range range)
{
    char batch[HG_BATCH_ID_SIZE], digest[BATCH_DIGEST_SIZE];
    struct batch_key key;
    batch_key_start(&key);
    for (size_t n = range.from; n < range.to; n++)
        batch_key_add(&key, api, api->row(rows, n));
    api->batch_id(api->row(rows, range.from), batch);
    if (batch_key_digest(&key, digest) != 0)
        return -1;
    strbuf_addf(out, "Message-ID: <%s.%s%s>\r\n", batch, digest, strchr(from, '@'));
    return 0;
}

/* When its first row was received: a repeat has the same. */
static void date_add(struct strbuf *out, int64_t received)
{
    char text[64];
    struct tm tm = {0};
    time_t seconds = (time_t)(received / 1000000);
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    strbuf_addf(out, "Date: %s\r\n", text);
}

static int head_add(struct strbuf *out, const struct mail_head *head, enum mail_form form, const struct hg_api *api,
                    const struct hg_rows *rows, struct range range)
{
    const struct hg_row *first = api->row(rows, range.from);
    struct hg_text uuid = api->uuid(first);
    char id[HG_ROW_ID_SIZE];
    api->row_id(first, id);
    date_add(out, api->received(first));
    strbuf_addf(out, "From: %s\r\nTo: ", head->from);
    for (size_t i = 0; i < head->to_count; i++)
        strbuf_addf(out, "%s%s", i ? ",\r\n " : "", head->to[i]);
    strbuf_adds(out, "\r\n");
    subject_add(out, head->subject);
    if (id_add(out, head->from, api, rows, range) != 0)
        return -1;
    strbuf_adds(out, "X-Headgate-Uuid: ");
    percent_add(out, uuid.ptr, uuid.len);
    strbuf_addf(out, "\r\nX-Headgate-Rows: %zu\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
                range.to - range.from);
    if (form == MAIL_TEXT)
        strbuf_adds(out, "Content-Type: text/plain; charset=utf-8\r\n");
    else
        strbuf_addf(out,
                    "Content-Type: application/x-ndjson\r\n"
                    "Content-Disposition: attachment; filename=\"%s.ndjson\"\r\n",
                    id);
    strbuf_adds(out, "Content-Transfer-Encoding: base64\r\n\r\n");
    return 0;
}

int mail_build(struct strbuf *out, struct strbuf *scratch, const struct mail_head *head, enum mail_form form,
               const struct hg_api *api, const struct hg_rows *rows, struct range range)
{
    strbuf_clear(out);
    strbuf_clear(scratch);
    for (size_t n = range.from; n < range.to; n++) {
        rowline_add(scratch, api, api->row(rows, n));
        strbuf_addc(scratch, '\n');
    }
    if (head_add(out, head, form, api, rows, range) != 0 || scratch->failed)
        return -1;
    for (size_t at = 0, take; at < scratch->len; at += take) {
        take = scratch->len - at < LINE_BYTES ? scratch->len - at : LINE_BYTES;
        base64_add(out, scratch->ptr + at, take);
        strbuf_adds(out, "\r\n");
    }
    return out->failed ? -1 : 0;
}
