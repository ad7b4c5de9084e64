"""What processors cost a row: the CPU time of hosts that are alike but for the processor before their pusher, which counts
rows; all of them beside each other in one gateway, fed by one load."""
import bodies
import process
from bench import middle
from table import Line

FEW = {"HEADGATE_JOURNAL_KEEP_BYTES": "64MiB"}  # segments recycle soon
ALONE = "none"
STEPS = {  # name of the host: (what it measures, microseconds that a row may cost more, its settings)
    "rename": ("`fields`: one of 10 keys renamed", 3, {"PROCESS": "fields"},
               {"FIELDS_RENAME": "concentration=amount"}),
    "several": ("`fields`: two dropped, one masked, one hashed, one renamed", 8, {"PROCESS": "secrets"},
                {"SECRETS_USE": "fields", "SECRETS_DROP": "wellNote,isControl", "SECRETS_MASK": "operatorName",
                 "SECRETS_HASH": "instrumentSerial", "SECRETS_RENAME": "concentration=amount"}),
    "when": ("`WHEN` with a comparison that is true", 15, {"WHEN": ".data.concentration >= 0"}, {}),
    "filter": ("`jq`: one key computed, one deleted", 40, {"PROCESS": "jq"},
               {"JQ_FILTER": ".data | .volumeMl = (.sampleId / 1000) | del(.wellNote)"}),
}


def settings(quick):
    env = {"PLUGIN_NULL_READ": "spans"}
    for name in chosen(quick):
        _, _, own, processor = STEPS.get(name, (None, None, {}, {}))
        env |= {f"PLUGIN_{name.upper()}_{k}": v for k, v in {"USE": "null", "READ": "spans", "ENABLED": "yes", **own}.items()}
        env |= {f"PLUGIN_{k}": v for k, v in processor.items()}
    return {**FEW, **env}


def chosen(quick):
    return [ALONE, "rename", "filter"] if quick else [ALONE, *STEPS]


def run(b, g):
    """CPU time of each host in microseconds a row, until all is delivered."""
    pids = {name: p["pid"] for name, p in g.pushers().items() if p.get("pid")}
    before = {name: process.cpu([pid]) for name, pid in pids.items()}
    rows = b.load(g, bodies.batch(100), 4, 100, seconds=1).rows
    g.wait_for_all(except_for="nobody")
    return {name: (process.cpu([pid]) - before[name]) / rows * 1e6 for name, pid in pids.items()}


def measure(b):
    with b.gateway(settings(b.quick)) as g:
        b.load(g, bodies.batch(100), 4, 100, seconds=1)
        g.wait_for_all(except_for="nobody")
        found = [run(b, g) for _ in range(b.rounds)]
    alone = middle(f[ALONE] for f in found)
    for name in chosen(b.quick)[1:]:
        what, most, _, _ = STEPS[name]
        yield Line(f"{what}: CPU of its host more than without, us a row", [f[name] - f[ALONE] for f in found], most=most,
                   note=f"without: {alone:.2f} us")
