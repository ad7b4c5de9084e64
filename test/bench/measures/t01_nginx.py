"""Intake, durable, against nginx that reads the same bodies and throws them away.

Both the rate and the CPU time a row are compared: where the core is shared with others, a server with more threads gets
more of it, so the rate alone would flatter us.
"""
import bodies
from table import Line

CASES = [("100 rows x 16", bodies.batch(100), 16, 100, 0.14), ("1000 rows x 16", bodies.batch(1000), 16, 1000, 0.14),
         ("1 row x 64", bodies.single(), 64, 1, 0.30)]


def measure(b):
    for title, body, connections, rows, least in CASES:
        rate, cpu, note = b.against(b.nginx(), b.steady(), body, connections, rows)
        yield Line(f"{title}: rows/s against nginx", rate, least, note=note)
        yield Line(f"{title}: the same by CPU time", cpu, least)
