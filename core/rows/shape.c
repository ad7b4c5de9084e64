/* Learning the keys of a row. Only keys without escapes come here: their text is what is compared.
 *
 * A key may lie in the shape that is being replaced, but never before its new place: keys that were found in a shape
 * come first in a set, in its order. So they are moved one by one from the front. */
#include "rows/shape.h"

static void shape_slots(struct shape *shape)
{
    memset(shape->slots, 0, sizeof shape->slots);
    for (uint32_t i = 0; i < shape->count && i < SHAPE_LOOSE; i++) {
        if (shape->keys[i].len < 4) /* the empty key */
            continue;
        uint32_t slot = shape_slot(shape->keys[i].text, shape->keys[i].len);
        while (shape->slots[slot] != 0)
            slot = (slot + 1) % SHAPE_SLOTS;
        shape->slots[slot] = (uint8_t)(i + 1);
    }
}

void shape_learn(struct shape *shape, const struct key *keys, uint32_t count, bool any_keys)
{
    if (shape->wait > 0) {
        shape->wait--;
        return;
    }
    shape->patience = shape->helped ? 0 : shape->patience * 2 + 1;
    if (shape->patience > SHAPE_WAIT)
        shape->patience = SHAPE_WAIT;
    shape->wait = shape->patience;
    shape->helped = false;
    shape->count = 0;
    shape->any_keys = any_keys;
    if (count > SHAPE_KEYS)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (keys[i].len > SHAPE_TEXT - 3)
            return;
    for (uint32_t i = 0; i < count; i++) {
        struct shape_key *key = &shape->keys[i];
        memmove(key->text + 1, keys[i].ptr, keys[i].len);
        key->text[0] = '"';
        key->text[keys[i].len + 1] = '"';
        key->text[keys[i].len + 2] = ':';
        key->len = keys[i].len + 3;
    }
    shape->count = count;
    shape_slots(shape);
}
