"""From the post to the line in the file, against from the post to the answer (durable), at low load."""
import os
import time

import bodies
from table import Line


def once(g, wire, request, path):
    """Seconds until the answer, and until the file has grown."""
    before, began = os.stat(path).st_size, time.perf_counter()
    wire.send(request)
    assert wire.answer().status == 202
    durable = time.perf_counter()
    while os.stat(path).st_size == before:
        if time.perf_counter() > durable + 30:
            raise RuntimeError("the row was not delivered")
    return durable - began, time.perf_counter() - began


def measure(b):
    body = bodies.single()
    request = b"POST /v1/rows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with b.gateway({"PLUGIN_NULL_ENABLED": None, "PLUGIN_FILE_SYNC": "no"}, file=True) as g:
        path = g.out / "rows.ndjson"
        g.take({"uuid": "first", "row": {"data": {"keyOne": 1}}})
        g.wait_rows(1)
        ratios, notes = [], []
        with g.wire() as wire:
            for _ in range(b.rounds):
                times = []
                for _ in range(50):
                    times.append(once(g, wire, request, path))
                    time.sleep(0.01)  # low load
                durable = sorted(t[0] for t in times)[25]
                delivered = sorted(t[1] for t in times)[25]
                ratios.append(delivered / durable)
                notes.append((durable * 1e3, delivered * 1e3))
        yield Line("post to delivered (file, SYNC=no), p50, of post to durable", ratios, most=3,
                   note="{:.2f} ms and {:.2f} ms at best".format(*map(min, zip(*notes))))
