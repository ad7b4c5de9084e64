"""The command's client verbs against a fake gateway: what they ask, what they print, and their exit codes."""
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test" / "fixture"))
from fake_admin import Answer, FakeAdmin, problem, pusher, status  # noqa: E402

BIN = os.environ.get("HEADGATE_BIN") or str((ROOT / os.environ.get("HEADGATE_BUILD", "build") / "headgate").resolve())
PLAIN = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": "/nonexistent"}
ROW = "0" * 26 + "-" + "0" * 13 + "-00003"
DEAD = ROW + ".file"


@pytest.fixture
def fake():
    with FakeAdmin() as server:
        yield server


def run(*arguments, stdin=None, env=None, timeout=60):
    done = subprocess.run([BIN, *map(str, arguments)], capture_output=True, env={**PLAIN, **(env or {})},
                          timeout=timeout, **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}))
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def ask(fake, *arguments, code=0, **more):
    done = run(*arguments, "--admin", fake.address, **more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if not line.startswith("{")), done.stdout
    return done


def send(fake, *arguments, code=0, **more):
    done = run("send", "--to", fake.address, *arguments, **more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


# --- the dispatcher


def test_help_lists_every_verb_and_exit_code():
    done = run("help")
    assert done.returncode == 0
    for word in ["run", "status", "dead list", "journal verify", "send", "refusals", "75", "78"]:
        assert word in done.stdout
    assert run("--help").stdout == done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_help_of_a_verb():
    done = run("help", "dead", "list")
    assert done.returncode == 0 and "--since" in done.stdout
    assert run("dead", "list", "--help").stdout == done.stdout
    assert "dead export" in run("help", "dead").stdout


def test_version():
    done = run("--version")
    assert done.returncode == 0 and re.fullmatch(r"headgate \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("words,near", [(["statsu"], "status"), (["dead", "lst"], "dead list"), (["quux"], None), ([], None)])
def test_unknown_verb(words, near):
    done = run(*words)
    assert done.returncode == 64 and done.stdout == ""
    assert near is None or f"`{near}`" in done.stderr
    assert "dead show ID" in run("dead", "--json").stderr


@pytest.mark.parametrize("words,said", [
    (["status", "--wacth"], "--watch"), (["status", "--watch=1"], "takes no value"), (["pause"], "missing"),
    (["status", "--admin"], "needs a value"), (["receipt", "a", "b"], "too much"), (["drain", "--wait", "25"], "--wait"),
    (["dead", "list", "--limit", "x"], "--limit"), (["dead", "list", "--since", "yesterday"], "--since"),
    (["probe", "dead"], "live"), (["status", "--admin", "nowhere"], "host:port"), (["dead", "retry"], "which ones"),
    (["dead", "drop", "x", "--all"], "either"), (["replay", "--uuid", "u"], "--pusher"),
    (["replay", "--pusher", "p"], "either"), (["replay", "--pusher", "p", "--from", "1h"], "--to"),
    (["send", "--format", "xml"], "--format"), (["send", "--decimal", ";"], "--decimal"), (["send", "--uuid", ""], "--uuid"),
    (["send", "--delimiter", "ab"], "--delimiter"),
])
def test_wrong_usage(words, said):
    done = run(*words)
    assert done.returncode == 64 and said in done.stderr, done.stderr


def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN, "help"], stdout=full, stderr=subprocess.PIPE, env=PLAIN)
    assert done.returncode == 74 and b"standard output" in done.stderr


# --- finding the daemon


def test_address_from_environment(fake):
    fake.set("GET", "/livez", {})
    assert run("probe", "live", env={"HEADGATE_ADMIN_LISTEN": fake.address}).returncode == 0


def test_address_from_settings_file(fake, tmp_path):
    fake.set("GET", "/livez", {})
    (tmp_path / "h.ini").write_text(f"[admin]\nlisten = {fake.address}\n")
    assert run("probe", "live", env={"HEADGATE_CONFIG": str(tmp_path / "h.ini")}).returncode == 0


# contract: cli.admin
def test_unix_socket(tmp_path):
    with FakeAdmin(unix=tmp_path / "admin.sock") as fake:
        fake.set("GET", "/readyz", {})
        assert ask(fake, "probe", "ready").stdout == "ready\n"
        assert fake.asked[0][2]["Host"] == "localhost"


def test_proxy_of_the_environment_is_ignored(fake):
    fake.set("GET", "/livez", {})
    ask(fake, "probe", "live", env={"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"})


# contract: exit.69
def test_nobody_there():
    done = run("status", "--admin", "127.0.0.1:9")
    assert done.returncode == 69 and "127.0.0.1:9" in done.stderr and "running" in done.stderr


# contract: cli.token
def test_token(fake, tmp_path):
    fake.set("GET", "/livez", {})
    (tmp_path / "t").write_text("secret-2\n")
    ask(fake, "probe", "live", env={"HEADGATE_TOKEN": "secret-1"})
    ask(fake, "probe", "live", env={"HEADGATE_TOKEN_FILE": str(tmp_path / "t")})
    assert [a[2]["Authorization"] for a in fake.asked] == ["Bearer secret-1", "Bearer secret-2"]
    both = run("status", "--admin", fake.address, env={"HEADGATE_TOKEN": "a", "HEADGATE_TOKEN_FILE": "b"})
    assert both.returncode == 78 and "both" in both.stderr
    bad = run("status", "--admin", fake.address, env={"HEADGATE_TOKEN": "a\r\nX: y"})
    assert bad.returncode == 78 and "X: y" not in bad.stderr
    gone = run("status", "--admin", fake.address, env={"HEADGATE_TOKEN_FILE": str(tmp_path / "none")})
    assert gone.returncode == 78 and "HEADGATE_TOKEN_FILE" in gone.stderr


