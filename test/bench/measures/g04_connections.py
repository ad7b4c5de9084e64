"""1 to 4,000 connections that post single rows; 1 to 4 intake loops."""
import bodies
from bench import middle
from table import Line


def measure(b):
    counts = [1, 64, 1024] if b.quick else [1, 4, 16, 64, 256, 1024, 4000]
    with b.gateway({"HEADGATE_HTTP_MAX_CONNECTIONS": "5000"}) as g:
        found = b.interleave({n: lambda n=n: b.load(g, bodies.single(), n) for n in counts}, rounds=min(b.rounds, 5))
    for n, loads in found.items():
        yield Line(f"{n} connections x 1 row: CPU a request, us", [load.own / load.requests * 1e6 for load in loads],
                   note=f"{middle(load.rate for load in loads):,.0f} requests/s", form="{:.1f}",
                   curve=("connections x 1 row: CPU a request, us", n))
    threads = [1, 2] if b.quick else [1, 2, 3, 4]
    found = b.interleave({n: lambda n=n: b.load(b.steady(f"threads {n}", {"HEADGATE_HTTP_THREADS": n}),
                                                bodies.batch(100), 16, 100) for n in threads}, rounds=min(b.rounds, 5))
    for n in threads[1:]:
        yield Line(f"{n} intake loops, 100 rows x 16: CPU a row, of that with 1",
                   [x.own / x.rows / (y.own / y.rows) for x, y in zip(found[n], found[1])],
                   curve=("intake loops: CPU a row, of that with 1", n))
