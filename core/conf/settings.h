/* The typed settings of the daemon: one member for each row of options.def, named section_key.
 *
 *     ADDRESSES LIST PATHS   const char *const *   NULL-terminated, never NULL itself
 *     TEXT                   const char *          NULL when unset
 *     FLAG COUNT MODE        bool, uint32_t, uint32_t
 *     SIZE DURATION          uint64_t bytes, int64_t milliseconds
 *     SHARE                  uint64_t bytes; or, when that is 0, int <name>_percent; both 0: `auto`
 *     CHOICE                 an enum
 *     AUTH                   unsigned, bits of enum auth
 *     DURABILITY             an enum, and int64_t <name>_ms for `interval:`
 *
 * Texts are owned by the `struct conf` it belongs to. */
#ifndef HG_CONF_SETTINGS_H
#define HG_CONF_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* The words of every choice with their constants, in order. log.level is in the order of base/log.h. */
#define CHOICES_rows_keys(C) C(ROWS_KEYS_CAMEL, "camel") C(ROWS_KEYS_ANY, "any")
#define CHOICES_log_level(C)                                                                                           \
    C(LOG_LEVEL_ERROR, "error") C(LOG_LEVEL_WARN, "warn") C(LOG_LEVEL_INFO, "info") C(LOG_LEVEL_DEBUG, "debug")
#define CHOICES_tls_minimum(C) C(TLS_MINIMUM_12, "1.2") C(TLS_MINIMUM_13, "1.3")
#define CHOICES_log_format(C)  C(LOG_FORMAT_AUTO, "auto") C(LOG_FORMAT_TEXT, "text") C(LOG_FORMAT_JSON, "json")

#define CHOICE_ID(id, text) id,
enum choice_rows_keys { CHOICES_rows_keys(CHOICE_ID) };
enum choice_log_level { CHOICES_log_level(CHOICE_ID) };
enum choice_tls_minimum { CHOICES_tls_minimum(CHOICE_ID) };
enum choice_log_format { CHOICES_log_format(CHOICE_ID) };
#undef CHOICE_ID

/* How a token of an issuer may be signed; access/algorithm.def knows more of them. */
#define OIDC_ALGORITHMS "RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512"

/* Ways to let somebody in; any of them together. */
#define AUTH_WORDS(A) A(NONE, "none") A(KEYS, "keys") A(OIDC, "oidc") A(MTLS, "mtls")
enum auth_number {
#define AUTH_NUMBER(id, word) AUTH_NUMBER_##id,
    AUTH_WORDS(AUTH_NUMBER)
#undef AUTH_NUMBER
        AUTH_COUNT
};
enum auth {
    AUTH_UNSET = 0,
#define AUTH_BIT(id, word) AUTH_##id = 1 << AUTH_NUMBER_##id,
    AUTH_WORDS(AUTH_BIT)
#undef AUTH_BIT
};

/* In the order of `enum durability` of the journal. */
enum choice_durability { DURABLE_FSYNC, DURABLE_INTERVAL, DURABLE_NONE };

#define MEMBER_ADDRESSES(name) const char *const *name;
#define MEMBER_LIST(name)      const char *const *name;
#define MEMBER_PATHS(name)     const char *const *name;
#define MEMBER_TEXT(name)      const char *name;
#define MEMBER_FLAG(name)      bool name;
#define MEMBER_COUNT(name)     uint32_t name;
#define MEMBER_MODE(name)      uint32_t name;
#define MEMBER_SIZE(name)      uint64_t name;
#define MEMBER_DURATION(name)  int64_t name;
#define MEMBER_SHARE(name)                                                                                             \
    uint64_t name;                                                                                                     \
    int name##_percent;
#define MEMBER_CHOICE(name) enum choice_##name name;
#define MEMBER_AUTH(name)   unsigned name;
#define MEMBER_DURABILITY(name)                                                                                        \
    enum choice_durability name;                                                                                       \
    int64_t name##_ms;

struct settings {
#define SECTION(name, text)
#define OPTION(section, key, type, fallback, limits, zero, reload, text) MEMBER_##type(section##_##key)
#include "conf/options.def"
#undef OPTION
#undef SECTION
};

/* How much one client may do; 0: as much as there is room for. 64 bits each, so that there is no padding. */
struct client_limits {
    uint64_t bytes_per_second;
    uint64_t undelivered_bytes;
    int64_t keep; /* ms */
    uint32_t rows_per_second;
    uint32_t reserved;
};

/* Can a reload change `section.key`? false also for a key that there isn't. */
bool settings_reloadable(const char *key);

#endif