@pytest.mark.parametrize("answer,code,said", [
    (problem(401, "a token is needed."), 78, "a token is needed; set HEADGATE_TOKEN"),
    (problem(404, "there is no pusher `x`."), 65, "there is no pusher `x`"),
    (problem(503, "draining."), 69, "try again later"), (Answer(b"oops", 500), 70, "500"),
    (Answer(b"not json"), 70, "JSON"), (Answer({"x": 1}), 70, "pushers"),
    (problem(422, "bad.", errors=[{"pointer": "/rate", "detail": "too small"}]), 65, "/rate: too small"),
])
def test_problems(fake, answer, code, said):
    fake.set("GET", "/v1/pushers", answer)
    assert said in ask(fake, "status", code=code).stderr


def test_an_answer_cannot_reach_the_terminal(fake):
    fake.set("GET", "/v1/pushers", status(pusher("file", error="\x1b[2J\u009b31m gone \u202e")))
    out = ask(fake, "status").stdout
    assert "\x1b" not in out and "\u009b" not in out and "\u202e" not in out and "gone" in out
    fake.set("GET", "/v1/pushers", problem(404, "\x1b[2Jno"))
    assert "\x1b" not in ask(fake, "status", code=65).stderr


# --- status


# contract: status
def test_status(fake):
    fake.set("GET", "/v1/pushers", status(
        pusher("file", delivered=123456),
        pusher("warehouse", state="retrying", lag={"rows": 12034, "bytes": 3250586, "seconds": 130.4}, delivered=8812,
               retries=17, dead_letters=3, restarts=2, parked=1, error="could not connect: " + "connection refused " * 9)))
    lines = ask(fake, "status").stdout.splitlines()
    assert lines[0] == "headgate 0.1.0, up 1h2m, 12 rows received, ready"
    assert lines[1] == "journal 3.0MiB of 10GiB, intake ok"
    assert lines[3].split() == "PUSHER STATE LAG ROWS BYTES TIME DELIVERED RETRIES DEAD".split()
    assert lines[4].split() == "file running 0 0 0 123456 0 0".split()
    assert lines[5].split() == "warehouse retrying 12034 3.1MiB 2m10s 8812 17 3".split()
    assert "could not connect" in "".join(lines[6:]) and "restarted 2 times" in "".join(lines[6:])


def test_status_of_what_nobody_set_up(fake):
    idle = {"state": "unconfigured", "error": "not configured"}
    puller = {"name": "mail", "kind": "puller", "rows": 0, "runs": 0, "refused": 0, "restarts": 0, **idle}
    fake.set("GET", "/v1/pushers", {
        **status(pusher("file"), pusher("nats", **idle), pusher("dead", dead_letters=1, **idle),
                 pusher("left", lag={"rows": 5, "bytes": 1, "seconds": 1}, **idle)), "pullers": [puller]})
    lines = ask(fake, "status").stdout.splitlines()
    assert lines[-1] == "Not configured: nats, mail" and lines[-2] == ""
    assert [line.split()[0] for line in lines[3:-2] if not line.startswith(" ")] == ["PUSHER", "file", "dead", "left"]
    fake.set("GET", "/v1/pushers/nats", pusher("nats", **idle))
    assert "nats    unconfigured" in ask(fake, "status", "nats").stdout


def test_status_when_not_ready(fake):
    s = status(ready=False, reason="the disk is full")
    s["journal"].update(intake="full", text="no space left")
    fake.set("GET", "/v1/pushers", s)
    out = ask(fake, "status").stdout
    assert "NOT READY: the disk is full" in out and "intake full: no space left" in out and "no pusher" in out


def test_status_of_one(fake):
    fake.set("GET", "/v1/pushers/file", {**pusher("file"), "options": [
        {"name": "PATH", "value": "out", "origin": "environment", "secret": False},
        {"name": "TOKEN", "value": "s3cret", "origin": "file", "secret": True}]})
    out = ask(fake, "status", "file").stdout
    assert "PATH = out" in out and "TOKEN = (hidden)" in out and "s3cret" not in out


def test_long_names_fit(fake):
    fake.set("GET", "/v1/pushers", status(pusher("a" * 200, delivered=10**15, retries=10**9, dead_letters=10**9,
                                                 lag={"rows": 10**12, "bytes": 10**15, "seconds": 10**7})))
    assert "aaaaaaa~" in ask(fake, "status").stdout


# contract: cli.json
@pytest.mark.parametrize("path,words", [
    ("/v1/pushers", ["status"]), ("/v1/pushers/file", ["status", "file"]), ("/v1/receipts/u", ["receipt", "u"]),
    ("/v1/dead-letters", ["dead", "list"]), (f"/v1/dead-letters/{DEAD}", ["dead", "show", DEAD]),
    ("/v1/replays", ["replay", "list"]), ("/v1/config", ["config"]), ("/v1/refusals", ["refusals"])])
def test_json_is_unchanged(fake, path, words):
    raw = b'{"a": 1.10,  "b":12345678901234567890, "c":[]}'
    fake.set("GET", path, Answer(raw))
    assert ask(fake, *words, "--json").stdout.encode() == raw + b"\n"


