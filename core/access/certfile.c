/* Lines that say which certificate may do what.
 *
 * Names are compared whole, never as patterns: what a line lets in can be read off it. A name in the certificate that
 * holds a NUL fits nothing. That the certificate is signed by the right authority, and in time, TLS has seen to. */
#include "access/certs.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *const kinds[CERT_KIND_COUNT] = {
#define CERT_KIND(id, word) word,
    CERT_KINDS(CERT_KIND)
#undef CERT_KIND
};

void certfile_fini(struct certfile *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->rules[i].value);
    free(f->rules);
    *f = (struct certfile){0};
}

/* --- the file --- */

/* The next word of a line; empty at its end. */
static struct slice word_of(struct slice *line)
{
    while (line->len > 0 && (*line->ptr == ' ' || *line->ptr == '\t' || *line->ptr == '\r'))
        *line = slice_make(line->ptr + 1, line->len - 1);
    size_t len = 0;
    while (len < line->len && strchr(" \t\r", line->ptr[len]) == NULL)
        len++;
    struct slice word = slice_make(line->ptr, len);
    *line = slice_make(line->ptr + len, line->len - len);
    return word;
}

/* Fingerprints are written with colons or without. */
static void normalize(struct cert_rule *rule)
{
    size_t len = 0;
    if (rule->kind != CERT_DNS && rule->kind != CERT_EMAIL && rule->kind != CERT_SHA256)
        return;
    for (const char *p = rule->value; *p != '\0'; p++)
        if (rule->kind != CERT_SHA256 || *p != ':')
            rule->value[len++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    rule->value[len] = '\0';
}

static bool who_parse(struct slice word, struct cert_rule *rule)
{
    for (int k = 0; k < CERT_KIND_COUNT; k++) {
        size_t len = strlen(kinds[k]);
        if (word.len <= len + 1 || strncmp(word.ptr, kinds[k], len) != 0 || word.ptr[len] != ':')
            continue;
        rule->kind = (enum cert_kind)k;
        rule->value = strndup(word.ptr + len + 1, word.len - len - 1);
        if (rule->value != NULL)
            normalize(rule);
        return true;
    }
    return false;
}

static bool roles_parse_word(struct slice word, unsigned *roles)
{
    char text[128];
    if (word.len >= sizeof text || (word.len > 0 && word.ptr[word.len - 1] == ','))
        return false; /* behind `ingest, read` somebody would look for a client called read */
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    return roles_parse(text, roles, NULL) == ERR_OK;
}

/* `rule->value` is the caller's, whatever comes out. */
static int line_parse(struct slice line, unsigned number, struct cert_rule *rule, struct err *e)
{
    struct slice who = word_of(&line), roles = word_of(&line), client = word_of(&line), more = word_of(&line);
    if (!who_parse(who, rule))
        return err_set(e, ERR_SYNTAX, "line %u: it begins with cn:, dns:, uri:, email: or sha256: and a name", number);
    if (rule->value == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (rule->kind == CERT_SHA256 && (strlen(rule->value) != 64 || strspn(rule->value, "0123456789abcdef") != 64))
        return err_set(e, ERR_SYNTAX, "line %u: a fingerprint has 64 hexadecimal digits", number);
    if (!roles_parse_word(roles, &rule->roles))
        return err_set(e, ERR_SYNTAX, "line %u: the second word is one or more of ingest,read,operate,admin", number);
    if (more.len > 0 || (client.len > 0 && !client_valid(client)))
        return err_set(
            e, ERR_SYNTAX,
            "line %u: the third word, if there is one, is a client: 1 to %d letters, digits and ._@-; nothing "
            "follows it",
            number, CLIENT_MAX);
    memcpy(rule->client, client.ptr, client.len);
    rule->client[client.len] = '\0';
    return ERR_OK;
}

static int rule_add(struct certfile *f, struct slice line, unsigned number, struct err *e)
{
    struct slice rest = line;
    struct slice first = word_of(&rest);
    if (first.len == 0 || first.ptr[0] == '#')
        return ERR_OK;
    if (f->count == CERTS_MAX)
        return err_set(e, ERR_SYNTAX, "there are more than %d lines", CERTS_MAX);
    struct cert_rule *grown = realloc(f->rules, (f->count + 1) * sizeof *grown);
    if (grown == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    f->rules = grown;
    struct cert_rule *rule = &f->rules[f->count++];
    *rule = (struct cert_rule){.value = NULL};
    return line_parse(line, number, rule, e);
}

int certfile_parse(struct slice text, struct certfile *out, struct err *e)
{
    struct certfile f = {0};
    int code = ERR_OK;
    for (unsigned number = 1; code == ERR_OK && text.len > 0; number++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        code = memchr(text.ptr, '\0', len) == NULL ? rule_add(&f, slice_make(text.ptr, len), number, e)
                                                   : err_set(e, ERR_SYNTAX, "line %u: there is a NUL", number);
        len += end != NULL;
        text = slice_make(text.ptr + len, text.len - len);
    }
    if (code == ERR_OK)
        *out = f;
    else
        certfile_fini(&f);
    return code;
}

/* --- the certificate --- */

static bool equal(const struct cert_rule *rule, const unsigned char *text, int len)
{
    size_t size = strlen(rule->value);
    if (text == NULL || len < 0 || (size_t)len != size)
        return false;
    bool folded = rule->kind == CERT_DNS || rule->kind == CERT_EMAIL;
    return folded ? strncasecmp((const char *)text, rule->value, size) == 0 : memcmp(text, rule->value, size) == 0;
}

static bool cn_fits(const struct cert_rule *rule, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return false; /* none, or several: it is not clear who that is */
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool fits = equal(rule, text, len);
    OPENSSL_free(text);
    return fits;
}

static bool san_fits(const struct cert_rule *rule, const GENERAL_NAMES *names)
{
    int wanted = rule->kind == CERT_DNS ? GEN_DNS : rule->kind == CERT_URI ? GEN_URI : GEN_EMAIL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == wanted && equal(rule, ASN1_STRING_get0_data(text), ASN1_STRING_length(text)))
            return true;
    }
    return false;
}

static bool sum_fits(const struct cert_rule *rule, const X509 *certificate)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;
    if (X509_digest(certificate, EVP_sha256(), sum, &len) != 1)
        return false;
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return strcmp(hex, rule->value) == 0;
}

const struct cert_rule *certfile_find(const struct certfile *f, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const struct cert_rule *found = NULL;
    for (size_t i = 0; found == NULL && i < f->count; i++) {
        const struct cert_rule *rule = &f->rules[i];
        bool fits = false;
        switch (rule->kind) {
        case CERT_CN: fits = cn_fits(rule, certificate); break;
        case CERT_DNS:
        case CERT_URI:
        case CERT_EMAIL: fits = names != NULL && san_fits(rule, names); break;
        case CERT_SHA256: fits = sum_fits(rule, certificate); break;
        case CERT_KIND_COUNT: break;
        }
        if (fits)
            found = rule;
    }
    GENERAL_NAMES_free(names);
    return found;
}
