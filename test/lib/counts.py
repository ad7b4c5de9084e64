"""How often a test that can go on for hours does its work: the full count in `make crash`, the small one in `make test`,
or what HEADGATE_<NAME> says."""
import os
import random
import time

FULL = os.environ.get("HEADGATE_CRASH_SCALE", "small") == "full"
SEED = int(os.environ.get("HEADGATE_CRASH_SEED") or time.time_ns() % 1000000)
WORKERS = int(os.environ.get("HEADGATE_CRASH_WORKERS", "3"))  # scripts at a time: most of the time each waits


def count(name, small, full):
    return int(os.environ.get(f"HEADGATE_{name}") or (full if FULL else small))


def sample(items, wanted, seed=SEED):
    """So many of them, spread over the whole list; all, when that is more."""
    items = list(items)
    if wanted >= len(items):
        return items
    offset = random.Random(seed).random()
    return [items[int((n + offset) * len(items) / wanted)] for n in range(wanted)]
