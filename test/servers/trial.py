"""What every test of a pusher against its real server does: a gateway with that pusher, real rows through it, faults on
the way, and a comparison of what arrived with what was sent.

A row is known by (uuid, index): every row set of `real_sets` has a uuid of its own and numbers its rows. A test gives
`arrived()`: a list of (uuid, index, value) as the destination holds them; `compare` says which are missing, which are
there twice, and which differ.
"""
import csv
import itertools
import json
import os
from decimal import Decimal

from gateway import ROOT, SLOW, Gateway, wait_until

DATA = ROOT / "examples/data"
FULL = os.environ.get("HEADGATE_SERVERS") == "full"


def count(full, short):
    """Rows of a test: `make test-servers` sends them all, `make servers` fewer."""
    return full if FULL else short


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(p.title() for p in rest)


def weather(line):
    return {camel(k): v if k in ("date", "weather") else Decimal(v) for k, v in line.items()}


def real_rows():
    """The `data` objects of examples/data, as Python has them; numbers with a point are Decimal."""
    with open(DATA / "seattle-weather.csv", encoding="utf-8", newline="") as f:
        found = [weather(line) for line in csv.DictReader(f)]
    for name in ("penguins.ndjson", "movies.ndjson"):
        found += [json.loads(line, parse_float=Decimal) for line in (DATA / name).read_bytes().splitlines()]
    return found


def encode(value):
    """JSON, Decimals with their digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


class Sent:
    """Row sets that were accepted: {(uuid, index): data}."""

    def __init__(self):
        self.rows = {}

    def add(self, uuid, datas):
        self.rows.update({(uuid, n): d for n, d in enumerate(datas)})


def real_sets(total, size=200, name="real", change=None):
    """(uuid, [data…]) of so many real rows, repeated as often as needed. change(number, data): another one instead."""
    rows = itertools.cycle(real_rows())
    for first in range(0, total, size):
        datas = [next(rows) for _ in range(min(size, total - first))]
        if change:
            datas = [change(first + n, d) for n, d in enumerate(datas)]
        yield f"{name}-{first}", datas


def document(uuid, datas):
    rows = ",".join(f'{{"index":{n},"data":{encode(d)}}}' for n, d in enumerate(datas))
    return f'{{"uuid":"{uuid}","rows":[{rows}]}}'.encode()


def post(gateway, sets, sent):
    """Posts them; `sent` gets what was accepted. A set that was not answered for is posted again with its key."""
    for uuid, datas in sets:
        body = document(uuid, datas)

        def taken(body=body, uuid=uuid):
            try:
                return gateway.post(body, headers={"Idempotency-Key": uuid}).status == 202
            except (OSError, KeyError):  # it is down, or has no address yet
                return False
        wait_until(taken, 120, f"{uuid} to be taken")
        sent.add(uuid, datas)


def gateway(plugin, options, **more):
    """A gateway with that pusher alone. Options without their prefix."""
    env = {f"PLUGIN_{plugin.upper()}_{k}": v for k, v in options.items()}
    quick = {f"PLUGIN_{plugin.upper()}_RETRY_MIN": "50ms", f"PLUGIN_{plugin.upper()}_RETRY_MAX": "500ms"}
    return Gateway({**quick, **env, "HEADGATE_JOURNAL_SEGMENT": "64MiB"}, file=False, **more)


def drained(g, plugin, timeout=300):
    """Until the pusher has settled every row."""
    def nothing_left():
        p = g.pusher(plugin)
        return p and p["lag"]["rows"] == 0
    wait_until(nothing_left, timeout, lambda: f"{plugin} to be done: {g.pusher(plugin)}\n" + "\n".join(g.lines[-20:]))


def dead_letters(g, plugin, number, timeout=60):
    """The dead letters, once there are so many and the pusher has nothing left."""
    drained(g, plugin, timeout)
    return wait_until(lambda: len(found := g.dead("?limit=1000")) >= number and found, timeout,
                      lambda: f"{number} dead letters: {g.dead('?limit=3')} {g.pusher(plugin)}")


def compare(sent, arrived, same=None, once=True):
    """arrived: (uuid, index, value) for every row of the destination. same(data, value): are they equal? once=False: a
    row may be there more than once. Without a fault nothing happens; else AssertionError with the first of each kind."""
    same = same or (lambda a, b: a == b)
    seen, twice, strange, differ = set(), [], [], []
    for uuid, index, value in arrived:
        key = (uuid, index)
        if key in seen:
            twice.append(key)
        seen.add(key)
        if key not in sent.rows:
            strange.append(key)
        elif not same(sent.rows[key], value):
            differ.append((key, sent.rows[key], value))
    missing = [k for k in sent.rows if k not in seen]
    faults = {"missing": missing, "twice": twice if once else [], "never sent": strange, "different": differ}
    told = "; ".join(f"{len(v)} {k}, first {v[:2]}" for k, v in faults.items() if v)
    assert not told, f"of {len(sent.rows)} rows: {told}"


__all__ = ["FULL", "SLOW", "Sent", "compare", "count", "dead_letters", "drained", "document", "encode", "gateway", "post", "real_rows",
           "real_sets"]
