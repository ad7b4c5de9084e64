"""The puller `exec`: what a command prints becomes rows."""
import os
import signal
from pathlib import Path

from gateway import Gateway, stat_of, wait_until


def with_command(command, env=None, **more):
    return Gateway({"PLUGIN_EXEC_COMMAND": command, **(env or {})}, **more)


def puller(g):
    return g.get("/v1/pullers/exec").json()


def datas(g, uuid=None):
    return [r["data"] for r in g.file_rows(g.out / "rows.ndjson") if uuid in (None, r["uuid"])]


def test_rows_documents_and_bad_lines_of_one_run():
    command = """printf '%s\\n' '{"n":1}' '' 'no row' '{"uuid":"own","row":{"index":7,"data":{"n":2}}}' '{"Bad":1}' '{"n":3},{"n":4}' '{"n":5}'; echo to the log >&2; printf '{"last":1}'"""
    with with_command(command, {"PLUGIN_EXEC_EVERY": "1h"}) as g:
        wait_until(lambda: len(datas(g)) == 4, what=lambda: g.lines[-20:])
        assert datas(g, "exec") == [{"n": 1}, {"n": 5}, {"last": 1}] and datas(g, "own") == [{"n": 2}]
        g.wait_event("plugin.log", text="to the log")
        def bad_lines():
            return [e["text"] for e in g.events if "is no row" in e.get("text", "")]
        bad = wait_until(lambda: len(b := bad_lines()) >= 3 and b, what=bad_lines)
        assert sorted(b.split(" is")[0] for b in bad) == ["line 3", "line 5", "line 6"]
        assert any(b.endswith(": no row") for b in bad) and any("camelCase" in b for b in bad)
        wait_until(lambda: puller(g)["next_run"] and not puller(g)["pulling"])
        p = puller(g)
        assert p["runs"] == 1 and p["rows"] == 4 and p["state"] == "running" and p["every"] == "1h" and p["confined"]
        wait_until(lambda: 'headgate_plugin_count_total{puller="exec",name="bad_lines"} 3' in g.get("/metrics").body.decode())


def test_bad_lines_go_to_their_file_and_a_failing_command_is_told():
    g = with_command("echo '{\"n\":1}'; echo oops; exit 3", {"PLUGIN_EXEC_EVERY": "1h"}, start=False)
    g.start({"PLUGIN_EXEC_BAD_LINES": str(g.work / "bad.ndjson"), "PLUGIN_EXEC_UUID": "u"})
    with g:
        wait_until(lambda: "exit status 3" in puller(g)["error"], what=lambda: puller(g))
        assert puller(g)["rows"] == 1
        lines = (g.work / "bad.ndjson").read_text().splitlines()
        assert lines[0].startswith("# line 2: ") and lines[1] == "oops"


def test_a_command_that_runs_on_is_read_as_it_prints_and_ended_with_the_daemon():
    g = with_command("exec cat fifo", start=False)
    box = g.work / "box"
    box.mkdir()
    os.mkfifo(box / "fifo")
    g.start({"PLUGIN_EXEC_FOLDER": str(box)})
    with g:
        with open(box / "fifo", "w") as pipe:
            for n in range(5):
                pipe.write(f'{{"n":{n}}}\n')
                pipe.flush()
                wait_until(lambda n=n: {"n": n} in datas(g))
            pid = g.host("exec") if "pid" in g.pusher("exec") else puller(g)["pid"]
            command = [int(p) for p in os.listdir("/proc") if p.isdigit() and (stat_of(int(p)) or (0, 0))[1] == pid]
            assert len(command) == 1
            assert g.term() == 0
            wait_until(lambda: stat_of(command[0]) is None or stat_of(command[0])[0] in "ZX")
        g.start()


def test_what_is_printed_when_told_to_end_is_taken_in():
    command = "trap 'echo \"{\\\"n\\\":2}\"; exit 0' TERM; echo '{\"n\":1}'; while :; do sleep 0.05; done"
    with with_command(command) as g:
        wait_until(lambda: datas(g) == [{"n": 1}])
        g.restart({"PLUGIN_EXEC_COMMAND": "sleep 1000"})
        wait_until(lambda: datas(g) == [{"n": 1}, {"n": 2}], what=lambda: datas(g))


