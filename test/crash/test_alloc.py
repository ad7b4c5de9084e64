"""The script (script.py) with an allocation that fails, at each place that allocates: start, intake, delivery, recovery,
stop; own code, libuv, jansson, SQLite, the plugin. In the build with the address sanitizer also: nothing leaks."""
import re
import signal

from counts import SEED, count, sample
from gateway import BUILD
from script import Faulty
from test_calls import map_script, page_of, run_all

POINTS = count("ALLOC_POINTS", 300, 10 ** 9)
DEEP = count("ALLOC_DEEP", 8, 64)  # of one place so many calls at most, spread over all of them
REQUESTS = 40
# Where a library ends the process by itself when it starts: libuv its threads and its table of descriptors, libcrypto
# its providers. All of it is done before the first row is taken, so nothing is lost by it.
ENDS = re.compile(r"libuv\.so|ld-linux|libcrypto")
# The sanitizer's own way to know a thread's stack is a call of libc that allocates; it does not stand a failure there. And
# what libcrypto and the loader leak or spoil when they have no memory is theirs: the plain build tries them all the same.
SPARED = re.compile(r"libc\.so|lib(a|ub)san|libcrypto|ld-linux" if BUILD.name == "asan" else r"$^")
DIED = re.compile(r"internal fault|Sanitizer|runtime error:|signal (4|6|7|8|11)\b|the plugin crashed")


def allocations_of(page):
    found = []
    for key, (times, name) in sorted(page.sites().items(), key=lambda item: item[1][1]):
        if name.split()[0] in ("malloc", "calloc", "realloc") and not SPARED.search(name):
            found += [(key, page.where(name), n) for n in sample(range(1, times + 1), DEEP)]
    return found


def fail_at(point):
    who, key, name, n = point
    with Faulty(requests=REQUESTS, clean=False) as s:
        page = page_of(s, who)
        page.arm(key, n, 1)
        told = f"{who}: {name}, call {n}"
        try:
            s.play()
            page.disarm()
            verdict = s.close()
        except AssertionError as e:
            verdict = str(e)
        died = [line for line in s.lines if DIED.search(line)]
        allowed = (0, 69, 70, 74, 78, *([-signal.SIGABRT, -signal.SIGSEGV] if ENDS.search(name) else []))
        odd = [x for x in s.exits if x not in allowed]
        if verdict or died or odd or not s.stayed or set(s.statuses) - {503}:
            return told, f"{told}: {verdict} exits {s.exits} answers {set(s.statuses)}\n" + "\n".join(s.lines[-60:])
        return told if page.get("fired") else None, None


def test_every_allocation_fails(capsys):
    daemon, host = map_script(allocations_of)
    points = [("daemon", *p) for p in daemon] + [("host", *p) for p in host]
    chosen = sample(points, POINTS)
    results = run_all(chosen, fail_at)
    bad = [text for _, text in results if text]
    with capsys.disabled():
        print(f"\nseed {SEED}: {sum(1 for told, _ in results if told)} of {len(chosen)} allocations failed, at "
              f"{len({p[1] for p in points})} places")
    assert not bad, f"{len(bad)} of {len(chosen)}:\n" + "\n\n".join(bad[:20])
