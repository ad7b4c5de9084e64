/* smtp: rows as mails, one for each row set, or several sets in one.
 *
 * A mail server takes a mail or it does not: 4xx and whatever is about the connection, the sender or the password means
 * that all rows wait. Only what is said about the mail's content, or about a recipient that came from the row itself,
 * is held against rows. At least once: a mail whose acknowledgement was lost is sent again, with the same Message-ID.
 */
#include "headgate.h"

#include "mail.h"

#include "common/curlhandle.h"
#include "common/pushtime.h"
#include "common/rowset.h"
#include "common/template.h"
#include "common/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *host, *user, *password, *from, *subject, *ca, *cert, *key;
    struct hg_list to;
    int64_t port, connect_timeout, request_timeout;
    int32_t tls, send, form, verify;
};

#define AT(member) offsetof(struct config, member)

enum { TLS_STARTTLS, TLS_SMTPS, TLS_NO };
enum { SEND_SET, SEND_DIGEST };

static const struct hg_option options[] = {
    {"HOST", HG_STRING, HG_REQUIRED, NULL, NULL, "Name or address of the mail server.", NULL, AT(host)},
    {"PORT", HG_INTEGER, 0, "0", "0..65535", "Its port; 0: 587 with starttls, 465 with smtps, 25 without TLS.", NULL,
     AT(port)},
    {"TLS", HG_CHOICE, 0, "starttls", "starttls|smtps|no",
     "TLS before anything is said of a user or a mail, from the first byte on, or not at all.", NULL, AT(tls)},
    {"SENDER", HG_STRING, HG_REQUIRED, NULL, NULL, "Address of the sender.", NULL, AT(from)},
    {"TO", HG_LIST, HG_REQUIRED, NULL, NULL, "Addresses of the recipients; templates.", NULL, AT(to)},
    {"SUBJECT", HG_STRING, 0, "rows of {uuid}", NULL, "What stands above the mail; a template.", NULL, AT(subject)},
    {"SEND", HG_CHOICE, 0, "set", "set|digest",
     "A mail for each row set, or one for all that come together and have the same recipients and subject.", NULL,
     AT(send)},
    {"FORM", HG_CHOICE, 0, "text", "text|attachment", "Rows in the mail, or as a file with it.", NULL, AT(form)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(password)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting may take.", NULL, AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long one mail may take; never longer than the pusher's TIMEOUT allows.", NULL, AT(request_timeout)},
};

enum { WHY_SIZE = 1000, TO_MAX = 32, URL_SIZE = 400, TEXT_MAX = 1 << 30, NAME_MAX_BYTES = 1 << 20, MAIL_MIN_MS = 500 };

struct smtp {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct transfer *transfer;
    struct template *to[TO_MAX], *subject;
    int own_recipients; /* a value of the row is part of an address */
    char url[URL_SIZE], from[300];
    struct strbuf recipients[TO_MAX], line; /* of the mail at hand; line: its subject */
    struct strbuf other;                    /* of the row that may belong to it too */
    struct strbuf text, scratch;
    char why[WHY_SIZE];
};

/* --- what the server says --- */

enum outcome { MAIL_TAKEN, MAIL_GUILTY, MAIL_NOT_NOW };

/* libcurl's sentence names the step; the server's line follows it. A refusal by policy (5.7.x) is about who we are. */
static enum outcome outcome_of(const struct smtp *s, CURLcode code)
{
    const char *said = transfer_reason(s->transfer);
    long answer = transfer_code(s->transfer);
    if (code == CURLE_OK)
        return MAIL_TAKEN;
    if (code == CURLE_LOGIN_DENIED || answer < 500 || answer > 599 || answer == 530 || answer == 535 ||
        strstr(said, " 5.7."))
        return MAIL_NOT_NOW;
    if (strncmp(said, "RCPT failed", 11) == 0)
        return s->own_recipients ? MAIL_GUILTY : MAIL_NOT_NOW;
    if (strncmp(said, "MAIL failed", 11) == 0)
        return answer == 552 ? MAIL_GUILTY : MAIL_NOT_NOW;
    /* Of the whole mail: its size, or what is in it. */
    return answer == 552 || answer == 554 || answer == 550 ? MAIL_GUILTY : MAIL_NOT_NOW;
}

