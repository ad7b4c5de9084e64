"""What every puller can rely on: position and rows in one write, notify after it, its end, its broken ways."""
import contextlib
import json
import shutil
import signal
import subprocess
import threading

import pytest
from gateway import BUILD, ROOT, Gateway, command, wait_until, whole_lines


def counting(mode="plain", upto=5, env=None, **more):
    g = Gateway(plugins=["pull"], start=False, **more)
    g.told = g.work / "told"
    return g.start({"PLUGIN_PULL_FILE": str(g.told), "PLUGIN_PULL_MODE": mode, "PLUGIN_PULL_UPTO": str(upto),
                    "PLUGIN_PULL_RETRY_MIN": "20ms", "PLUGIN_PULL_RETRY_MAX": "100ms", **(env or {})})


def puller(g):
    return g.get("/v1/pullers/pull").json()


def told(g):
    return whole_lines(g.told)


def test_rows_position_and_notify():
    with counting(env={"PLUGIN_PULL_EVERY": "1h"}) as g:
        rows = g.wait_rows(5)
        assert [(r["uuid"], r["index"], r["data"]) for r in rows] == [("count", n, {"n": n}) for n in range(5)]
        wait_until(lambda: told(g) == [f"notify {n}" for n in range(1, 6)], what=lambda: told(g))
        receipt = g.get("/v1/receipts/count").json()
        assert len(receipt["batches"]) == 5 and receipt["batches"][0]["tags"] == {"kind": 'a "b"'}
        assert "pull" in [p["name"] for p in g.get("/v1/pushers").json()["pullers"]]
        assert [p["name"] for p in g.get("/v1/pullers").json()["pullers"]] == ["directory", "exec", "pull"]
        assert "pull" not in g.pushers()
        page = wait_until(lambda: 'kind="run"} 1' in (p := g.get("/metrics").body.decode()) and p)
        assert 'headgate_pulled_rows_total{puller="pull"} 5' in page
        assert 'headgate_puller_state{puller="pull",state="running"} 1' in page
        g.kill9()
        g.start({"PLUGIN_PULL_UPTO": "7"})
        wait_until(lambda: told(g)[5:] == ["notify 5", "notify 6", "notify 7"], what=lambda: told(g))
        assert len(g.wait_rows(7)) == 7
        assert g.term() == 0
        dump = command("journal", "dump", str(g.data / "journal"))
        places = [json.loads(line) for line in dump.stdout.splitlines() if '"puller"' in line]
        assert [(p["puller"], p["at"]) for p in places] == [("pull", str(n)) for n in range(1, 8)], dump.stdout
        assert command("journal", "verify", str(g.data / "journal")).returncode == 0
        g.start()


def test_position_outlives_its_segments():
    """The journal goes round many times; the position is in its file."""
    env = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_MAX_BYTES": "4MiB", "HEADGATE_JOURNAL_KEEP": "0",
           "HEADGATE_HTTP_MAX_BODY": "256KiB", "PLUGIN_PULL_EVERY": "1h"}
    with counting(env=env) as g:
        g.wait_rows(5)
        for n in range(60):
            wait_until(lambda: g.post({"uuid": "u", "row": {"data": {"text": "x" * 200000}}}).status == 202)
        g.kill9(hosts=True)
        g.start({"PLUGIN_PULL_UPTO": "6"})
        wait_until(lambda: told(g)[-1:] == ["notify 6"])
        assert puller(g)["rows"] == 1


@pytest.mark.parametrize("mode, words", [("crash", "5 times in a row"), ("crash-open", "5 times in a row"),
                                         ("broken", "the source is not what it was")])
def test_broken_with_a_reason_and_mended_by_resume(mode, words):
    with counting(mode) as g:
        wait_until(lambda: puller(g)["state"] == "broken", what=lambda: puller(g))
        assert words in puller(g)["error"]
        assert g.get("/readyz").status == 200
        g.restart({"PLUGIN_PULL_MODE": "plain"})
        assert len(g.wait_rows(5)) == 5
        wait_until(lambda: puller(g)["state"] == "running")


def test_a_crash_with_progress_goes_on():
    with counting("crash-later", 9) as g:
        rows = g.wait_rows(9)
        assert [r["data"]["n"] for r in rows] == list(range(9)) and puller(g)["restarts"] >= 2
        assert puller(g)["state"] != "broken"


