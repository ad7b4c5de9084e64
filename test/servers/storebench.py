"""What the benches of the pushers to stores and brokers share: the rows as the tool beside a pusher gets them."""
from trial import encode, real_sets

STAMP = "2026-01-31T12:00:00.123456Z"


def records(total):
    """(id, uuid, index, data as JSON) of so many rows, with ids as headgate makes them."""
    n = 0
    for uuid, datas in real_sets(total):
        for index, data in enumerate(datas):
            n += 1
            yield f"01k8fn25s646qegqu7h0vkkoq7-{n:013d}-{index:05d}", uuid, index, encode(data)


def line(record):
    ident, uuid, index, data = record
    return f'{{"id":"{ident}","uuid":"{uuid}","index":{index},"received":"{STAMP}","data":{data}}}'
