"""Rows of 100 B to 10 kB with 5 to 200 keys, and 1 to 4,000 connections: CPU time of intake a byte and a request."""
import bodies
from bench import middle
from table import Line

# keys, length of the texts: bytes a row
SHAPES = [(5, 4), (5, 16), (5, 1000), (5, 9800), (10, 16), (50, 16), (100, 16), (200, 16), (200, 100)]


def measure(b):
    g = b.steady()
    cases = {}
    for keys, length in SHAPES:
        size = len(bodies.batch(10, keys, length)) // 10
        count = max(1, 290000 // size)
        cases[f"{keys} keys, {size} B"] = (bodies.batch(count, keys, length), count)
    found = b.interleave({name: lambda body=body, count=count: b.load(g, body, 16, count)
                          for name, (body, count) in cases.items()}, rounds=min(b.rounds, 5))
    cost = {name: [load.own / (load.requests * len(cases[name][0])) * 1e9 for load in loads]
            for name, loads in found.items()}
    usual = next(name for name in cost if name.startswith("10 keys"))
    for name, values in cost.items():
        body, count = cases[name]
        yield Line(f"{name} a row: CPU a byte, of that of {usual}", [v / u for v, u in zip(values, cost[usual])], most=1.5,
                   note=f"{middle(values):.2f} ns a byte", curve=(f"bytes a row: CPU a byte, of that of {usual}", len(body) // count))