def test_refused_rows_and_results_that_are_none():
    with counting("bad") as g:
        wait_until(lambda: any(line.startswith("emit 3 0 /rows/0/data/Bad: a key of data must be camelCase") for line in told(g)),
                   what=lambda: told(g))
        wait_until(lambda: puller(g)["state"] == "retrying")
        assert puller(g)["refused"] > 0 and "camelCase" in puller(g)["error"] and puller(g)["rows"] == 0
    with counting("short") as g:
        wait_until(lambda: "emit 3 0 emit.size: expected at least 48, found 8" in told(g), what=lambda: told(g))
    with counting("nonsense") as g:
        wait_until(lambda: "pull() returned 77" in puller(g)["error"])
        assert puller(g)["state"] == "retrying"


TIGHT = "[http]\nmax_memory = 1MiB\nbody_timeout = 10m\n"


def test_an_emission_waits_for_room_in_the_memory_of_bodies():
    with counting(upto=1, env={"PLUGIN_PULL_SIZE": "300KiB"}, ini=TIGHT) as g:
        g.wait_rows(1)
        assert g.admin("POST", "/v1/pullers/pull/pause").status == 200
        wait_until(lambda: puller(g)["state"] == "paused", what=lambda: puller(g))
        g.restart({"PLUGIN_PULL_UPTO": "20"})
        with g.wire() as w:  # a body that takes all that is there for large ones, and waits for more
            w.send(f"POST /v1/rows HTTP/1.1\r\nHost: {g.address}\r\nContent-Length: 15000000\r\n\r\n")
            pour = threading.Thread(target=pour_into, args=(w, 15000000), daemon=True)
            pour.start()
            wait_until(lambda: g.metrics()["headgate_intake_memory_bytes"] > 600000)
            assert g.admin("POST", "/v1/pullers/pull/resume").status == 200
            wait_until(lambda: "no room for it in http.max_memory" in puller(g)["error"], what=lambda: puller(g))
            assert g.post({"uuid": "small", "row": {"data": {"n": 1}}}).status == 202
            g.config.write_text(TIGHT.replace("1MiB", "64MiB"))
            g.signal(signal.SIGHUP)
            rows = g.wait_rows(21)
        assert sorted(r["data"]["n"] for r in rows if r["uuid"] == "count") == list(range(20))
        wait_until(lambda: g.metrics()["headgate_intake_memory_bytes"] == 0)  # all was given back
        assert puller(g)["refused"] == 0


def pour_into(wire, count):
    with contextlib.suppress(OSError):
        wire.send(b" " * count)


def test_an_emission_that_never_fits_is_refused():
    with counting(env={"PLUGIN_PULL_SIZE": "900KiB"}, ini=TIGHT) as g:
        wait_until(lambda: "emit 3 0 larger than three quarters of http.max_memory" in told(g), what=lambda: told(g))
        assert puller(g)["rows"] == 0


