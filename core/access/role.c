/* The words of roles.
 *
 * A role is asked for by name everywhere and held as a bit. Which role implies which stands in one function, so that a
 * route names the least role that it takes. */
#include "access/role.h"

static const char *const words[ROLE_COUNT] = {
#define ROLE(id, word, text) word,
#include "access/role.def"
#undef ROLE
};

const char *role_word(enum role_number number)
{
    return words[number];
}

unsigned role_parse(struct slice word)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++)
        if (slice_is(word, words[i]))
            return 1u << i;
    return 0;
}

int roles_parse(const char *text, unsigned *out, struct err *e)
{
    unsigned roles = 0;
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ", \t");
        unsigned role = role_parse(slice_make(at, len));
        if (len > 0 && role == 0)
            return err_set(e, ERR_UNKNOWN, "\"%.*s\" is not one of ingest, read, operate, admin",
                           (int)(len < 40 ? len : 40), at);
        roles |= role;
        at += len;
    }
    if (roles == 0)
        return err_set(e, ERR_UNKNOWN, "name at least one of the roles ingest, read, operate, admin");
    *out = roles;
    return ERR_OK;
}

int roles_show(unsigned roles, struct buf *out)
{
    int code = ERR_OK;
    bool more = false;
    for (unsigned i = 0; code == ERR_OK && i < ROLE_COUNT; i++) {
        if ((roles & 1u << i) == 0)
            continue;
        code = more ? buf_addc(out, ',') : ERR_OK;
        if (code == ERR_OK)
            code = buf_adds(out, words[i]);
        more = true;
    }
    return code;
}

unsigned roles_with_lesser(unsigned roles)
{
    if ((roles & ROLE_ADMIN) != 0)
        return ROLE_ALL;
    return (roles & ROLE_OPERATE) != 0 ? roles | ROLE_READ : roles;
}
