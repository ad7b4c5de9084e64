"""What an operator sees of plugins' processes: ones that do not start, do not open, end, or talk too much; cursors that are
lost; instances that come and go with the settings; the limits that let a pusher fall behind."""
import os
import pty
import re
import shutil
import signal
import subprocess

import pytest
from gateway import BUILD, Gateway, row, rows, wait_until
from test_delivery import SMALL, chaos, file_rows, got, let_go, take_large, wait_got


def test_a_plugin_that_cannot_open_yet():
    with chaos("openno") as g:
        assert g.wait_state("chaos", "retrying")["error"]
        g.take(rows("a", 3))
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 3)
        g.gate.unlink()
        wait_got(g, 3)
        assert g.pusher("chaos")["state"] == "running" and not g.dead()


# contract: pusher.RETRY_FOR
def test_rows_expire_while_a_plugin_cannot_open():
    with chaos("openno", RETRY_FOR="1s") as g:
        g.take(rows("a", 3))
        letters = wait_until(lambda: len(d := g.dead()) == 3 and d)
        assert {d["reason"] for d in letters} == {"expired: the plugin could not open for longer than RETRY_FOR"}
        g.gate.unlink()
        g.wait_state("chaos", "running")
        g.take(row("b"))
        wait_got(g, 1)


@pytest.mark.parametrize("mode,state,words", [
    ("openbad", "broken", ""), ("openodd", "broken", "77"), ("startno", "retrying", ""), ("startsegv", None, "Segmentation")])
def test_why_a_plugin_does_not_run(mode, state, words):
    with chaos(mode) as g:
        p = wait_until(lambda: (p := g.pusher("chaos"))["state"] in (state, "broken") and words in p["error"] and p)
        assert p["error"] and p["dead_letters"] == 0
        assert state is None or p["state"] == state
        g.restart({"PLUGIN_CHAOS_MODE": "good"})
        g.take(row("a"))
        wait_got(g, 1)


def test_a_plugin_that_ends_its_process():
    with chaos("exits", "bad") as g:
        g.take(row("a", {"bad": 1}))
        wait_until(lambda: "exit status 0" in g.pusher("chaos")["error"])
        g.take(row("b"))
        wait_got(g, 1)
        assert g.metrics()['headgate_plugin_restarts_total{pusher="chaos",reason="crash"}'] >= 1
        wait_until(lambda: len(file_rows(g)) == 2)  # nobody waits for the other pusher


def test_the_host_program_is_gone_for_a_while():
    with Gateway(plugins=["chaos"], start=False) as g:
        g.program = str(shutil.copy(BUILD / "headgate", g.work))
        host = shutil.copy(BUILD / "headgate-host", g.work)
        g.start()
        pid = g.host("chaos")
        os.rename(host, host + ".away")
        os.kill(pid, signal.SIGKILL)
        failed = g.wait_event("host.not_started", pusher="chaos")
        assert "headgate-host" in failed["text"]
        g.take(rows("a", 3))  # nobody waits for it
        g.wait_rows(3)
        os.rename(host + ".away", host)
        wait_got(g, 3)


def test_a_plugin_that_counts_and_talks():
    with chaos("chatty") as g:
        g.take(rows("a", 5))
        wait_until(lambda: g.metrics().get('headgate_plugin_count_total{pusher="chaos",name="rows_seen"}') == 5)
        def texts():
            return [e["text"] for e in g.events if e.get("event") == "plugin.log"]
        wait_until(lambda: len(texts()) >= 2 and any("on stdout" in t for t in texts()))
        assert not any("\n" in t for t in texts())
        assert not any("Not A Name" in name for name in g.metrics())
    with chaos("flood", BATCH_ROWS="1") as g:
        lost = 'headgate_plugin_faults_total{pusher="chaos",fault="log-dropped"}'
        wait_until(lambda: g.take(row("a")) and g.metrics()[lost] > 0)
        assert sum(e.get("event") == "plugin.log" for e in g.events) < 50000
        g.wait_event("plugin.log_dropped", pusher="chaos")