def test_pullers_and_http_share_the_memory():
    """Each of them is large beside what there is; all get through."""
    env = {"PLUGIN_PULL_SIZE": "250KiB", "PLUGIN_OTHER_USE": "pull", "PLUGIN_OTHER_SIZE": "500KiB",
           "PLUGIN_OTHER_UPTO": "25", "PLUGIN_OTHER_RETRY_MIN": "20ms"}
    with counting(upto=25, env={**env, "PLUGIN_OTHER_FILE": "/dev/null"}, ini=TIGHT) as g:
        def post(who):
            for n in range(15):
                document = {"uuid": f"http{who}", "row": {"index": n, "data": {"text": "x" * 240000}}}
                wait_until(lambda: g.post(document).status == 202)
        clients = [threading.Thread(target=post, args=(who,)) for who in range(3)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        rows = g.wait_rows(2 * 25 + 3 * 15)
        assert len({r["id"] for r in rows}) == len(rows) == 95
        wait_until(lambda: g.metrics()["headgate_intake_memory_bytes"] == 0)


def test_draining_is_not_now():
    with counting("hasty", 100000) as g:
        g.wait_rows(3)
        assert g.admin("POST", "/v1/drain").status == 200
        wait_until(lambda: any(line.startswith("emit 2 0 this gateway") for line in told(g)), what=lambda: told(g)[-3:])
        wait_until(lambda: puller(g)["state"] == "retrying")


def test_run_and_check_without_a_daemon(tmp_path):
    so = str(BUILD / "fixture/pull.so")
    settings = ["--set", f"FILE={tmp_path}/told", "--set", "UPTO=3"]
    done = command("plugin", "run", so, *settings)
    assert done.returncode == 0 and "pull has nothing more: 3 rows in 4 calls" in done.stderr, done
    assert [json.loads(line)["rows"][0]["data"]["n"] for line in done.stdout.splitlines()] == [0, 1, 2]
    done = command("plugin", "run", so, *settings, "--set", "MODE=bad")
    assert done.returncode == 69 and "refused: " in done.stderr
    done = command("plugin", "run", so, *settings, "--set", "MODE=crash")
    assert done.returncode == 65 and "in pull()" in done.stderr
    done = command("plugin", "check", so, *settings)
    assert done.returncode == 0 and "passed          pull " in done.stdout and "0 failed, " in done.stdout, done
    for mode, item in (("crash", "pull"), ("nonsense", "pull")):
        done = command("plugin", "check", so, *settings, "--set", f"MODE={mode}")
        assert done.returncode == 65 and f"failed          {item} " in done.stdout, done.stdout


SANITIZED = pytest.mark.skipif(BUILD.name in ("asan", "tsan"), reason="not here: a sanitizer's build")


@SANITIZED
def test_new_builds_passes_and_runs(sdk, tmp_path):
    env, prefix = sdk
    done = subprocess.run([prefix / "bin/headgate", "plugin", "new", "my-source", "--kind", "puller"], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done
    mine = tmp_path / "my-source"
    made = subprocess.run(["make", "-s", "test", "check"], cwd=mine, env=env, capture_output=True, text=True)
    assert made.returncode == 0 and made.stderr == "", made
    assert "FAIL" not in made.stdout and "0 failed, " in made.stdout and "passed          pull " in made.stdout
    (tmp_path / "lines").write_text('{"n":1}\n{"n":2}\n')
    with Gateway({"PLUGIN_MY_SOURCE_PATH": str(tmp_path / "lines")}, plugins=[str(mine / "my-source.so")]) as g:
        assert [r["data"]["n"] for r in g.wait_rows(2)] == [1, 2]


@SANITIZED
def test_the_timer_of_the_examples(sdk, tmp_path):
    env, _ = sdk
    shutil.copytree(ROOT / "examples/plugins/timer", tmp_path / "timer")
    made = subprocess.run(["make", "-s"], cwd=tmp_path / "timer", env=env, capture_output=True, text=True)
    assert made.returncode == 0, made
    with Gateway({"PLUGIN_TIMER_ENABLED": "yes", "PLUGIN_TIMER_EVERY": "200ms"}, plugins=[str(tmp_path / "timer/timer.so")]) as g:
        assert all(r["uuid"] == "timer" and r["data"]["at"] > 1e9 for r in g.wait_rows(3))


def test_a_puller_that_is_taken_away_comes_back_where_it_was():
    with counting() as g:
        g.wait_rows(5)
        (g.own_plugins / "pull.so").unlink()
        g.admin("POST", "/v1/reload")
        wait_until(lambda: puller(g)["state"] == "orphaned")
        assert "its position is kept" in puller(g)["error"]
        g.add_plugin("pull")
        wait_until(lambda: puller(g)["state"] == "running")
        assert len(g.wait_rows(5)) == 5


def test_a_puller_is_probed():
    """As pushers are; one without probe() is reachable when it is open, one that is not open is not."""
    with counting() as g:
        g.wait_rows(5)
        answer = g.admin("POST", "/v1/pullers/pull/probe")
        assert answer.status == 200 and answer.json()["reachable"], answer
        g.restart({"PLUGIN_PULL_MODE": "broken", "PLUGIN_PULL_UPTO": "9"})
        wait_until(lambda: puller(g)["state"] == "broken", what=lambda: puller(g))
        answer = g.admin("POST", "/v1/pullers/pull/probe").json()
        assert not answer["reachable"] and "not what it was" in answer["text"], answer