# contract: status.watch
def test_watch_shows_a_rate(fake):
    fake.set("GET", "/v1/pushers", [status(pusher("file", delivered=n)) for n in (100, 1100, 2100)])
    began = time.monotonic()
    watch = subprocess.Popen([BIN, "status", "--watch", "--admin", fake.address], stdout=subprocess.PIPE, env=PLAIN)
    try:
        rates, end = [], began + 100
        while len(rates) < 2 and time.monotonic() < end:
            line = watch.stdout.readline().decode()
            if line.startswith("file"):
                rates.append(line.split()[5])
        took = time.monotonic() - began
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()
    assert rates[0] == "-"
    number = float(rates[1].rstrip("k")) * (1000 if rates[1].endswith("k") else 1)
    assert 0.95 * 1000 / took <= number <= 1000  # 1000 rows in a second or, on a busy machine, somewhat more


# --- receipts


RECEIPT = {"id": ROW[:40], "uuid": "plate 7/ä", "rows": 96, "received": "2026-01-31T12:00:00.123456Z", "tags": {},
           "outcome": "pending", "pushers": {
               "file": {"state": "settled", "delivered": 96, "duplicate": 0, "skipped": 0, "dead": 0, "attempts": 1},
               "http": {"state": "retrying", "delivered": 0, "attempts": 7, "error": "HTTP status 503"}}}


# contract: receipt
@pytest.mark.parametrize("given", [ROW[:40], ROW])
def test_receipt_by_id(fake, given):
    fake.set("GET", "/v1/batches/" + ROW[:40], RECEIPT)
    out = ask(fake, "receipt", given).stdout
    assert "plate 7/ä" in out and "96 rows" in out and "2026-01-31 12:00:00Z" in out and "HTTP status 503" in out
    assert re.search(r"http +retrying +0 +0 +0 +0 +7", out)


def test_receipt_by_uuid(fake):
    fake.set("GET", "/v1/receipts/plate%207%2F%C3%A4", {"uuid": "plate 7/ä", "batches": [RECEIPT, RECEIPT], "next": "c1"})
    out = ask(fake, "receipt", "plate 7/ä").stdout
    assert out.count("outcome") == 0 and out.count(ROW[:40]) == 2 and "--after c1" in out
    fake.set("GET", "/v1/receipts/x", {"uuid": "x", "batches": [], "next": None})
    assert "no row set" in ask(fake, "receipt", "x", "--after", "c 1", code=65).stderr
    assert fake.asked[-1][1] == "/v1/receipts/x?after=c%201"


def test_receipt_gone(fake):
    fake.set("GET", "/v1/batches/" + ROW[:40], problem(410, "it is no longer in the journal."))
    assert "no longer" in ask(fake, "receipt", ROW[:40], code=65).stderr


# --- dead letters


LETTER = {"id": DEAD, "pusher": "file", "uuid": "u", "reason": "rejected: no such column", "since": "2026-01-31T12:00:00Z",
          "received": "2026-01-31T11:00:00Z", "attempts": 3, "index": 7, "state": "dead", "returned": 1, "bytes": 2048}


# contract: dead.list dead.filters
def test_dead_list(fake):
    fake.set("GET", "/v1/dead-letters", {"dead": [LETTER], "next": "c2", "total": 9})
    out = ask(fake, "dead", "list", "--pusher", "file", "--reason", "no such", "--uuid", "u&v", "--since",
              "2026-01-31 13:00+01:00", "--limit", "1").stdout
    assert fake.asked[0][1] == ("/v1/dead-letters?pusher=file&reason=no%20such&uuid=u%26v"
                                "&since=2026-01-31T12%3A00%3A00.000000Z&limit=1")
    assert DEAD in out and "index 7" in out and "no such column" in out and "3 attempts" in out and "--after c2" in out
    assert "1 of 9" in out


def test_since_a_while_ago(fake):
    fake.set("GET", "/v1/dead-letters", {"dead": [], "next": None, "total": 0})
    before = datetime.now(timezone.utc)
    assert "No dead letters" in ask(fake, "dead", "list", "--since", "2h").stdout
    stamp = re.search(r"since=([^&]+)", fake.asked[0][1])[1].replace("%3A", ":").replace("Z", "+00:00")
    assert timedelta(0) <= datetime.fromisoformat(stamp) - before + timedelta(hours=2) < timedelta(minutes=1)


# contract: dead.show
def test_dead_show_keeps_digits(fake):
    raw = json.dumps({**LETTER, "data": {"x": 0}, "tags": {}}).replace('"x": 0', '"x": 1.10')
    fake.set("GET", f"/v1/dead-letters/{DEAD}", Answer(raw.encode()))
    assert '"x": 1.10' in ask(fake, "dead", "show", DEAD).stdout


# contract: dead.export
def test_dead_export_follows_the_pages(fake):
    other = {**LETTER, "id": DEAD.replace("00003", "00004")}
    fake.set("GET", "/v1/dead-letters", [{"dead": [LETTER], "next": "c 2", "total": 2},
                                         {"dead": [other], "next": None, "total": 2}])
    for letter in (LETTER, other):
        text = json.dumps({**letter, "data": {"x": 0}}, indent=1).replace('"x": 0', '"x": 1.10')
        fake.set("GET", f"/v1/dead-letters/{letter['id']}", Answer(text.encode()))
    lines = ask(fake, "dead", "export", "--pusher", "file").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [LETTER["id"], other["id"]]
    assert all('"x": 1.10' in line for line in lines)
    pages = fake.requests("GET", "/v1/dead-letters")
    assert [p[1] for p in pages] == ["/v1/dead-letters?pusher=file&limit=100",
                                     "/v1/dead-letters?pusher=file&limit=100&after=c%202"]


