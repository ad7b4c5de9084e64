"""Receipts by id and by uuid and a page of dead letters, with very many row sets lingering and very many dead letters."""
import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import process
from bench import BUILD
from table import Line

EACH = 10000  # row sets of a request


def post_many(g, first, count, dead):
    """Row sets of one small row as NDJSON; answers with a few of their ids. Every `dead`-th is refused by the pusher."""
    host, port = g.address.rsplit(":", 1)
    wire, ids = http.client.HTTPConnection(host, int(port), timeout=120), []
    for at in range(first, first + count, EACH):
        body = b"".join(b'{"uuid":"plate-%d","row":{"index":1,"data":{"%s":%d}}}\n' % (n, b"bad" if n % dead == 0 else b"well", n)
                        for n in range(at, at + EACH))
        wire.request("POST", "/v1/rows", body, {"Content-Type": "application/x-ndjson"})
        answer = wire.getresponse()
        text = answer.read()
        assert answer.status == 202, text[:300]
        ids.append(text[7:47].decode())
    return ids


def timed(wire, path):
    began = time.perf_counter()
    wire.request("GET", path)
    answer = wire.getresponse()
    text = answer.read()
    assert answer.status == 200, (path, answer.status, text[:300])
    return (time.perf_counter() - began) * 1e3


def measure(b):
    sets, dead = (200000, 10) if b.quick else (10000000, 10)
    room = {"HEADGATE_JOURNAL_MAX_BYTES": "30GiB", "HEADGATE_JOURNAL_KEEP_BYTES": "25GiB", "HEADGATE_DEAD_MAX_BYTES": "20GiB",
            "PLUGIN_NULL_ENABLED": None, "PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad",
            "PLUGIN_CHAOS_FILE": "/dev/null", "PLUGIN_CHAOS_REJECT_BREAKER": "1000000", "PLUGIN_CHAOS_CONFINE": "no"}
    with b.gateway(room, plugins=[BUILD / "fixture/chaos.so"]) as g:
        with ThreadPoolExecutor(4) as pool:
            parts = [pool.submit(post_many, g, n * sets // 4, sets // 4, dead) for n in range(4)]
            ids = [i for part in parts for i in part.result()]
        g.wait_delivered(3600)
        found = g.pusher("chaos")
        host, port = g.admin_address.rsplit(":", 1)
        wire = http.client.HTTPConnection(host, int(port), timeout=60)
        ways = {
            ("receipt by id, ms", 1): [f"/v1/batches/{i}" for i in ids[::max(1, len(ids) // 100)]],
            ("receipt by uuid, ms", 10): [f"/v1/receipts/plate-{n}" for n in range(0, sets, sets // 100)],
            ("a page of dead letters, ms", 50): ["/v1/dead-letters"] * 20,
            ("a page of dead letters of one uuid, ms", 50): [f"/v1/dead-letters?uuid=plate-{n}" for n in range(0, sets, sets // 20)],
        }
        for (title, most), paths in ways.items():
            timed(wire, paths[0])
            times = sorted(timed(wire, path) for path in paths)
            yield Line(title, times[len(times) // 2:len(times) // 2 + 1], most=most,
                       note=f"{sets:,} row sets, {found.get('deadLetters', sets // dead)} dead letters; 99 %: {times[int(len(times) * .99)]:.1f} ms")
        yield Line("memory of the daemon with that, MB", [process.status(g.pid, "VmRSS")])
