"""What the benches of the pushers to stores and brokers share: the pusher's rate, and the rows as the tool beside it gets
them."""
import time

from trial import Sent, drained, encode, gateway, post, real_sets

STAMP = "2026-01-31T12:00:00.123456Z"


def delivered(plugin, options, total):
    """Rows a second from the moment that a pusher with that many rows before it is let go."""
    with gateway(plugin, options) as g:
        post(g, real_sets(200, name="first"), Sent())
        drained(g, plugin)
        assert g.cli("pause", plugin).returncode == 0
        post(g, real_sets(total), Sent())
        began = time.monotonic()
        assert g.cli("resume", plugin).returncode == 0
        drained(g, plugin, 600)
        rate = total / (time.monotonic() - began)
        assert not g.dead()
    return rate


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