static struct curl_slist *recipients_of(struct smtp *s)
{
    struct curl_slist *list = NULL;
    char line[300];
    for (size_t i = 0; i < s->config->to.count; i++) {
        snprintf(line, sizeof(line), "<%s>", strbuf_str(&s->recipients[i]));
        struct curl_slist *longer = curl_slist_append(list, line);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static enum outcome mail_send(struct smtp *s, const struct hg_rows *rows, struct range range)
{
    const char *to[TO_MAX];
    CURL *curl = transfer_curl(s->transfer);
    for (size_t i = 0; i < s->config->to.count; i++)
        to[i] = strbuf_str(&s->recipients[i]);
    const struct mail_head head = {s->config->from, to, s->config->to.count, strbuf_str(&s->line)};
    struct curl_slist *recipients = recipients_of(s);
    enum outcome outcome = MAIL_NOT_NOW;
    snprintf(s->why, sizeof(s->why), "no memory for the mail");
    if (recipients &&
        mail_build(&s->text, &s->scratch, &head, (enum mail_form)s->config->form, s->api, rows, range) == 0 &&
        curl_easy_setopt(curl, CURLOPT_MAIL_FROM, s->from) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients) == CURLE_OK) {
        outcome = outcome_of(s, transfer_send(s->transfer, s->url, s->text.ptr, s->text.len));
        snprintf(s->why, sizeof(s->why), "%s", transfer_reason(s->transfer));
    }
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(recipients);
    return outcome;
}

/* --- rows --- */

static void rows_judge(struct smtp *s, struct hg_rows *rows, struct range range, uint32_t verdict, const char *why)
{
    for (size_t n = range.from; n < range.to; n++)
        s->api->judge(rows, n, verdict, 0, why);
}

/* What is refused is halved until the guilty row stands alone. */
static int range_deliver(struct smtp *s, struct hg_rows *rows, struct range whole)
{
    struct ranges ranges;
    struct range range;
    ranges_start(&ranges, whole.from, whole.to);
    while (ranges_next(&ranges, &range)) {
        if (pushtime_over(s->api, s->host, rows, MAIL_MIN_MS))
            return HG_NOT_NOW;
        switch (mail_send(s, rows, range)) {
        case MAIL_TAKEN: rows_judge(s, rows, range, HG_OK, NULL); break;
        case MAIL_GUILTY:
            if (!ranges_halve(&ranges, range))
                rows_judge(s, rows, range, HG_REJECT, s->why);
            break;
        case MAIL_NOT_NOW: return s->api->not_now(rows, 0, s->why);
        }
    }
    return HG_JUDGED;
}

/* Recipients and subject. 0; 1: a recipient is no address (why says which); -1: no memory. */
static int head_expand(struct smtp *s, const struct hg_row *row)
{
    strbuf_clear(&s->line);
    template_expand(s->subject, s->api, row, &s->line);
    for (size_t i = 0; i < s->config->to.count; i++) {
        strbuf_clear(&s->recipients[i]);
        template_expand(s->to[i], s->api, row, &s->recipients[i]);
        if (s->recipients[i].failed || s->line.failed)
            return -1;
        if (!mail_address_ok(strbuf_str(&s->recipients[i]))) {
            snprintf(s->why, sizeof(s->why), "'%.300s' is no address to send a mail to", strbuf_str(&s->recipients[i]));
            return 1;
        }
    }
    return 0;
}

static int expands_alike(struct smtp *s, const struct template *t, const struct hg_row *row, const struct strbuf *to)
{
    strbuf_clear(&s->other);
    template_expand(t, s->api, row, &s->other);
    return !s->other.failed && s->other.len == to->len && memcmp(s->other.ptr, to->ptr, to->len) == 0;
}

static int same_head(struct smtp *s, const struct hg_row *row)
{
    int same = expands_alike(s, s->subject, row, &s->line);
    for (size_t i = 0; same && i < s->config->to.count; i++)
        same = expands_alike(s, s->to[i], row, &s->recipients[i]);
    return same;
}

static int smtp_push(void *state, struct hg_rows *rows)
{
    struct smtp *s = state;
    size_t count = s->api->row_count(rows);
    int result = HG_JUDGED;
    for (size_t at = 0, to; result == HG_JUDGED && at < count; at = to) {
        int expanded = head_expand(s, s->api->row(rows, at));
        to = rowset_at(s->api, rows, at).to;
        while (expanded == 0 && s->config->send == SEND_DIGEST && to < count && same_head(s, s->api->row(rows, to)))
            to = rowset_at(s->api, rows, to).to;
        if (expanded < 0)
            result = s->api->not_now(rows, 0, "no memory for the mail");
        else if (expanded > 0)
            rows_judge(s, rows, (struct range){at, to}, HG_REJECT, s->why);
        else
            result = range_deliver(s, rows, (struct range){at, to});
    }
    return result;
}

/* --- open and close --- */

static int smtp_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (curlhandle_global_start() == 0)
        return HG_OPEN_OK;
    api->fail(host, "libcurl cannot be started");
    return HG_OPEN_NOT_NOW;
}

