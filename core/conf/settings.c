/* The daemon's settings as a table and as a struct, and the rules that tie several of them together: who may listen
 * where, what fits into what. Pure but for the control group's memory limit. */
#include "conf/settings.h"

#include "base/log.h"
#include "conf/address.h"
#include "conf/memory.h"
#include "conf/store.h"
#include "conf/value.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The second member, for the types that have one. */
#define ALSO_ADDRESSES(name)  0
#define ALSO_LIST(name)       0
#define ALSO_PATHS(name)      0
#define ALSO_TEXT(name)       0
#define ALSO_FLAG(name)       0
#define ALSO_COUNT(name)      0
#define ALSO_MODE(name)       0
#define ALSO_SIZE(name)       0
#define ALSO_DURATION(name)   0
#define ALSO_SHARE(name)      offsetof(struct settings, name##_percent)
#define ALSO_CHOICE(name)     0
#define ALSO_AUTH(name)       0
#define ALSO_DURABILITY(name) offsetof(struct settings, name##_ms)
#define RELOAD                true
#define RESTART               false

const struct opt settings_table[SETTINGS_COUNT] = {
#define SECTION(name, text)
#define OPTION(section, key, type, fallback, limits, zero, reload, text)                                               \
    {#section "." #key,                                                                                                \
     OPT_##type,                                                                                                       \
     fallback,                                                                                                         \
     limits,                                                                                                           \
     zero,                                                                                                             \
     reload,                                                                                                           \
     text,                                                                                                             \
     offsetof(struct settings, section##_##key),                                                                       \
     ALSO_##type(section##_##key)},
#include "conf/options.def"
#undef OPTION
#undef SECTION
};

/* Choices are written into their members as an int, and log.level is handed to base/log as it is. */
_Static_assert(sizeof(enum choice_rows_keys) == sizeof(int), "enums are as large as int");
_Static_assert((int)LOG_LEVEL_ERROR == (int)LOG_ERROR && (int)LOG_LEVEL_DEBUG == (int)LOG_DEBUG, "the order of log.h");

bool settings_reloadable(const char *key)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(settings_table[i].key, key) == 0)
            return settings_table[i].reloadable;
    return false;
}

char *settings_fallback(const struct opt *o)
{
    static const char mark[] = "<prefix>";
    if (strncmp(o->fallback, mark, sizeof mark - 1) != 0)
        return strdup(o->fallback);
    return lines_copy("%s%s", HG_PREFIX, o->fallback + sizeof mark - 1);
}

/* --- rules --- */

static void check_reach(const char *const *addresses, unsigned auth, const char *section, struct lines *faults)
{
    for (size_t i = 0; auth == AUTH_UNSET && addresses[i] != NULL; i++)
        if (!address_is_local(addresses[i]))
            lines_add(faults,
                      "%s.listen: %s can be reached from other machines, but %s.auth is not written out; set %s.auth = "
                      "keys, or none to let everybody in, or listen on 127.0.0.1 or a unix socket",
                      section, addresses[i], section, section);
}

static bool any_remote(const char *const *addresses)
{
    for (size_t i = 0; addresses[i] != NULL; i++)
        if (!address_is_local(addresses[i]))
            return true;
    return false;
}

static void check_auth(const struct settings *s, const char *section, unsigned auth, bool tls,
                       const char *const *addresses, struct lines *faults, struct lines *notices)
{
    bool encrypted = s->tls_certificate != NULL && tls;
    if ((auth & AUTH_MTLS) != 0 && (!encrypted || s->tls_client_ca == NULL || s->tls_client_roles == NULL))
        lines_add(faults, "%s.auth: `mtls` needs %s.tls = yes, tls.certificate, tls.client_ca and tls.client_roles",
                  section, section);
    if ((auth & (AUTH_KEYS | AUTH_OIDC)) != 0 && !encrypted && any_remote(addresses))
        lines_add(
            notices,
            "%s.auth: keys and tokens travel readable without TLS (tls.certificate); see to it that nobody listens",
            section);
}

/* A key that was fetched in clear could be anybody's. */
static bool is_safe_url(const char *url)
{
    struct err e;
    char host[256];
    if (value_url(url, &e) != ERR_OK)
        return false;
    if (strncmp(url, "https://", 8) == 0)
        return true;
    size_t len = strcspn(url + 7, "/");
    if (len + 3 >= sizeof host)
        return false;
    memcpy(host, url + 7, len);
    memcpy(host + len, ":1", 3);
    if (address_check(host, NULL) == ERR_OK) /* had no port of its own */
        return address_is_local(host);
    host[len] = '\0';
    return address_is_local(host);
}

