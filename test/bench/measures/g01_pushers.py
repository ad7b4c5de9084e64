"""1 to 16 pushers that count rows: the daemon's own CPU time a row, and each host's. One that is stuck beside them."""
import contextlib

import bodies
import process
from bench import middle
from table import Line

FEW = {"HEADGATE_JOURNAL_KEEP_BYTES": "64MiB"}  # segments recycle soon


def pushers(count, read, stuck=False):
    """Settings for so many instances of `null`; the one that is stuck never returns from its first push."""
    env = {"PLUGIN_NULL_READ": read}
    for n in range(2, count + 1):
        env |= {f"PLUGIN_N{n:02}_USE": "null", f"PLUGIN_N{n:02}_ENABLED": "yes", f"PLUGIN_N{n:02}_READ": read}
    if stuck:
        env |= {"PLUGIN_STUCK_USE": "null", "PLUGIN_STUCK_ENABLED": "yes", "PLUGIN_STUCK_DELAY": "1h",
                "PLUGIN_STUCK_TIMEOUT": "2h"}
    return env


def run(b, g):
    """(daemon's own CPU, that of one host) in microseconds a row, until all is delivered."""
    pids = [p["pid"] for name, p in g.pushers().items() if p.get("pid") and name != "stuck"]
    own, theirs = process.cpu([g.pid]), process.cpu(pids)
    rows = b.load(g, bodies.batch(100), 16, 100).rows
    g.wait_for_all(except_for="stuck")
    return (process.cpu([g.pid]) - own) / rows * 1e6, (process.cpu(pids) - theirs) / rows / len(pids) * 1e6


def measure(b):
    counts = [1, 8] if b.quick else [1, 2, 4, 8, 16]
    for read, most in (("spans", 0.1), ("fields", 0.6)):
        with contextlib.ExitStack() as stack:
            def gateway(count, stuck=False):
                g = stack.enter_context(b.gateway({**FEW, **pushers(count, read, stuck)}))
                b.load(g, bodies.batch(100), 16, 100, seconds=2)
                g.wait_for_all(except_for="stuck")
                return g

            gateways = {str(n): gateway(n) for n in counts}
            if read == "spans":  # its rows pile up: segments do not recycle, which costs in itself
                gateways["8 and a stuck one"] = gateway(8, True)
            found = b.interleave({name: lambda g=g: run(b, g) for name, g in gateways.items()})
        for name, values in found.items():
            at = int(name) if name.isdigit() else None
            if name != "1":
                yield Line(f"{name} pushers reading {read}: daemon's CPU a row, of that with 1",
                           [v[0] / one[0] for v, one in zip(values, found["1"])],
                           most=1.1 if name.startswith("8") else None, note=f"{middle(v[0] for v in values):.2f} us",
                           curve=at and (f"pushers reading {read}: daemon's CPU a row, of that with 1", at))
            yield Line(f"{name} pushers reading {read}: CPU of each host, us a row", [v[1] for v in values], most=most,
                       curve=at and (f"pushers reading {read}: CPU of each host, us a row", at))