static void smtp_close(void *state)
{
    struct smtp *s = state;
    transfer_free(&s->transfer);
    template_free(&s->subject);
    for (size_t i = 0; i < TO_MAX; i++) {
        template_free(&s->to[i]);
        strbuf_fini(&s->recipients[i]);
    }
    strbuf_fini(&s->line);
    strbuf_fini(&s->other);
    strbuf_fini(&s->text);
    strbuf_fini(&s->scratch);
    free(s);
}

/* Templates and addresses. 0, or -1 with a sentence. */
static int head_make(struct smtp *s)
{
    const struct config *c = s->config;
    char why[WHY_SIZE / 2];
    s->subject = template_new(c->subject, why, sizeof(why));
    if (!s->subject)
        return snprintf(s->why, sizeof(s->why), "SUBJECT %s", why), -1;
    if (!mail_address_ok(c->from))
        return snprintf(s->why, sizeof(s->why), "SENDER is no address"), -1;
    if (c->to.count == 0 || c->to.count > TO_MAX)
        return snprintf(s->why, sizeof(s->why), "TO has 1 to %d addresses", TO_MAX), -1;
    for (size_t i = 0; i < c->to.count; i++) {
        s->to[i] = template_new(c->to.items[i], why, sizeof(why));
        if (!s->to[i])
            return snprintf(s->why, sizeof(s->why), "TO %s", why), -1;
        s->own_recipients |= template_values(s->to[i]) != 0;
        if (template_values(s->to[i]) == 0 && !strchr(c->to.items[i], '%') && !mail_address_ok(c->to.items[i]))
            return snprintf(s->why, sizeof(s->why), "TO: '%.100s' is no address", c->to.items[i]), -1;
    }
    return 0;
}

static int transfer_make(struct smtp *s, int *broken)
{
    static const int ports[] = {587, 465, 25};
    const struct config *c = s->config;
    struct transfer_settings settings = {.protocols = c->tls == TLS_SMTPS ? "smtps" : "smtp",
                                         .user = c->user,
                                         .password = c->password,
                                         .ca = c->ca,
                                         .cert = c->cert,
                                         .key = c->key,
                                         .verify = c->verify,
                                         .starttls = c->tls == TLS_STARTTLS,
                                         .connect_ms = c->connect_timeout,
                                         .request_ms = c->request_timeout};
    int len = snprintf(s->url, sizeof(s->url), "%s://%s:%d", settings.protocols, c->host,
                       c->port ? (int)c->port : ports[c->tls]);
    *broken = 1;
    if (len >= (int)sizeof(s->url) || curlhandle_has_control(c->host) || strpbrk(c->host, "/@?# "))
        return snprintf(s->why, sizeof(s->why), "HOST is no name of a host"), -1;
    if (c->tls == TLS_NO && (c->ca || c->cert || c->key))
        return snprintf(s->why, sizeof(s->why), "certificates are given, but TLS is off"), -1;
    snprintf(s->from, sizeof(s->from), "<%s>", c->from);
    s->transfer = transfer_new(&settings, s->host, s->api, s->why, sizeof(s->why), broken);
    return s->transfer ? 0 : -1;
}

static int smtp_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    int broken = 1;
    struct smtp *s = calloc(1, sizeof(*s));
    if (!s) {
        api->fail(host, "no memory");
        return HG_OPEN_NOT_NOW;
    }
    *s = (struct smtp){.api = api, .host = host, .config = config};
    for (size_t i = 0; i < TO_MAX; i++)
        strbuf_init(&s->recipients[i], NAME_MAX_BYTES);
    strbuf_init(&s->line, NAME_MAX_BYTES);
    strbuf_init(&s->other, NAME_MAX_BYTES);
    strbuf_init(&s->text, TEXT_MAX);
    strbuf_init(&s->scratch, TEXT_MAX);
    if (head_make(s) != 0 || transfer_make(s, &broken) != 0) {
        api->fail(host, s->why);
        smtp_close(s);
        return broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    if (s->config->tls == TLS_NO || !s->config->verify)
        api->log(host, HG_LOG_WARN, "without TLS or VERIFY anybody on the way can read and change the mails");
    *state = s;
    return HG_OPEN_OK;
}

/* Connects and logs in. Whether the server takes mails for the recipients is told with the first one only. */
static int smtp_probe(void *state)
{
    struct smtp *s = state;
    if (transfer_ask(s->transfer, s->url, "NOOP") == CURLE_OK)
        return HG_OPEN_OK;
    s->api->fail(s->host, transfer_reason(s->transfer));
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_WHOLE_SETS,
    .max_parallel = 0,
    .start = smtp_start,
    .stop = curlhandle_global_stop,
    .open = smtp_open,
    .close = smtp_close,
    .push = smtp_push,
    .probe = smtp_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "smtp",
    .version = "1.0",
    .summary = "Sends row sets as mails.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(struct hg_option),
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}
