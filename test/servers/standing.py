#!/usr/bin/env python3
"""A server that stays up between commands: what plugins/*/check.ini brings up and down, and looks into.

usage: standing.py NAME up | down | count | end

It listens on HEADGATE_CHECK_PORT (15432 unless set) and keeps its data in a folder below /tmp that belongs to that port; `end` stops it
and removes the folder.
"""
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import kit  # noqa: E402

PORT = int(os.environ.get("HEADGATE_CHECK_PORT") or 15432)


def standing(name):
    """The server without anything done to it; whether its data is there."""
    kind, folder = kit.server(name), Path(f"/tmp/headgate-check-{name}-{PORT}")
    made = (folder / "made").exists()
    if made:
        kind.install = lambda: None  # it has run: looking for its packages takes longer than all else
    server = kind()
    shutil.rmtree(server.dir)
    server.dir = folder
    server.log = server.dir / "log"
    server.lasting = True
    server.new_ports()
    server.port = PORT
    server.stand()
    return server, made


def pid_of(server):
    """Of the process that runs, or None."""
    try:
        pid, began = (server.dir / "pid").read_text().split()
    except OSError:
        return None
    stat = kit.stat_of(int(pid))
    return int(pid) if stat and stat[2] == began and stat[0] not in "ZX" else None


def up(server, made):
    if pid_of(server):
        if server.halts:
            server.signal(kit.offspring(pid_of(server)), signal.SIGCONT)
            kit.wait_until(server.ready, server.start_seconds, f"{server.name} to be ready")
        return
    if not made:
        shutil.rmtree(server.dir, ignore_errors=True)
        server.dir.mkdir()
        server.give(server.dir)
        server.prepare()
    spawn = server.spawn

    def noted():
        """Before it is waited for: this command may be ended meanwhile."""
        spawn()
        pid = server.process.pid
        (server.dir / "pid").write_text(f"{pid} {kit.stat_of(pid)[2]}")

    server.spawn = noted
    server.start()
    if not made:
        server.first()
        (server.dir / "made").touch()


def down(server, act):
    pid = pid_of(server)
    if pid and server.halts and act == "down":
        server.signal(kit.offspring(pid), signal.SIGSTOP)
    elif pid:
        below = kit.offspring(pid)
        server.signal(below, signal.SIGCONT)
        os.kill(pid, signal.SIGINT if server.name == "postgres" else server.stop_signal)
        kit.wait_until(lambda: not server.left(below[:1]), 60, f"the end of {server.name}")
        server.signal(below, signal.SIGTERM)  # what it leaves behind
        server.gone(below)


def main(name, act):
    server, made = standing(name)
    if act == "up":
        up(server, made)
    elif act in ("down", "end"):
        down(server, act)
        if act == "end":
            shutil.rmtree(server.dir, ignore_errors=True)
    else:
        print(server.different_rows())


if __name__ == "__main__":
    main(*sys.argv[1:])
