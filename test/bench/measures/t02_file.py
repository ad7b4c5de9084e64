"""Intake with one `file` pusher that delivers on the same core, until all is delivered, against the same nginx."""
import time

import bodies
from table import Line


def measure(b):
    body = bodies.batch(100)
    g = b.steady("file", {"PLUGIN_NULL_ENABLED": None}, file=True)

    def ours():
        for path in g.out.iterdir():  # what was delivered before is of no interest
            path.unlink()
        load = b.load(g, body, 16, 100)
        g.wait_delivered()
        return load.rows / (time.monotonic() - load.began)

    def peer():
        load = b.load(b.nginx(), body, 16, 100)
        return load.rate * 100

    found = b.interleave({"ours": ours, "peer": peer})
    yield Line("100 rows x 16, one `file` pusher, until all is delivered: rows/s against nginx",
               [a / p for a, p in zip(found["ours"], found["peer"])], 0.09,
               note=f"{max(found['ours']):,.0f} rows/s at best")
