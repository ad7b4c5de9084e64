"""The script (script.py) with one fault in each run: a SIGKILL at the n-th system call that changes a file, of the daemon
or of its host; and each place that a system call is made from failing with each errno that it may fail with."""
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from counts import FULL, SEED, WORKERS, count, sample
from faults import CHANGES, KILL, KILL_HALF, SHORT, action_name
from script import Faulty
from errno import EAGAIN, EINTR, EIO, EMFILE, ENOMEM, ENOSPC, ENOSYS

KILLS = count("KILL_POINTS", 300, 10 ** 9)
PAIRS = count("FAULT_PAIRS", 60, 10 ** 9)

FAILS = {
    "open": [EIO, ENOSPC, EMFILE, ENOMEM, EINTR], "open64": [EIO, ENOSPC, EMFILE],
    "read": [EIO, EINTR, SHORT], "pread": [EIO, EINTR, ENOMEM, SHORT], "pread64": [EIO, SHORT],
    "write": [EIO, ENOSPC, EINTR, SHORT], "pwrite": [EIO, ENOSPC, EINTR, SHORT], "pwrite64": [EIO, ENOSPC],
    "pwritev": [EIO, ENOSPC, EINTR, ENOMEM, SHORT], "fsync": [EIO, ENOSPC, EINTR], "fdatasync": [EIO, ENOSPC, EINTR],
    "ftruncate": [EIO, ENOSPC, EINTR], "rename": [EIO, ENOSPC, ENOMEM], "unlink": [EIO, ENOMEM],
    "mkdir": [EIO, ENOSPC, ENOMEM], "rmdir": [EIO, ENOMEM], "stat": [EIO, ENOMEM], "fstat": [EIO, ENOMEM],
    "statvfs": [EIO, EINTR, ENOMEM], "flock": [EINTR, ENOMEM, EIO], "getrandom": [EINTR, ENOSYS],
    "sendmsg": [EINTR, ENOMEM, EAGAIN], "recvmsg": [EINTR, ENOMEM, EAGAIN], "close": [EIO, EINTR],
    "accept4": [EMFILE, ENOMEM, EINTR, EIO], "fork": [EAGAIN, ENOMEM], "posix_spawn": [EAGAIN, ENOMEM],
    "pthread_create": [EAGAIN, ENOMEM], "socketpair": [EMFILE, ENOMEM], "pipe2": [EMFILE, ENOMEM],
    "eventfd": [EMFILE, ENOMEM], "memfd_create": [EMFILE, ENOMEM],
}


def map_script(what):
    """A run without a fault; what(daemon's page), what(host's page)."""
    with Faulty() as s:
        s.play()
        assert not s.close() and s.exits == [0, 0]
        return what(s.daemon_page), what(s.host_page)


def run_all(points, run):
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, points))


def page_of(s, who):
    return s.daemon_page if who == "daemon" else s.host_page


def kill_at(point):
    who, n, action = point
    with Faulty(clean=False) as s:
        page_of(s, who).arm(CHANGES, n, action)
        s.play()
        verdict = s.close()
        assert not verdict, (point, verdict, s.lines[-40:])
        odd = [x for x in s.exits if x not in (0, -signal.SIGKILL)]
        assert not odd, (point, s.exits, s.lines[-40:])
        return page_of(s, who).get("fired")


def test_sigkill_at_every_call_that_changes_a_file(capsys):
    calls = map_script(lambda page: page.get("changes"))
    points = [(who, n, (KILL, KILL_HALF)[n % 2]) for who, most in zip(("daemon", "host"), calls)
              for n in range(1, most + 1)]
    chosen = sample(points, KILLS)
    fired = sum(run_all(chosen, kill_at))
    with capsys.disabled():
        print(f"\nseed {SEED}: {fired} of {len(chosen)} kills came, at calls of {calls[0]} by the daemon and {calls[1]} "
              f"by its host")
    assert fired > len(chosen) * 2 / 3


def pairs_of(page):
    """But for an event descriptor's write, which cannot fail."""
    found = []
    for key, (times, name) in sorted(page.sites().items(), key=lambda item: item[1][1]):
        where = page.where(name)
        if " life_wake " not in where:
            found += [(key, where, times, action) for action in FAILS.get(name.split()[0], ())]
    return found


def fail_at(point):
    """One (site, errno): some calls in a row fail from a chosen one on. Whatever came of it, once it is over the same
    daemon takes rows and delivers all of them."""
    who, key, name, most, action, seed = point
    chance = random.Random(seed)
    with Faulty(clean=False) as s:
        page = page_of(s, who)
        page.arm(key, chance.randrange(most) + 1, action, chance.choice((1, 1, 2, 4)))
        try:
            s.play()
            page.disarm()
            verdict = s.close()
        except AssertionError as e:
            verdict = str(e)
        told = f"{who}: {name} with {action_name(action)} ({page.get('fired')} times)"
        faults = [line for line in s.lines if "internal fault" in line]
        ends = "pthread_create libuv" in name  # its threads: it ends the process by itself, before a row is taken
        odd = [x for x in s.exits if x not in (0, 69, 70, 74, 78, *([-signal.SIGABRT] if ends else []))]
        if verdict or faults or odd or not s.stayed:
            return told, f"{told}: {verdict} exits {s.exits}\n" + "\n".join(s.lines[-60:])
        return told if page.get("fired") else None, None


def test_every_call_fails_in_every_way(capsys):
    daemon, host = map_script(pairs_of)
    points = [("daemon", *p) for p in daemon] + [("host", *p) for p in host]
    chosen = [(*p, SEED + n) for n, p in enumerate(sample(points, PAIRS))]
    results = run_all(chosen, fail_at)
    bad = [text for _, text in results if text]
    fired = Counter(told.split()[1] for told, _ in results if told)
    with capsys.disabled():
        print(f"\nseed {SEED}: {sum(fired.values())} of {len(chosen)} faults came, of {len(points)} pairs: {dict(fired)}")
    assert not bad, f"{len(bad)} of {len(chosen)}:\n" + "\n\n".join(bad[:20])
