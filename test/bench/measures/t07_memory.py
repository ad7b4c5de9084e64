"""Memory of the daemon while it takes large bodies, and of an idle plugin host; CPU time of intake."""
import threading

import bodies
import process
from table import Line


def measure(b):
    g, peaks = b.steady(), []
    body = bodies.batch(1000)
    for _ in range(b.rounds):
        done = threading.Event()
        seen = []

        def watch():
            while not done.wait(0.02):
                seen.append(process.status(g.pid, "VmRSS"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        b.load(g, body, 16, 1000)
        done.set()
        watcher.join()
        peaks.append(max(seen))
    yield Line(f"daemon's memory under 16 connections x {len(body) / 1000:.0f} kB bodies, MB", peaks, most=20, form="{:.1f}")
    with b.gateway(file=True) as idle:
        idle.take({"uuid": "one", "row": {"data": {"keyOne": 1}}})
        idle.wait_delivered()
        pids = {name: p["pid"] for name, p in idle.pushers().items() if p.get("pid")}
        for name, pid in pids.items():
            yield Line(f"idle plugin host `{name}`, memory of its own, MB", [process.unique(pid)], most=2)
    loads = [b.load(g, bodies.batch(100), 16, 100) for _ in range(b.rounds)]
    yield Line("CPU seconds for a million rows, 100 rows x 16 (intake)", [l.own / l.rows * 1e6 for l in loads], most=1.4,
               note=f"{min(l.cpu / l.rows * 1e6 for l in loads):.2f} with the idle pusher's host")