# contract: dead.retry dead.drop dead.dry-run
def test_dead_retry_and_drop(fake):
    fake.set("POST", f"/v1/dead-letters/{DEAD}/retry", Answer({}, 202))
    fake.set("DELETE", f"/v1/dead-letters/{DEAD}", {})
    fake.set("GET", f"/v1/dead-letters/{DEAD}", LETTER)
    fake.set("POST", "/v1/dead-letters/retry", {"matched": 4, "retried": 3})
    fake.set("POST", "/v1/dead-letters/drop", {"matched": 4, "dropped": 4})
    assert "sent again" in ask(fake, "dead", "retry", DEAD).stdout
    assert "would be given up" in ask(fake, "dead", "drop", DEAD, "--dry-run").stdout
    assert not fake.requests("DELETE", f"/v1/dead-letters/{DEAD}")
    assert "given up" in ask(fake, "dead", "drop", DEAD).stdout
    assert ask(fake, "dead", "retry", "--all").stdout == "4 dead letters matched, 3 sent again\n"
    assert fake.asked[-1][1] == "/v1/dead-letters/retry?all=yes"
    fake.set("POST", "/v1/dead-letters/retry", [{"matched": 4, "retried": 3, "next": "a:1"},
                                                {"matched": 2, "retried": 2, "next": None}])
    assert ask(fake, "dead", "retry", "--reason", "x").stdout == "6 dead letters matched, 5 sent again\n"
    assert fake.asked[-1][1] == "/v1/dead-letters/retry?reason=x&after=a%3A1"
    assert "nothing was changed" in ask(fake, "dead", "drop", "--pusher", "file", "--dry-run").stdout
    assert fake.asked[-1][1] == "/v1/dead-letters/drop?pusher=file&dry-run=yes"


def test_dead_retry_goes_on_behind_one_that_is_not_there(fake):
    fake.set("POST", f"/v1/dead-letters/{DEAD}/retry", Answer({}, 202))
    done = ask(fake, "dead", "retry", "nothing", DEAD, code=65)
    assert DEAD in done.stdout and "no /v1/dead-letters/nothing/retry" in done.stderr


# --- replay


# contract: replay.range replay.rate replay.new-ids replay.says
def test_replay_waits_for_the_end(fake):
    run_state = {"id": "r1", "pusher": "file", "state": "running", "rows": 0, "sent": 0, "duplicate": 0, "gone": 0}
    done_state = {**run_state, "state": "done", "sent": 90, "duplicate": 6, "gone": 4}
    fake.set("POST", "/v1/replays", Answer(run_state, 202))
    fake.set("GET", "/v1/replays", [{"replays": [run_state]}, {"replays": [{"id": "r0"}, done_state]}])
    out = ask(fake, "replay", "--pusher", "file", "--from", "2026-01-31", "--to", "2026-02-01T00:00:00.5Z", "--rate", "50",
              "--new-ids").stdout
    assert "90 rows sent, 6 were there already, 4 are gone" in out and "done" in out
    assert json.loads(fake.asked[0][3]) == {"pusher": "file", "from": "2026-01-31T00:00:00.000000Z", "rate": 50,
                                            "to": "2026-02-01T00:00:00.500000Z", "new_ids": True}


def test_a_replay_that_did_not_come_to_its_end(fake):
    told = {"id": "r1", "pusher": "file", "sent": 3, "duplicate": 0, "gone": 0}
    for state, code in (("overtaken", 0), ("stopped", 75), ("failed", 75)):
        fake.set("POST", "/v1/replays", Answer({**told, "state": state}, 202))
        assert f": {state}: 3 rows sent" in ask(fake, "replay", "--pusher", "file", "--uuid", "u", code=code).stdout
        assert json.loads(ask(fake, "replay", "--pusher", "file", "--uuid", "u", "--json", code=code).stdout)["state"] == state


# contract: replay.batch replay.uuid replay.dry-run
def test_replay_without_waiting(fake):
    fake.set("POST", "/v1/replays", Answer({"id": "r1", "state": "running", "rows": 12, "gone": 1}, 202))
    assert "12 rows would be sent" in ask(fake, "replay", "--pusher", "p", "--batch", "b", "--dry-run").stdout
    assert json.loads(fake.asked[0][3]) == {"pusher": "p", "batch": "b", "dry_run": True}
    assert "running" in ask(fake, "replay", "--pusher", "p", "--uuid", 'u"', "--no-wait").stdout
    assert json.loads(fake.asked[1][3]) == {"pusher": "p", "uuid": 'u"'}
    assert not fake.requests("GET", "/v1/replays")


def test_replay_list_and_stop(fake):
    fake.set("GET", "/v1/replays", {"replays": [{"id": "r1", "pusher": "file", "state": "running", "sent": 5}]})
    fake.set("DELETE", "/v1/replays/r1", {})
    assert re.search(r"r1 +file +running +5 +0 +0", ask(fake, "replay", "list").stdout)
    assert ask(fake, "replay", "stop", "r1").stdout == "r1: stopped\n"


# --- the rest of operation


