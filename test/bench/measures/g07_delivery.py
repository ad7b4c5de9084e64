"""The `file` pusher against a bare loop that writes and syncs, the `http` pusher against a bare libcurl loop: the same
rows, 1000 a batch. Both catch up with a backlog that came in while they were paused. The bare loops have their lines
ready; the pushers read the journal, make the lines, and (`http`) write down each batch before they send it. And what
the host process itself costs: the `file` pusher in it against the same pusher's push() called in a bare loop, 100 rows
a push."""
import time

import bodies
import process
from bench import BUILD
from table import Line


def backlog(b, g, name, rows):
    assert g.admin("POST", f"/v1/pushers/{name}/pause").status == 200
    g.wait_state(name, "paused")
    while g.lag() < rows:
        b.load(g, bodies.batch(1000), 4, 1000, seconds=1)


def catch_up(g, name):
    """(rows a second, rows a second of CPU time of its host)"""
    lag, host = g.lag(), g.host(name)
    before, began = process.cpu([host]), time.monotonic()
    assert g.admin("POST", f"/v1/pushers/{name}/resume").status == 200
    g.wait_delivered()
    return lag / (time.monotonic() - began), lag / (process.cpu([host]) - before)


def hosted(b, rounds):
    """The host at 100 rows a push, with and without a disk to wait for."""
    body, pushes = bodies.batch(100), 200 if b.quick else 1000
    for sync, rows in (("yes", pushes * 100), ("no", pushes * 300)):
        env = {"PLUGIN_NULL_ENABLED": None, "PLUGIN_FILE_BATCH_ROWS": "100", "PLUGIN_FILE_SYNC": sync}
        with b.gateway(env, file=True) as g:
            ours, bare = [], []
            for _ in range(rounds):
                backlog(b, g, "file", rows)
                ours.append(catch_up(g, "file"))
                next(g.out.iterdir()).unlink()
                said = b.tool("push_loop", BUILD / "plugins/file.so", b.body_file(body), rows // 100,
                              f"PATH={g.out / 'bare'}", f"SYNC={sync}")
                bare.append([float(x) for x in said.split()])
                (g.out / "bare").unlink()
        note = f"{max(o[0] for o in ours):,.0f} of {max(x[0] for x in bare):,.0f} rows/s"
        yield Line(f"`file` pusher (SYNC={sync}) in its host against its push() in a bare loop, 100 rows a push",
                   [o[0] / x[0] for o, x in zip(ours, bare)], 0.9, note=note)
        yield Line("the same by CPU time", [o[1] / x[1] for o, x in zip(ours, bare)])


def measure(b):
    rows = 200000 if b.quick else 1000000
    rounds = min(3, b.rounds)
    yield from hosted(b, rounds)
    with b.gateway({"PLUGIN_NULL_ENABLED": None}, file=True) as g:
        ours, bare = [], []
        for _ in range(rounds):
            backlog(b, g, "file", rows)
            ours.append(catch_up(g, "file"))
            lines = next(g.out.iterdir())
            bare.append([float(x) for x in b.tool("write_loop", lines, g.out / "bare", 1000).split()])
            lines.unlink()
        yield Line("`file` pusher against a bare loop of write and fdatasync, 1000 rows each", [o[0] / x[0] for o, x in zip(ours, bare)],
                   0.6, note=f"{max(o[0] for o in ours):,.0f} of {max(x[0] for x in bare):,.0f} rows/s")
        yield Line("the same by CPU time", [o[1] / x[1] for o, x in zip(ours, bare)])
    far = b.nginx().url.replace("/v1/rows", "/whole")
    with b.gateway({"PLUGIN_NULL_ENABLED": None, "PLUGIN_HTTP_URL": far, "PLUGIN_HTTP_BODY": "ndjson"}) as g:
        sample, ours, bare = b.work / "batch.ndjson", [], []
        sample.write_bytes(bodies.lines(1000, iter(["a" * 36] * 1000)))
        for _ in range(rounds):
            backlog(b, g, "http", rows)
            ours.append(catch_up(g, "http"))
            bare.append([float(x) for x in b.tool("post_loop", sample, far, rows // 1000).split()])
        yield Line("`http` pusher against a bare libcurl loop, 1000 rows each", [o[0] / x[0] for o, x in zip(ours, bare)],
                   0.8, note=f"{max(o[0] for o in ours):,.0f} of {max(x[0] for x in bare):,.0f} rows/s")
        yield Line("the same by CPU time of the host and of the loop", [o[1] / x[1] for o, x in zip(ours, bare)])