def test_both_copies_of_a_cursor_are_lost():
    with chaos("good") as g:
        g.take(rows("a", 5))
        wait_got(g, 5)
        assert g.term() == 0
        cursor = g.data / "pushers/chaos/cursor"
        size = cursor.stat().st_size
        with open(cursor, "r+b") as f:
            for at in (0, size // 2):
                f.seek(at)
                f.write(b"\xff" * 64)
        g.start()
        g.wait_event("pusher.cursor_lost", pusher="chaos")
        g.take(row("b"))
        found = wait_got(g, 11)  # a repeat, never a loss, with the ids that the rows had
        assert [r[3] for r in found] == ["a"] * 10 + ["b"] and len({r[0] for r in found}) == 6
        g.restart()
        assert not [e for e in g.events[g.mark:] if e.get("event") == "pusher.cursor_lost"]


# --- instances and the settings


def test_instances_come_and_go_with_the_settings():
    with Gateway(plugins=["chaos"], ini="[plugin second]\nuse = http\n") as g:
        def reload(text, code=0):
            g.config.write_text(text)
            done = g.cli("reload")
            assert done.returncode == code, done
            return done
        assert g.wait_state("second", "unconfigured")["plugin"] == "http"
        reload("")  # it never ran: nothing is left of it
        assert "second" not in g.pushers()
        third = f"[plugin third]\nuse = chaos\nfile = {g.work}/third.got\n"
        reload(third)
        g.wait_state("third", "running")
        g.take(rows("a", 3))
        wait_until(lambda: g.pusher("third")["lag"]["rows"] == 0)
        reload("")  # it has a cursor
        g.wait_state("third", "orphaned")
        reload(third.replace("chaos", "nothere", 1))
        assert g.pusher("third")["state"] == "orphaned"
        done = reload("[plugin file]\nenabled = perhaps\n", 78)
        assert "perhaps" in done.stderr and g.pusher("chaos")["state"] == "running"
        reload("[plugin file]\nenabled = no\n")
        g.wait_state("file", "unconfigured")
        assert wait_until(lambda: g.admin("DELETE", "/v1/pushers/file").status == 200)
        assert g.pusher("file")["state"] == "unconfigured" and not (g.data / "pushers/file").exists()


def test_a_forgotten_pusher_leaves_no_file():
    with chaos("reject") as g:
        g.take(rows("a", 3))
        wait_until(lambda: len(g.dead()) == 3)
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        wait_until(lambda: g.cli("plugin", "forget", "chaos").returncode == 0)
        assert not (g.data / "pushers/chaos").exists() and not g.dead()


def test_a_forgotten_pusher_comes_back_while_it_is_let_go():
    with chaos("notnow", FROM="start") as g:
        let_go(g, 10)
        g.gate.unlink()
        g.add_plugin("chaos")
        assert len(wait_got(g, 10)) == 10  # FROM says so
        assert g.pusher("chaos")["dead_letters"] == 10


# --- dead letters that are under way


def test_a_dead_letter_that_is_being_tried():
    with chaos("reject", "bad") as g:
        g.take(row("a", {"bad": 1}))
        letter, = wait_until(lambda: g.dead())
        g.restart({"PLUGIN_CHAOS_MODE": "notnow"})
        path = f"/v1/dead-letters/{letter['id']}"
        assert g.admin("POST", path + "/retry").status == 202
        again = g.admin("POST", path + "/retry")
        assert again.status == 409 and "tried" in again.json()["detail"]
        g.gate.unlink()
        assert wait_got(g, 1)[0][2] == 2
        wait_until(lambda: not g.dead())


# --- limits


# contract: pusher.WHEN_FULL.skip pusher.WHEN_FULL.dead
@pytest.mark.parametrize("what", ["skip", "dead-letter"])
def test_a_full_journal_and_a_pusher_that_gives_way(what):
    with chaos("notnow", WHEN_FULL=what, HEADGATE_JOURNAL_MAX_BYTES="4MiB", HEADGATE_JOURNAL_KEEP_BYTES="0", **SMALL) as g:
        for n in range(100):  # 10 MB through 4
            wait_until(lambda n=n: g.post(row(f"u{n}", {"pad": "x" * 100000})).status == 202)
        wait_until(lambda: len({r["uuid"] for r in file_rows(g)}) == 100)
        p = g.pusher("chaos")
        if what == "skip":
            assert p["given_up"] > 50 and not g.dead("?limit=1")
            assert g.metrics()['headgate_rows_skipped_total{pusher="chaos",reason="given-up"}'] == p["given_up"]
        else:
            letters = wait_until(lambda: len(d := g.dead("?limit=1000")) > 50 and d)
            assert {d["reason"] for d in letters} == {"given up: the journal was full (WHEN_FULL)"}
        g.gate.unlink()
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        p = g.pusher("chaos")
        assert p["delivered"] + p["given_up"] + p["dead"] == 100 == len(got(g)) + p["given_up"] + p["dead_letters"]


# contract: pusher.MAX_LAG
def test_a_pusher_that_is_too_long_behind():
    with chaos("notnow", MAX_LAG="1s") as g:
        g.take(row("a"))
        wait_until(lambda: g.get("/readyz").status == 503)
        assert "MAX_LAG" in g.get("/readyz").json()["detail"]
        refusal = wait_until(lambda: (r := g.post(row("b"))).status == 503 and r)
        assert "MAX_LAG" in refusal.json()["detail"] and int(refusal.headers["retry-after"]) > 0
        g.gate.unlink()
        wait_until(lambda: g.post(row("b")).status == 202)
    with chaos("notnow", MAX_LAG="1s", WHEN_FULL="dead-letter") as g:
        g.take(rows("a", 3))
        wait_until(lambda: len(g.dead()) == 3)
        assert g.get("/readyz").status == 200


def test_a_restart_in_the_middle_of_a_large_backlog():
    with chaos("notnow", **SMALL) as g:
        take_large(g, 30)
        (g.own_plugins / "chaos.so").unlink()
        g.wait_state("chaos", "orphaned")
        wait_until(lambda: g.cli("plugin", "forget", "chaos", "--dead-letter").returncode == 0)
        g.kill9()  # some are dead letters already, the others become it
        g.start()
        wait_until(lambda: len(g.dead("?limit=100")) == 30)
        assert g.pusher("chaos")["lag"]["rows"] == 0


# --- terminals


def test_run_on_a_terminal_says_where_to_go():
    with Gateway(start=False, clean=False) as g:
        parent, child = pty.openpty()
        process = subprocess.Popen(g.command(), env=g.environment(), stdin=subprocess.DEVNULL, stdout=child,
                                   stderr=subprocess.DEVNULL, cwd=g.work)
        os.close(child)
        text = b""
        try:
            while b"curl" not in text or not text.endswith(b"\n"):
                text += os.read(parent, 4096)
        finally:
            process.terminate()
            assert process.wait(60) == 0
            os.close(parent)
        assert re.search(rb"rows go to +http://127\.0\.0\.1:\d+/v1/rows", text) and re.search(rb"look at +http://127", text)


def test_status_watch_ends_when_nobody_can_read():
    with Gateway() as g, open("/dev/full", "w") as full:
        for more in ([], ["--json"], ["file"]):
            done = subprocess.run([g.program, "status", "--watch", "--admin", g.admin_address, *more], stdout=full,
                                  stderr=subprocess.PIPE, env=g.environment(), timeout=60)
            assert done.returncode == 74, done
        done = g.cli("status", "--watch", "nobody")
        assert done.returncode == 65
