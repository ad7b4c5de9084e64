"""How close intake comes to what the disk alone does: bare fdatasyncs a second on the same kind of file."""
import bodies
from table import Line

CASES = [("1 connection x 1 row: requests/s as a fraction of bare fdatasync/s", 1, 0.35),
         ("64 connections x 1 row: multiple of bare fdatasync/s", 64, 6)]


def measure(b):
    g, body = b.steady(), bodies.single()
    for title, connections, least in CASES:
        found = b.interleave({"ours": lambda: b.load(g, body, connections).rate, "bare": b.syncs})
        yield Line(title, [a / s for a, s in zip(found["ours"], found["bare"])], least,
                   note=f"{max(found['ours']):,.0f} requests/s, {max(found['bare']):,.0f} fdatasync/s at best")
