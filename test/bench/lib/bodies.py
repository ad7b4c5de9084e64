"""Bodies to post: made of a seed, so that every server gets the same bytes. 10 keys and about 290 bytes a row."""
import functools
import json
import random
import uuid

KEYS = ["sampleId", "concentration", "volumeUl", "plateBarcode", "opticalDensity", "isControl", "readAtUtc",
        "operatorName", "instrumentSerial", "wellNote"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


def value(dice, kind, length):
    """One of five kinds in turn: a count, a measured number, a text of that length, a yes or no, a time."""
    if kind == 0:
        return dice.randrange(1, 10**7)
    if kind == 1:
        return round(dice.uniform(0, 1000), 4)
    if kind == 2:
        return "".join(dice.choice(LETTERS) for _ in range(length))
    if kind == 3:
        return dice.choice([True, False, None])
    return f"2026-11-{dice.randrange(1, 29):02}T{dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}Z"


def data(dice, keys=10, length=16):
    return {KEYS[i] if i < len(KEYS) else f"extraKey{i}": value(dice, i % 5, length) for i in range(keys)}


def text(document):
    return json.dumps(document, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=None)
def batch(count, keys=10, length=16, seed=1):
    """{"uuid": …, "rows": […]}"""
    dice = random.Random(seed)
    name = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    return text({"uuid": name, "rows": [{"index": i, "data": data(dice, keys, length)} for i in range(count)]})


@functools.lru_cache(maxsize=None)
def single(keys=10, length=16, seed=1):
    """{"uuid": …, "row": …}"""
    dice = random.Random(seed)
    name = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    return text({"uuid": name, "row": {"index": 0, "data": data(dice, keys, length)}})


def lines(count, uuids, keys=10, length=16, seed=1):
    """NDJSON: `count` row sets of one row, their uuids taken from the iterator."""
    dice = random.Random(seed)
    some = [text({"index": 0, "data": data(dice, keys, length)}) for _ in range(64)]
    return b"".join(b'{"uuid":"%s","row":%s}\n' % (next(uuids).encode(), some[i % 64]) for i in range(count))