# contract: pause resume
def test_pause_and_resume(fake):
    fake.set("POST", "/v1/pushers/file/pause", pusher("file", state="paused"))
    fake.set("POST", "/v1/pushers/file/resume", pusher("file"))
    assert ask(fake, "pause", "file").stdout == "file: paused\n"
    assert ask(fake, "resume", "file").stdout == "file: running\n"
    assert "none" in ask(fake, "pause", "none", "file", code=65).stderr


# contract: plugin.forget plugin.forget.dead-letter
def test_forget(fake):
    fake.set("DELETE", "/v1/pushers/http", {"name": "http", "forgotten_rows": 12, "dead_lettered": 3})
    assert "12 rows let go, 3 kept" in ask(fake, "plugin", "forget", "http").stdout
    ask(fake, "plugin", "forget", "http", "--dead-letter")
    assert [a[1] for a in fake.asked] == ["/v1/pushers/http", "/v1/pushers/http?dead-letter=yes"]


def test_plugin_list_of_a_daemon_that_does_not_tell(fake):
    folders = str((Path(BIN).parent / "plugins").resolve())
    for status_, code in ((503, 69), (403, 78), (500, 70)):
        fake.set("GET", "/v1/pushers", problem(status_, "not now."))
        done = run("plugin", "list", "--plugins", folders, "--admin", fake.address)
        assert done.returncode == code and "not now" in done.stderr and "\nhttp " in done.stdout
        assert run("plugin", "list", "--plugins", folders, env={"HEADGATE_ADMIN_LISTEN": fake.address}).returncode == 0
    fake.set("GET", "/v1/pushers", {"pushers": [{"name": "f", "plugin": "file", "version": "0.9", "state": "running"}]})
    assert "    f: running, version 0.9\n" in run("plugin", "list", "--plugins", folders, "--admin", fake.address).stdout
    done = run("plugin", "list", "--plugins", folders, env={"HEADGATE_TOKEN": "a\nb"})
    assert done.returncode == 0 and "token" in done.stderr.lower() and "\nhttp " in done.stdout


# contract: reload
def test_reload(fake):
    fake.set("POST", "/v1/reload", {"generation": 4, "changed": ["log.level"], "restart": ["http.listen"], "faults": []})
    out = ask(fake, "reload").stdout
    assert "generation 4" in out and "changed: log.level" in out and "restart of the daemon: http.listen" in out
    fake.set("POST", "/v1/reload", Answer({"generation": 4, "faults": ["line 3: log.levle is unknown"]}, 422))
    err = ask(fake, "reload", code=78).stderr
    assert "goes on with the one it had" in err and "log.levle" in err
    assert json.loads(ask(fake, "reload", "--json", code=78).stdout)["faults"] == ["line 3: log.levle is unknown"]
    fake.set("POST", "/v1/reload", {"generation": 5, "changed": [], "restart": [], "faults": ["plugin file: PATH is missing"]})
    assert "PATH is missing" in ask(fake, "reload", code=78).stderr
    assert json.loads(ask(fake, "reload", "--json", code=78).stdout)["generation"] == 5
    fake.set("POST", "/v1/reload", problem(503, "draining."))
    assert "draining" in ask(fake, "reload", code=69).stderr


# contract: drain drain.wait exit.75
def test_drain(fake):
    fake.set("POST", "/v1/drain", {"draining": True, "left": 5})
    assert "5 rows" in ask(fake, "drain").stdout
    done = ask(fake, "drain", "--wait", "600ms", code=75)
    assert "5 rows are still to be delivered" in done.stderr
    fake.set("POST", "/v1/drain", [{"draining": True, "left": n} for n in (5, 2, 0)])
    assert "nothing is left" in ask(fake, "drain", "--wait", "20s").stdout
    assert fake.asked[-1][1] == "/v1/drain?until=empty"


# contract: probe.live probe.ready
def test_probe(fake):
    fake.set("GET", "/livez", {})
    fake.set("GET", "/readyz", problem(503, "draining."))
    assert ask(fake, "probe", "live").stdout == "live\n"
    assert "draining" in ask(fake, "probe", "ready", code=69).stderr


def test_config(fake):
    fake.set("GET", "/v1/config", {
        "settings": [{"key": "http.listen", "value": "127.0.0.1:8080", "origin": "default", "reloadable": False},
                     {"key": "log.level", "value": "debug", "origin": "environment HEADGATE_LOG_LEVEL", "reloadable": True}],
        "plugins": [{"name": "http", "options": [{"name": "TOKEN", "value": "s3cret", "origin": "file", "secret": True}]}],
        "generation": 2})
    out = ask(fake, "config").stdout
    assert re.search(r"log.level +debug|log.level += debug \(environment HEADGATE_LOG_LEVEL, reloadable\)", out)
    assert "[plugin http]" in out and "(hidden)" in out and "s3cret" not in out and "generation 2" in out


def test_refusals(fake):
    fake.set("GET", "/v1/refusals", {"refusals": [{"time": "2026-01-31T12:00:00Z", "peer": "127.0.0.1", "uuid": "u",
                                                   "status": 422, "pointer": "/row/data/A", "detail": "not camelCase"}]})
    out = ask(fake, "refusals").stdout
    assert "422 from 127.0.0.1, uuid u" in out and "/row/data/A: not camelCase" in out
    fake.set("GET", "/v1/refusals", {"refusals": []})
    assert "Nothing was refused" in ask(fake, "refusals").stdout


# --- send