def test_positions_survive_kills():
    """A source with a position: every row once, though both sides are killed."""
    command = """n=${HEADGATE_POSITION:-0}
while [ $n -lt 15000 ]; do
    m=$((n + 100)); while [ $n -lt $m ]; do echo "{\\"n\\":$n}"; n=$((n + 1)); done
    echo "{\\"position\\":\\"$n\\"}"; sleep 0.01
done"""
    with with_command(command, {"PLUGIN_EXEC_POSITIONS": "yes", "PLUGIN_EXEC_RETRY_MIN": "50ms"}) as g:
        for victim in ("host", "daemon", "host", "daemon"):
            base = puller(g)["rows"]
            wait_until(lambda r=base + 300: puller(g)["rows"] >= r)
            pid = puller(g)["pid"]
            if victim == "host":
                g.remember(pid)
                os.kill(pid, signal.SIGKILL)
            else:
                g.kill9()
                g.start()
        wait_until(lambda: len(datas(g)) >= 15000, 30, lambda: len(datas(g)))
        assert sorted(d["n"] for d in datas(g)) == list(range(15000))


def test_confined_to_its_folder():
    outside = Path("/tmp/headgate-exec-outside")
    g = with_command(f"echo x > inside && echo '{{\"inside\":1}}'; echo x > {outside} || echo '{{\"outside\":0}}'; "
                     "cat /etc/shadow || echo '{\"shadow\":0}'; echo \"{\\\"var\\\":\\\"$WORD\\\"}\"",
                     {"PLUGIN_EXEC_EVERY": "1h", "PLUGIN_EXEC_ENV": "WORD=hush"}, start=False)
    (g.work / "box").mkdir()
    g.start({"PLUGIN_EXEC_FOLDER": str(g.work / "box")})
    with g:
        wait_until(lambda: len(datas(g)) == 4, what=lambda: g.lines[-8:])
        assert datas(g) == [{"inside": 1}, {"outside": 0}, {"shadow": 0}, {"var": "hush"}] and not outside.exists()
        shown = {o["name"]: o for o in puller(g)["options"]}
        assert shown["ENV"]["value"] == "(hidden)" and "hush" not in g.get("/v1/pullers/exec").body.decode()


def test_pause_resume_reload_forget_status():
    with with_command("echo '{\"n\":1}'", {"PLUGIN_EXEC_EVERY": "200ms"}) as g:
        wait_until(lambda: puller(g)["runs"] >= 2)
        assert g.cli("pause", "exec").returncode == 0
        wait_until(lambda: puller(g)["state"] == "paused" and puller(g)["pid"] == 0)
        g.restart()
        assert puller(g)["state"] == "paused"
        assert g.cli("resume", "exec").returncode == 0
        wait_until(lambda: puller(g)["runs"] >= 1)
        told = g.cli("status").stdout
        assert "PULLER" in told and "exec" in told
        assert "EVERY = 200ms" in g.cli("status", "exec").stdout
        assert g.admin("DELETE", "/v1/pullers/exec").status == 409
        g.config.write_text("[plugin exec]\nenabled = no\n")
        assert g.admin("POST", "/v1/reload").status == 200
        wait_until(lambda: puller(g)["state"] == "unconfigured" and puller(g)["pid"] == 0)
        assert (g.data / "pullers/exec/position").exists()
        wait_until(lambda: g.admin("DELETE", "/v1/pullers/exec").status == 200)
        assert not (g.data / "pullers/exec").exists()


def test_misplaced_and_bad_settings():
    env = {"PLUGIN_EXEC_BATCH_ROWS": "5", "PLUGIN_FILE_EVERY": "5s"}
    with with_command("true", env) as g:
        p = puller(g)
        assert p["state"] == "broken" and "BATCH_ROWS is an option of pushers" in p["error"]
        assert "EVERY is an option of pullers" in g.pusher("file")["error"]
    with with_command("true", {"PLUGIN_EXEC_EVERY": "61 * * * *"}) as g:
        assert puller(g)["state"] == "broken" and "EVERY" in puller(g)["error"]
