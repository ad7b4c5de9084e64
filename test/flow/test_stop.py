"""The end and what survives it: SIGTERM, a second one, kill -9, restarts; nothing is lost and nobody is left behind."""
import os
import signal
import subprocess
import threading

from gateway import BUILD, Gateway, row, rows, wait_until


# contract: signal.term exit.0
def test_stop_answers_and_keeps():
    with Gateway({"PLUGIN_CHAOS_MODE": "slow", "PLUGIN_CHAOS_DELAY": "600s"}, plugins=["chaos"]) as g:
        for n in range(20):
            g.take(rows(f"u{n}", 5))
        assert g.term() == 0
        g.start({"PLUGIN_CHAOS_MODE": "good"})
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 0)
        assert len(g.wait_rows(100)) == 100
        wait_until(lambda: g.pusher("chaos")["delivered"] == 100)


# contract: stop.timeout
def test_a_plugin_that_does_not_stop_is_ended():
    env = {"PLUGIN_CHAOS_MODE": "deaf", "PLUGIN_CHAOS_DELAY": "600s", "HEADGATE_STOP_TIMEOUT": "300ms",
           "PLUGIN_CHAOS_TIMEOUT": "1h"}
    with Gateway(env, plugins=["chaos"]) as g:
        g.take(row("u"))
        g.wait_rows(1)
        assert g.term(15) == 0
        g.start({"PLUGIN_CHAOS_MODE": "good"})
        wait_until(lambda: g.pusher("chaos")["delivered"] == 1)


# contract: signal.term.twice
def test_a_second_signal_at_once():
    env = {"PLUGIN_CHAOS_MODE": "deaf", "PLUGIN_CHAOS_DELAY": "600s", "HEADGATE_STOP_TIMEOUT": "10m",
           "PLUGIN_CHAOS_TIMEOUT": "1h"}
    with Gateway(env, plugins=["chaos"], clean=False) as g:
        g.take(row("u"))
        g.wait_rows(1)
        g.hosts()
        g.signal(signal.SIGTERM)
        wait_until(lambda: refused_or_gone(g))
        g.signal(signal.SIGTERM)
        g.ended(15)
        g.start({"PLUGIN_CHAOS_MODE": "good"})
        wait_until(lambda: g.pusher("chaos")["delivered"] >= 1 and g.pusher("chaos")["lag"]["rows"] == 0)


def refused_or_gone(g):
    try:
        return g.post(row("late")).status == 503
    except OSError:
        return True


# contract: stop.keep_taking
def test_rows_are_still_taken_for_a_while():
    with Gateway({"HEADGATE_STOP_KEEP_TAKING": "3s"}) as g:
        g.hosts()
        g.signal(signal.SIGTERM)
        wait_until(lambda: g.get("/readyz").status == 503)
        taken = g.take(row("late"))
        assert taken["rows"] == 1
        assert g.ended() == 0
        g.start()
        assert [r["uuid"] for r in g.wait_rows(1)] == ["late"]


def test_who_waits_is_answered():
    env = {"PLUGIN_CHAOS_MODE": "slow", "PLUGIN_CHAOS_DELAY": "600s"}
    with Gateway(env, plugins=["chaos"]) as g:
        answers = []
        post = threading.Thread(target=lambda: answers.append(g.post(row("u"), headers={"Prefer": "wait=600"})))
        post.start()
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 1)
        assert g.term() == 0
        post.join(30)
        assert answers and answers[0].status == 202
        g.env["PLUGIN_CHAOS_MODE"] = "good"
        g.start()


def test_kill_9_loses_nothing():
    with Gateway() as g:
        ids = {}
        for turn in range(5):
            for n in range(30):
                uuid = f"u{turn}-{n}"
                ids[uuid] = g.take(rows(uuid, 4))["id"]
            g.kill9(hosts=turn % 2 == 0)
            g.start()
        found = g.wait_rows(600)
        assert len(found) == 600 and len({r["id"] for r in found}) == 600
        for uuid, batch in ids.items():
            assert {r["id"][:-6] for r in found if r["uuid"] == uuid} == {batch}


def test_the_host_alone_is_killed():
    with Gateway({"PLUGIN_FILE_RETRY_MAX": "200ms"}) as g:
        before = 0
        for turn in range(3):
            g.take(rows(f"u{turn}", 10))
            before = wait_until(lambda: (pid := g.host("file")) != before and pid)
            os.kill(before, signal.SIGKILL)
        found = g.wait_rows(30)
        assert len({r["id"] for r in found}) == len(found) == 30
        assert not g.dead()


def test_a_copied_folder_gives_no_id_twice():
    """Two gateways that began as one never give an id twice. (A thousand fresh ones: test/hostile.)"""
    seen = set()
    with Gateway() as g:
        taken = g.take(row("u"))["id"]
        assert g.term() == 0
        subprocess.run(["cp", "-a", g.data, g.work / "copy"], check=True)
        with Gateway({"PLUGIN_FILE_PATH": str(g.work / "copy.ndjson")}, data=g.work / "copy") as other:
            g.start()
            ids = [g.take(row("same"))["id"], other.take(row("same"))["id"]]
            assert len({taken, *ids}) == 3
            seen.update(ids)
    assert len(seen) == 2


# contract: signal.usr1 file.reopen
def test_usr1_reopens_the_file():
    with Gateway() as g:
        g.take(row("before"))
        g.wait_rows(1)
        os.rename(g.out / "rows.ndjson", g.out / "moved.ndjson")
        g.signal(signal.SIGUSR1)

        def written_anew():
            g.take(row("after"))
            return (g.out / "rows.ndjson").exists()
        wait_until(written_anew)
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0)
        found = g.file_rows()
        assert len({r["id"] for r in found}) == len(found) and "before" in {r["uuid"] for r in found}


# contract: drain drain.wait exit.75 api.drain probe.ready
def test_drain():
    with Gateway() as g:
        g.take(rows("u", 50))
        assert g.cli("probe", "ready").returncode == 0
        done = g.cli("drain", "--wait", "20s")
        assert done.returncode == 0, done.stderr
        answer = g.post(row("late"))
        assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
        assert g.get("/readyz").status == 503 and g.cli("probe", "ready").returncode != 0
        assert g.cli("probe", "live").returncode == 0
        assert len(g.file_rows()) == 50
    with Gateway({"PLUGIN_CHAOS_MODE": "notnow"}, plugins=["chaos"], start=False) as g:
        gate = g.work / "gate"
        gate.touch()
        g.env["PLUGIN_CHAOS_GATE"] = str(gate)
        g.start()
        g.take(row("u"))
        done = g.cli("drain", "--wait", "500ms")
        assert done.returncode == 75
        gate.unlink()
        assert g.cli("drain", "--wait", "20s").returncode == 0


# contract: probe.live exit.69 exit.64
def test_nobody_there():
    for verb in (["probe", "live"], ["status"], ["pause", "x"], ["dead", "list"], ["drain"]):
        done = subprocess.run([BUILD / "headgate", *verb, "--admin", "127.0.0.1:1"], capture_output=True)
        assert done.returncode == 69, verb
    for wrong in (["nonsense"], ["status", "--nonsense"], ["probe", "dead"], []):
        done = subprocess.run([BUILD / "headgate", *wrong], capture_output=True)
        assert done.returncode == 64, wrong