# contract: send.ndjson send.to send.uuid exit.0
def test_send_ndjson_byte_for_byte(fake, tmp_path):
    lines = ['{"b": 1.10, "a":12345678901234567890}', ' {"text":"\\u00e4 \\" } ] ü", "nested": {"x": [1, {"y": 2}]}} \r', "",
             '{"e": 1e2}']
    (tmp_path / "x.ndjson").write_bytes("\n".join(lines).encode())
    done = send(fake, "--uuid", "run 7", tmp_path / "x.ndjson")
    assert "3 rows acknowledged" in done.stderr and "uuid run 7" in done.stderr and "1 empty lines" in done.stderr
    (document, body), = fake.documents
    assert document["uuid"] == "run 7" and len(document["rows"]) == 3 and "index" not in document["rows"][0]
    for line in lines:
        assert line.strip().encode() in body
    assert done.stdout == ""


def test_send_documents(fake, tmp_path):
    documents = [{"uuid": "a", "row": {"index": 3, "data": {"x": 1}}}, {"uuid": "b", "rows": [{"data": {}}, {"data": {}}]},
                 {"uuid": "c", "rows": []}]
    (tmp_path / "d.ndjson").write_text("".join(json.dumps(d) + "\n" for d in documents))
    assert "3 rows acknowledged" in send(fake, tmp_path / "d.ndjson").stderr
    assert [d for d, _ in fake.documents] == documents
    assert fake.asked[0][2]["Content-Type"] == "application/x-ndjson"
    assert "leave --uuid out" in send(fake, "--uuid", "u", tmp_path / "d.ndjson", code=64).stderr


# contract: send.json
def test_send_json(fake, tmp_path):
    (tmp_path / "a.json").write_text('[\n {"x": 1.10,\n  "y": [2]},\n {}\n]\n')
    send(fake, tmp_path / "a.json")
    assert b'{"x": 1.10,\n  "y": [2]}' in fake.documents[0][1] and fake.rows() == [{"x": 1.1, "y": [2]}, {}]
    (tmp_path / "d.json").write_text(json.dumps({"uuid": "q", "rows": [{"data": {"x": 1}}]}, indent=2))
    send(fake, tmp_path / "d.json")
    assert fake.documents[1][0] == {"uuid": "q", "rows": [{"data": {"x": 1}}]}
    (tmp_path / "one.json").write_text('{\n "uuid": "q",\n "row": 3\n}\n')
    send(fake, tmp_path / "one.json")
    assert fake.rows()[-1] == {"uuid": "q", "row": 3}


# contract: send.csv
def test_send_csv(fake, tmp_path):
    (tmp_path / "p.csv").write_bytes(
        b"\xef\xbb\xbfSample ID,temp_max,Note,Well\r\nA-1,12.80,\"said \"\"hi\"\",\r\nand left\",0\r\n\r\n007,,,\r\n")
    done = send(fake, "--index", "Well", tmp_path / "p.csv")
    rows = fake.documents[0][0]["rows"]
    assert rows == [{"index": 0, "data": {"sampleId": "A-1", "tempMax": 12.8, "note": 'said "hi",\r\nand left'}},
                    {"data": {"sampleId": "007", "tempMax": None, "note": None}}]
    assert b'"tempMax":12.80' in fake.documents[0][1] and "1 empty lines" in done.stderr


def test_send_the_weather(fake):
    send(fake, ROOT / "examples/data/seattle-weather.csv")
    rows = fake.rows()
    assert len(rows) == 1461 and list(rows[0]) == ["date", "precipitation", "tempMax", "tempMin", "wind", "weather"]
    assert len(fake.documents) == 2


# contract: send.csv.delimiter send.csv.decimal
def test_send_european_csv_and_tsv(fake, tmp_path):
    (tmp_path / "e.csv").write_text("a;b\n1,50;x,y\n-2;3.5\n")
    send(fake, "--delimiter", ";", "--decimal", ",", tmp_path / "e.csv")
    assert b'{"a":1.50,"b":"x,y"}' in fake.documents[0][1] and fake.rows()[1] == {"a": -2, "b": "3.5"}
    (tmp_path / "t.tsv").write_text("a\tb\n1\tx,y\n")
    send(fake, tmp_path / "t.tsv")
    assert fake.rows()[-1] == {"a": 1, "b": "x,y"}


# contract: send.csv.types
def test_send_types(fake, tmp_path):
    (tmp_path / "t.csv").write_text("Bar Code,ok,n\n12,Yes, 5 \n,no,\n")
    send(fake, "--types", "barCode=text,ok=boolean,n=integer", tmp_path / "t.csv")
    assert fake.rows() == [{"barCode": "12", "ok": True, "n": 5}, {"barCode": None, "ok": False, "n": None}]
    bad = send(fake, "--types", "ok=number", tmp_path / "t.csv", code=65)
    assert f"{tmp_path}/t.csv:2:" in bad.stderr and "`Yes`" in bad.stderr
    assert "no column" in send(fake, "--types", "zz=text", tmp_path / "t.csv", code=64).stderr
    assert "no type" in send(fake, "--types", "ok=float", tmp_path / "t.csv", code=64).stderr


# contract: send.csv.collision exit.65
def test_send_collision(fake, tmp_path):
    (tmp_path / "c.csv").write_text("temp_max,b,Temp Max\n1,2,3\n")
    err = send(fake, tmp_path / "c.csv", code=65).stderr
    assert "`temp_max`" in err and "`Temp Max`" in err and "tempMax" in err and not fake.documents


