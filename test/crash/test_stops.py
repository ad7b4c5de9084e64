"""SIGTERM at any moment, twice, reloads and plugin files replaced, all under load; and a wall clock that jumps."""
import os
import random
import signal
import time

import pytest
from counts import SEED, count
from crash import Crash
from faults import install
from gateway import BUILD, row, wait_until

STOPS = count("STOPS", 20, 1000)
JUMPS = count("CLOCK_JUMPS", 2, 20)
YEAR = 365 * 86400


def test_stops_and_reloads_under_load(capsys):
    """Each stop ends with 0 within its limit; nothing acknowledged is lost, nothing comes twice."""
    chance = random.Random(SEED)
    with Crash(SEED, {"HEADGATE_STOP_TIMEOUT": "5s"}) as c:
        c.own_file = c.add_plugin(BUILD / "plugins/null.so")
        c.start()
        c.start_load()
        longest = 0.0
        for n in range(STOPS):
            c.wait_flow()
            what = chance.choice(("reload", "replace", "neither"))
            if what == "reload":
                c.config.write_text(f"[http]\nmax_rows = {1000 + n}\n")
                c.signal(signal.SIGHUP)
            elif what == "replace":
                c.add_plugin(BUILD / "plugins/null.so")
            time.sleep(chance.random() * 0.1)  # the moment is chance
            c.hosts()
            began = time.monotonic()
            c.process.terminate()
            if n % 3 == 0:  # a second one: at once
                time.sleep(chance.random() * 0.05)
                c.process.terminate()
            status = c.ended()
            longest = max(longest, time.monotonic() - began)
            assert status == 0, f"stop {n + 1} ended with {status}: " + "\n".join(c.lines[-20:])
            c.start()
        verdict = c.settle()
        with capsys.disabled():
            print(f"\nseed {SEED}: {STOPS} stops under load, the longest took {longest:.1f} s; "
                  f"{len(c.judge.acked)} row sets acknowledged")
        assert not verdict, verdict
        assert longest < 10


@pytest.mark.parametrize("steps", [[50 * YEAR, -45 * YEAR, 0], [3600, -3600] * 4], ids=["years", "each-second"])
def test_the_wall_clock_jumps(tmp_path, steps, capsys):
    """In the daemon and in its hosts. No timer fires early or hangs, nothing undelivered expires, ids stay unique."""
    for turn in range(JUMPS):
        program, daemon, host = install(tmp_path / f"bin{turn}")
        with Crash(SEED, {"PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_CHAOS_RETRY_MIN": "20ms", "PLUGIN_CHAOS_RETRY_MAX": "100ms",
                          "PLUGIN_CHAOS_RETRY_FOR": "1h", "PLUGIN_CHAOS_BATCH_ROWS": "100",
                          "HEADGATE_HTTP_HEADER_TIMEOUT": "30m", "HEADGATE_HTTP_IDLE_TIMEOUT": "30m"},
                   program=program, plugins=["chaos"]) as c:
            gate = c.work / "gate"
            gate.touch()
            c.env["PLUGIN_CHAOS_GATE"] = str(gate)
            c.start()
            c.take(row("held", {"row": 0, "of": 1}, index=0))  # of no client in the log; it is no fault
            wire = c.wire()  # an idle connection: its time is longer than the test, shorter than any jump
            c.start_load()
            for shift in steps:
                daemon.set("clock_shift_s", shift)
                host.set("clock_shift_s", shift)
                c.wait_flow()
                if len(steps) > 3:
                    time.sleep(1)  # it is the clock's own step
                assert c.get("/readyz").status == 200
            assert wire.quiet(0.01), "an idle connection was ended early"
            wire.sock.close()
            assert c.term() == 0  # and a restart in another time
            daemon.set("clock_shift_s", -3 * YEAR)
            c.start()
            c.wait_flow()
            found = c.pusher("chaos")
            assert not c.dead() and found["given_up"] == 0 and found["lag"]["seconds"] >= 0
            verdict = c.settle()
            assert not verdict, verdict
            os.unlink(gate)
            wait_until(lambda: c.pusher("chaos")["lag"]["rows"] == 0, 60, lambda: c.pusher("chaos"))
            assert not c.dead()
