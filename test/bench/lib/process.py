"""What processes have used, from /proc: CPU time in nanoseconds (not ticks), memory of their own, bytes written."""
import os
import re
from pathlib import Path


def family(pid):
    """A process and all below it."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def scheduled(pid):
    """(seconds on a processor, seconds ready but waiting for one) of one process so far."""
    ran = waited = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            on, off, _ = map(int, task.read_text().split())
        except OSError:
            continue
        ran, waited = ran + on, waited + off
    return ran / 1e9, waited / 1e9


def cpu(pids):
    return sum(scheduled(pid)[0] for pid in pids)


def waited(pids):
    return sum(scheduled(pid)[1] for pid in pids)


def status(pid, field):
    """A kB field of /proc/PID/status, in MB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 / 1e6


def unique(pid):
    """MB that are gone when the process ends."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.M))) * 1024 / 1e6


def pin(core):
    """A preexec_fn."""
    return lambda: os.sched_setaffinity(0, {core})