@pytest.mark.parametrize("name,text,said", [
    ("x.csv", "a,b\n1\n", ":2: 1 cells"), ("x.csv", 'a\n"x\n', "never ends"), ("x.csv", "a\nb\"c\n", ":2:"),
    ("x.csv", b"a\n\xe9\n", "UTF-8"), ("x.csv", b"\xff\xfea\0", "UTF-16"), ("x.csv", "a,\n1,2\n", "no name"),
    ("x.ndjson", '{"a":1}\n{"a":1},"b":{}\n', ":2: text behind"), ("x.ndjson", '{"a":\n1}\n', ":1:"),
    ("x.ndjson", "[1]\n", "object"), ("x.ndjson", '{"a":[1}]\n', "]"), ("x.json", '[{"a":1},]', "object"),
    ("x.json", '[{"a":1}', "never ends"), ("x.json", "[{}] x", "behind the end"), ("x.json", '[{} {}]', "comma"),
    ("x.json", '[{"uuid":"u","row":{"data":{}}}]', "one a line"), ("x.ndjson", '{"a":1}}\n', "text behind"),
])
def test_send_refuses_a_broken_file_before_anything_is_sent(fake, tmp_path, name, text, said):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    err = send(fake, tmp_path / name, code=65).stderr
    assert said in err, err
    assert not fake.asked


def test_send_a_file_that_is_not_there(fake, tmp_path):
    assert "none.csv" in send(fake, tmp_path / "none.csv", code=74).stderr
    assert "directory" in send(fake, tmp_path, code=74).stderr


# contract: send.stdin
def test_send_from_standard_input(fake):
    send(fake, stdin=b'{"a":1}\n{"a":2}\n')
    send(fake, "--format", "csv", "-", stdin=b"a\n3\n")
    assert fake.rows() == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert "--format" in send(fake, stdin=b"a,b\n1,2\n", code=64).stderr
    assert "0 rows" in send(fake, stdin=b"").stderr


# contract: send.order
def test_send_keeps_order_in_batches(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(2500)))
    send(fake, tmp_path / "n.ndjson")
    assert [r["n"] for r in fake.rows()] == list(range(2500)) and len(fake.documents) == 3
    assert len({d["uuid"] for d, _ in fake.documents}) == 1
    send(fake, "--batch", "100", "--uuid", "u", tmp_path / "n.ndjson")
    assert len(fake.documents) == 28


def test_send_large_rows_go_in_requests_of_a_mebibyte(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join(json.dumps({"n": n, "t": "x" * 300000}) + "\n" for n in range(10)))
    send(fake, tmp_path / "n.ndjson")
    assert [r["n"] for r in fake.rows()] == list(range(10))
    assert max(len(a[3]) for a in fake.asked) <= 1 << 20


# contract: send.retry
def test_send_tries_again(fake, tmp_path):
    fake.faults = [problem(503, "full."), Answer({}, 429, {"Retry-After": "1"}), Answer(b"bad gateway", 502),
                   Answer(drop=True)]
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(1500)))
    began = time.monotonic()
    err = send(fake, tmp_path / "n.ndjson").stderr
    assert time.monotonic() - began >= 1
    assert [r["n"] for r in fake.rows()] == list(range(1500))  # also those of the answer that was lost: once
    assert "trying again" in err and "1500 rows acknowledged" in err
    keys = [a[2]["Idempotency-Key"] for a in fake.asked]
    assert len(set(keys)) == 2 and keys[:5] == [keys[0]] * 5


def test_send_gives_up(fake, tmp_path):
    fake.set("POST", "/v1/rows", problem(503, "the journal is full."))
    (tmp_path / "n.ndjson").write_text('{"n":1}\n')
    err = send(fake, "--retry-for", "300ms", tmp_path / "n.ndjson", code=69).stderr
    assert "the journal is full" in err and "gave up" in err and "again" in err
    gone = run("send", "--to", "127.0.0.1:9", "--retry-for", "0", tmp_path / "n.ndjson")
    assert gone.returncode == 69 and "127.0.0.1:9" in gone.stderr


# contract: send.again
def test_send_again_does_not_double(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(2500)))
    fake.set("POST", "/v1/rows", None)
    first = send(fake, tmp_path / "n.ndjson").stderr
    again = send(fake, tmp_path / "n.ndjson").stderr
    assert len(fake.rows()) == 2500 and "2500 were there already" in again and "another --uuid" in again
    uuid = re.search(r"uuid ([0-9a-f-]{36}) ", first)[1]
    assert uuid in again and uuid[14] == "8" and uuid[19] in "89ab"
    send(fake, "--uuid", "other", tmp_path / "n.ndjson")
    assert len(fake.rows()) == 5000
    (tmp_path / "m.ndjson").write_text('{"n":0}\n')
    assert uuid not in send(fake, tmp_path / "m.ndjson").stderr


def test_send_goes_on_after_a_crash(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(2500)))
    fake.faults = [None, problem(400, "no.")]
    send(fake, tmp_path / "n.ndjson", code=65)
    assert len(fake.rows()) == 1000
    err = send(fake, tmp_path / "n.ndjson").stderr
    assert [r["n"] for r in fake.rows()] == list(range(2500))
    assert "1000 were there already" in err and "earlier run" in err


