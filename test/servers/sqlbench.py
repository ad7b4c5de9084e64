"""What the benches of the pushers to databases share: the pusher's rate, and the rows as the tool beside it gets them."""
import time

from sqlsuite import snake
from trial import Sent, drained, gateway, post, real_rows, real_sets

STAMP = "2026-01-31 12:00:00.123456"


def delivered(plugin, options, total):
    """Rows a second from the moment that a pusher with that many rows before it is let go. (The table is there by then.)"""
    with gateway(plugin, options) as g:
        post(g, real_sets(len(real_rows()), name="first"), Sent())
        drained(g, plugin)
        assert g.cli("pause", plugin).returncode == 0
        post(g, real_sets(total), Sent())
        began = time.monotonic()
        assert g.cli("resume", plugin).returncode == 0
        drained(g, plugin, 600)
        rate = total / (time.monotonic() - began)
        assert not g.dead()
    return rate


def columns():
    """The names of all columns of the real rows, in the order in which they first come."""
    found = {}
    for data in real_rows():
        found.update({snake(k): True for k, v in data.items() if v is not None})
    return list(found)


def records(total):
    """(id, uuid, index, received, data) of so many rows, with ids as headgate makes them."""
    n = 0
    for uuid, datas in real_sets(total):
        for index, data in enumerate(datas):
            n += 1
            yield f"01k8fn25s646qegqu7h0vkkoq7-{n:012d}-{index:05d}", uuid, index, STAMP, data
