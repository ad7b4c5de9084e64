"""1 to 16 pushers that count rows: the daemon's own CPU time a row, and each host's. One that is stuck beside them."""
import bodies
import process
from bench import middle
from table import Line


def pushers(count, read, stuck=False):
    """Settings for so many instances of `null`; the one that is stuck never returns from its first push."""
    env = {"PLUGIN_NULL_READ": read}
    for n in range(2, count + 1):
        env |= {f"PLUGIN_N{n:02}_USE": "null", f"PLUGIN_N{n:02}_ENABLED": "yes", f"PLUGIN_N{n:02}_READ": read}
    if stuck:
        env |= {"PLUGIN_STUCK_USE": "null", "PLUGIN_STUCK_ENABLED": "yes", "PLUGIN_STUCK_DELAY": "1h",
                "PLUGIN_STUCK_TIMEOUT": "2h"}
    return env


def hosts(g, stuck):
    """Processes of all pushers but the stuck one."""
    return [p["pid"] for name, p in g.pushers().items() if p.get("pid") and (name != "stuck" or stuck)]


def run(b, count, read, stuck=False):
    """(daemon's own CPU, that of one host) in microseconds a row, until all is delivered."""
    with b.gateway(pushers(count, read, stuck)) as g:
        pids = hosts(g, False)
        b.load(g, bodies.batch(100), 16, 100, seconds=1)
        own, theirs = process.cpu([g.pid]), process.cpu(pids)
        rows = b.load(g, bodies.batch(100), 16, 100).rows
        g.wait_for_all(except_for="stuck")
        return (process.cpu([g.pid]) - own) / rows * 1e6, (process.cpu(pids) - theirs) / rows / len(pids) * 1e6


def measure(b):
    counts = [1, 8] if b.quick else [1, 2, 4, 8, 16]
    for read, most in (("spans", 0.1), ("fields", 0.6)):
        tasks = {str(n): lambda n=n: run(b, n, read) for n in counts}
        tasks["8 and a stuck one"] = lambda: run(b, 8, read, True)
        found = b.interleave(tasks)
        for name, values in found.items():
            if name != "1":
                yield Line(f"{name} pushers reading {read}: daemon's CPU a row, of that with 1",
                           [v[0] / one[0] for v, one in zip(values, found["1"])],
                           most=1.1 if name.startswith("8") else None, note=f"{middle(v[0] for v in values):.2f} us")
            yield Line(f"{name} pushers reading {read}: CPU of each host, us a row", [v[1] for v in values], most=most)
