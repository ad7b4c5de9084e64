/* What goes with a row set: entries of tag, length and bytes, padded to 8 at the end.
 *
 * The order of entries is the writer's; a tag may stand more than once. A tag with CONTEXT_CRITICAL that this code does
 * not know means that the record must not be used by it; any other unknown tag is skipped. Pure functions. */
#include "journal/bytes.h"
#include "journal/record.h"

enum { ENTRY_HEADER = 4 };

int context_add(struct buf *context, uint16_t tag, struct slice value)
{
    unsigned char head[ENTRY_HEADER];
    if (value.len > UINT16_MAX)
        return ERR_LIMIT;
    int code = buf_reserve(context, sizeof head + value.len);
    if (code != ERR_OK)
        return code;
    put_u16(head, tag);
    put_u16(head + 2, (uint16_t)value.len);
    CHECK(buf_add(context, head, sizeof head) == ERR_OK);
    CHECK(buf_add(context, value.ptr, value.len) == ERR_OK);
    return ERR_OK;
}

int context_add_tag(struct buf *context, struct slice name, struct slice value)
{
    unsigned char head[ENTRY_HEADER + 1];
    size_t length = 1 + name.len + value.len;
    if (name.len > UINT8_MAX || value.len > UINT16_MAX || length > UINT16_MAX)
        return ERR_LIMIT;
    int code = buf_reserve(context, ENTRY_HEADER + length);
    if (code != ERR_OK)
        return code;
    put_u16(head, CONTEXT_TAG);
    put_u16(head + 2, (uint16_t)length);
    head[ENTRY_HEADER] = (unsigned char)name.len;
    CHECK(buf_add(context, head, sizeof head) == ERR_OK);
    CHECK(buf_add(context, name.ptr, name.len) == ERR_OK);
    CHECK(buf_add(context, value.ptr, value.len) == ERR_OK);
    return ERR_OK;
}

int context_finish(struct buf *context)
{
    static const char zeros[RECORD_ALIGN];
    return buf_add(context, zeros, (RECORD_ALIGN - context->len % RECORD_ALIGN) % RECORD_ALIGN);
}

/* Padding is what is left when no entry fits, or a tag of 0. */
bool context_next(struct slice context, size_t *at, uint16_t *tag, struct slice *value)
{
    if (*at > context.len || context.len - *at < ENTRY_HEADER)
        return false;
    uint16_t found = get_u16(context.ptr + *at), length = get_u16(context.ptr + *at + 2);
    if (found == 0 || length > context.len - *at - ENTRY_HEADER)
        return false;
    *tag = found;
    *value = slice_make(context.ptr + *at + ENTRY_HEADER, length);
    *at += ENTRY_HEADER + (size_t)length;
    return true;
}

bool context_get(struct slice context, uint16_t tag, struct slice *value)
{
    size_t at = 0;
    uint16_t found;
    struct slice v;
    while (context_next(context, &at, &found, &v))
        if (found == tag) {
            *value = v;
            return true;
        }
    return false;
}

static bool tag_known(uint16_t tag)
{
    return tag == CONTEXT_UUID || tag == CONTEXT_ROW_ID || tag == CONTEXT_ASIDE || tag == CONTEXT_ASIDE_SET;
}

int context_check(struct slice context)
{
    size_t at = 0;
    uint16_t tag;
    struct slice value;
    while (context_next(context, &at, &tag, &value))
        if ((tag & CONTEXT_CRITICAL) != 0 && !tag_known(tag))
            return ERR_VERSION;
    if (context.len - at >= RECORD_ALIGN) /* an entry that leads out of the context */
        return ERR_DAMAGED;
    for (; at < context.len; at++)
        if (context.ptr[at] != '\0')
            return ERR_DAMAGED;
    return ERR_OK;
}
