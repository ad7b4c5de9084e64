/* The alphabet is spelled out, not asked of isalnum(): the result must not depend on a locale. */
#include "common/percent.h"

static int is_plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

void percent_add(struct strbuf *out, const char *ptr, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    if (len == 0)
        strbuf_addc(out, '_');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)ptr[i];
        if (is_plain(c)) {
            strbuf_addc(out, (char)c);
        } else {
            char code[3] = {'%', digits[c >> 4], digits[c & 15]};
            strbuf_add(out, code, sizeof(code));
        }
    }
}