static void check_oidc(const struct settings *s, struct lines *faults)
{
    int ignored;
    struct err e = {.text = ""};
    if (((s->http_auth | s->admin_auth) & AUTH_OIDC) != 0 && (s->oidc_issuer == NULL || s->oidc_audience == NULL))
        lines_add(faults, "`oidc` in http.auth or admin.auth needs oidc.issuer and oidc.audience");
    if (s->oidc_issuer != NULL && !is_safe_url(s->oidc_issuer))
        lines_add(faults, "oidc.issuer: write an https address (http only on loopback)");
    if (s->oidc_jwks_url != NULL && !is_safe_url(s->oidc_jwks_url))
        lines_add(faults, "oidc.jwks_url: write an https address (http only on loopback)");
    for (size_t i = 0; s->oidc_algorithms[i] != NULL; i++)
        if (value_choice(s->oidc_algorithms[i], OIDC_ALGORITHMS, &ignored, &e) != ERR_OK)
            lines_add(faults, "oidc.algorithms: %s", e.text);
}

static void check_tls(const struct settings *s, struct lines *faults, struct lines *notices)
{
    if ((s->tls_certificate == NULL) != (s->tls_key == NULL))
        lines_add(faults, "tls.certificate and tls.key belong together; set both or neither");
    if (s->tls_certificate == NULL && (s->tls_client_ca != NULL || s->tls_client_roles != NULL))
        lines_add(faults, "tls.client_ca and tls.client_roles mean nothing without tls.certificate");
    if (s->tls_client_crl != NULL && s->tls_client_ca == NULL)
        lines_add(faults, "tls.client_crl: name those who sign the certificates in tls.client_ca");
    if (s->tls_client_required && s->tls_client_ca == NULL)
        lines_add(faults, "tls.client_required: name those who sign the certificates in tls.client_ca");
    check_auth(s, "http", s->http_auth, s->http_tls, s->http_listen, faults, notices);
    check_auth(s, "admin", s->admin_auth, s->admin_tls, s->admin_listen, faults, notices);
}

/* Port 0 is a new port each time, so it may be written twice. */
static bool same_place(const char *a, const char *b)
{
    const char *port = strrchr(a, ':');
    return strcmp(a, b) == 0 && (strncmp(a, "unix:", 5) == 0 || port == NULL || strtol(port + 1, NULL, 10) != 0);
}

static void check_twice(const struct settings *s, struct lines *faults)
{
    const struct {
        const char *key;
        const char *const *addresses;
    } all[] = {{"http.listen", s->http_listen}, {"admin.listen", s->admin_listen}, {"probes.listen", s->probes_listen}};
    for (size_t a = 0; a < COUNT_OF(all); a++)
        for (size_t b = a; b < COUNT_OF(all); b++)
            for (size_t i = 0; all[a].addresses[i] != NULL; i++)
                for (size_t j = a == b ? i + 1 : 0; all[b].addresses[j] != NULL; j++)
                    if (same_place(all[a].addresses[i], all[b].addresses[j]))
                        lines_add(faults, "%s: %s is also in %s; an address can be listened on once", all[a].key,
                                  all[a].addresses[i], all[b].key);
}

static void check_journal(const struct settings *s, struct lines *faults)
{
    if (s->journal_segment % 4096 != 0)
        lines_add(faults, "journal.segment: it must be a multiple of 4KiB");
    if (s->journal_max_bytes != 0 && s->journal_max_bytes / 2 < s->journal_segment) {
        char segment[32];
        value_size_text((int64_t)s->journal_segment, segment);
        lines_add(faults, "journal.max_bytes: it must hold at least two segments of journal.segment (%s)", segment);
    }
}

static uint64_t memory_default(void)
{
    const uint64_t most = UINT64_C(128) << 20, least = UINT64_C(1) << 20;
    uint64_t quarter = memory_group_limit("") / 4;
    return quarter > most ? most : quarter < least ? least : quarter;
}

/* A body that can never be taken is no fault: the answer to it is 413, and a small gateway keeps its defaults. */
static void check_body(const struct settings *s, struct lines *notices)
{
    char body[32], other[32];
    value_size_text((int64_t)s->http_max_body, body);
    if (s->http_max_body > s->http_max_memory / 4 * 3) {
        value_size_text((int64_t)s->http_max_memory, other);
        lines_add(notices,
                  "http.max_body (%s) is more than three quarters of http.max_memory (%s): bodies of that size "
                  "will be refused",
                  body, other);
    }
    if (s->http_max_body > s->journal_segment / 2) {
        value_size_text((int64_t)s->journal_segment, other);
        lines_add(notices,
                  "http.max_body (%s) is more than half of journal.segment (%s): bodies of that size will be "
                  "refused",
                  body, other);
    }
}

void settings_finish(struct settings *s, struct lines *faults, struct lines *notices)
{
    if (s->http_max_memory == 0)
        s->http_max_memory = memory_default();
    check_reach(s->http_listen, s->http_auth, "http", faults);
    check_reach(s->admin_listen, s->admin_auth, "admin", faults);
    check_tls(s, faults, notices);
    check_oidc(s, faults);
    check_twice(s, faults);
    check_journal(s, faults);
    check_body(s, notices);
}