# contract: send.warns
def test_send_warns_when_keys_may_be_gone(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(2500)))
    settings = [{"key": "journal.keep", "value": "5m"}, {"key": "journal.keep_bytes", "value": "1KiB"}]
    fake.set("GET", "/v1/config", {"settings": settings})
    err = send(fake, "--admin", fake.address, tmp_path / "n.ndjson").stderr
    assert "for 5m only" in err and "1.0KiB only" in err
    fake.keys.pop(next(iter(fake.keys)))  # the oldest is forgotten first
    err = send(fake, tmp_path / "n.ndjson").stderr
    assert "warning" in err and "may be there twice" in err


def test_send_with_other_options_is_not_taken_for_the_same(fake, tmp_path):
    (tmp_path / "n.csv").write_text("a\n1\n")
    send(fake, tmp_path / "n.csv")
    err = send(fake, "--types", "a=text", tmp_path / "n.csv", code=65).stderr
    assert "another body" in err and "other options" in err and len(fake.rows()) == 1


def test_send_refused_rows_are_shown_where_they_are(fake, tmp_path):
    refusal = problem(422, "2 faults.", errors=[{"pointer": "/rows/1/data/Abc", "detail": "not camelCase"},
                                                {"pointer": "/uuid", "detail": "too long"}])
    fake.faults = [None, refusal]
    (tmp_path / "n.ndjson").write_text("\n" + "".join('{"n":%d}\n\n' % n for n in range(1500)))
    err = send(fake, tmp_path / "n.ndjson", code=65).stderr
    assert f"{tmp_path}/n.ndjson:2004: /data/Abc: not camelCase\n" in err
    assert "n.ndjson: /uuid: too long" in err
    assert "lines 2002 to 3000" in err and "1000 rows before them were acknowledged" in err


def test_send_syntax_faults_by_byte(fake, tmp_path):
    def refuse(_, body):
        return problem(400, "not JSON.", errors=[{"pointer": "", "detail": "a value", "byte": body.index(b"nope")}])

    fake.set("POST", "/v1/rows", refuse)
    (tmp_path / "n.ndjson").write_text('{"n":1}\n{"n":2}\n{"n":nope}\n{"n":4}\n')
    assert f"{tmp_path}/n.ndjson:3: a value" in send(fake, tmp_path / "n.ndjson", code=65).stderr


def test_send_refused_documents_by_line(fake, tmp_path):
    fake.set("POST", "/v1/rows", problem(422, "x.", errors=[{"pointer": "/row", "line": 2, "detail": "bad"}]))
    document = '{"uuid":"u","row":{"data":{}}}\n'
    (tmp_path / "n.ndjson").write_text(document + "\n" + document)
    assert f"{tmp_path}/n.ndjson:3: /row: bad" in send(fake, tmp_path / "n.ndjson", code=65).stderr


def test_send_smaller_when_too_large(fake, tmp_path):
    def small(handler, body):
        fits = len(json.loads(body)["rows"]) <= 300
        return handler.server.fake.take(handler.headers, body) if fits else problem(413, "too many rows.")

    fake.set("POST", "/v1/rows", small)
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(1500)))
    send(fake, tmp_path / "n.ndjson")
    assert [r["n"] for r in fake.rows()] == list(range(1500))
    send(fake, tmp_path / "n.ndjson")
    assert len(fake.rows()) == 1500
    fake.set("POST", "/v1/rows", problem(413, "a row is too large."))
    assert "n.ndjson:1: a row is too large" in send(fake, tmp_path / "n.ndjson", code=65).stderr


def test_send_many_files_in_order(fake, tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.csv").write_text(f"n\n{n}\n")
    send(fake, "--uuid", "u", "--quiet", *(tmp_path / f"{n}.csv" for n in range(3)))
    assert [r["n"] for r in fake.rows()] == [0, 1, 2]
    assert {d["uuid"] for d, _ in fake.documents} == {"u"}


def test_send_notices_weaker_durability_and_ignored_keys(fake, tmp_path):
    fake.set("POST", "/v1/rows", Answer({"id": "b", "uuid": "u", "rows": 1, "durability": "none", "ignored": ["/row/indx"]},
                                        202))
    (tmp_path / "d.ndjson").write_text('{"uuid":"u","row":{"data":{},"indx":1}}\n')
    err = send(fake, tmp_path / "d.ndjson").stderr
    assert "/row/indx" in err and "durability none" in err


def test_send_to_something_else(fake, tmp_path):
    fake.set("POST", "/v1/rows", Answer({"hello": 1}))
    (tmp_path / "d.ndjson").write_text('{"a":1}\n')
    assert "is that a headgate" in send(fake, tmp_path / "d.ndjson", code=70).stderr


# contract: send.progress
def test_send_progress_on_a_terminal(fake, tmp_path):
    (tmp_path / "n.ndjson").write_text("".join('{"n":%d}\n' % n for n in range(5000)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BIN, "send", "--to", fake.address, str(tmp_path / "n.ndjson")], stderr=theirs, env=PLAIN)
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            got = os.read(ours, 65536)
        except OSError:
            break
        if not got:
            break
        seen += got
    os.close(ours)
    assert process.wait() == 0 and b"[####" in seen and b"100 %, 5000 rows" in seen
    (tmp_path / "m.ndjson").write_text('{"n":1}\n')
    assert "[#" not in send(fake, tmp_path / "m.ndjson").stderr


# --- journal verbs


# contract: exit.74
def test_journal_of_nothing(tmp_path):
    done = run("journal", "verify", tmp_path / "none")
    assert done.returncode == 74 and "No such file" in done.stderr
    (tmp_path / "file").write_text("")
    assert "no directory" in run("journal", "verify", tmp_path / "file").stderr
