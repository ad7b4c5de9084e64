"""The audit log: who did what, when and why; over HTTP, by signals, and by the command on its files."""
import json
import signal

import pytest
from gateway import Gateway, ask, command, wait_until
from test_access import bearer, key


def entries(g, query="", token=None):
    answer = ask(g.admin_address, "GET", f"/v1/audit{query}", headers=bearer(token))
    assert answer.status == 200, answer
    return answer["audit"]


# contract: api.audit audit
def test_what_was_done_and_by_whom():
    with Gateway({"HEADGATE_ADMIN_AUTH": "keys"}, start=False) as g:
        token, name = key(g, "admin", name="ops")
        looks, _ = key(g, "read")
        g.start()

        def does(method, path, body=None):
            return ask(g.admin_address, method, path, body, headers=bearer(token)).status
        assert does("POST", "/v1/pushers/file/pause?why=far%20end%20moves%20%22today%22") == 200
        assert does("POST", "/v1/pushers/nobody/pause") == 404
        assert does("POST", "/v1/replays", json.dumps({"pusher": "file", "from": "1h"})) in (200, 201, 202)
        assert does("POST", "/v1/reload") == 200
        assert does("GET", "/v1/pushers") == 200
        assert ask(g.admin_address, "POST", "/v1/pushers/file/resume", headers=bearer(looks)).status == 403
        found = entries(g, token=token)  # whoever was answered is there
        assert [e["action"] for e in found] == ["reload", "replay.start", "pusher.pause", "pusher.pause", "key.add", "key.add"]
        first = found[3]
        assert first["who"] == f"key {name} ops" and first["peer"].startswith("127.0.0.1:") and first["status"] == 200
        assert first["path"] == "/v1/pushers/file/pause" and first["why"] == 'far end moves "today"'
        assert found[2]["status"] == 404 and json.loads(found[1]["body"])["pusher"] == "file"
        assert found[4]["who"].startswith("user ") and found[5]["path"] == f"keys/{name}"
        assert [e["time"] for e in found] == sorted((e["time"] for e in found), reverse=True)
        assert len(entries(g, "?limit=2", token)) == 2 and entries(g, "?since=2099-01-01T00:00:00Z", token) == []
        assert len(entries(g, "?since=1h", token)) == 6 and len(entries(g, f"?since={found[1]['time']}", token)) == 2
        assert ask(g.admin_address, "GET", "/v1/audit", headers=bearer(looks)).status == 403
        assert ask(g.admin_address, "GET", "/v1/audit?since=soon", headers=bearer(token)).status == 400
        assert token not in (g.data / "audit.log").read_text()
        g.kill9()
        g.start()
        assert entries(g, token=token)[:6] == found  # what was answered is there


def test_who_is_signed_in_on_the_page_and_no_key_is_written_down():
    with Gateway({"HEADGATE_ADMIN_AUTH": "keys"}, start=False) as g:
        token, name = key(g, "admin", name="ops")
        g.start()
        begun = ask(g.admin_address, "POST", "/v1/session", json.dumps({"key": token}))
        assert begun.status in (200, 201), begun
        page = {"Cookie": begun.headers["set-cookie"].split(";")[0], "X-CSRF-Token": begun["csrf"]}
        done = ask(g.admin_address, "POST", "/v1/pushers/file/pause", headers=page)
        assert done.status == 200, done
        found = wait_until(lambda: len(e := entries(g, token=token)) == 3 and e)
        assert [(e["action"], e["who"]) for e in found[:2]] == \
            [("pusher.pause", f"key {name} ops"), ("session.begin", f"key {name} ops")]
        written = (g.data / "audit.log").read_text() + "\n".join(g.lines)
        assert token not in written and token[-40:] not in written


def test_signals_and_the_command():
    with Gateway() as g:
        assert g.cli("pause", "file", "--why", "a & b=c").returncode == 0
        assert g.cli("resume", "file").returncode == 0
        g.signal(signal.SIGHUP)
        found = wait_until(lambda: len(e := entries(g)) == 3 and e)
        assert [(e["action"], e["who"]) for e in found] == \
            [("reload", "signal HUP"), ("pusher.resume", "anybody"), ("pusher.pause", "anybody")]
        assert found[2]["why"] == "a & b=c" and "why" not in found[1]
        text = g.cli("audit").stdout
        assert "pusher.pause /v1/pushers/file/pause, by anybody from 127.0.0.1" in " ".join(text.split()) and "a & b=c" in text
        assert max(map(len, text.splitlines())) <= 80
        assert len(json.loads(g.cli("audit", "--json", "--limit", "1").stdout)["audit"]) == 1
        assert "Nothing" in g.cli("audit", "--since", "2099-01-01T00:00:00Z").stdout
        g.term()
        lines = [json.loads(line) for line in (g.data / "audit.log").read_text().splitlines()]
        assert lines[-1]["action"] == "stop" and lines[-1]["who"] == "signal TERM"
        done = command("key", "add", "--role", "read", "--data", g.data, "--why", "new colleague", env=g.environment())
        assert done.returncode == 0
        assert json.loads((g.data / "audit.log").read_text().splitlines()[-1])["why"] == "new colleague"


# contract: audit.max_bytes
def test_it_stays_within_its_size():
    with Gateway({"HEADGATE_AUDIT_MAX_BYTES": "64KiB"}) as g:
        for n in range(400):
            assert g.admin("POST", f"/v1/pushers/file/{'pause' if n % 2 else 'resume'}?why={n:0200}").status == 200
        whys = [int(e["why"]) for e in entries(g, "?limit=1000")]
        assert whys == list(range(399, 399 - len(whys), -1)) and len(whys) > 50
        size = sum((g.data / f).stat().st_size for f in ("audit.log", "audit.log.1"))
        assert 32 << 10 < size < 66 << 10


@pytest.mark.parametrize("torn", [b'{"time":"2026-11-28T00:00:00.000000Z","who":"an', b"\0\0\0", b"{}\n[1]\nnonsense\n\n"])
def test_a_line_that_was_torn_by_a_crash(torn):
    with Gateway(start=False) as g:
        g.data.mkdir()
        (g.data / "audit.log").write_bytes(torn)
        g.start()
        g.admin("POST", "/v1/pushers/file/pause")
        assert [e["action"] for e in entries(g)] == ["pusher.pause"]


# contract: audit.faults
def test_without_room_for_it_the_action_is_done_and_that_is_said():
    def faults():
        return next(int(line.split()[1]) for line in g.get("/metrics").body.decode().splitlines()
                    if line.startswith("headgate_audit_faults_total "))

    def alerted():
        return [a["text"] for a in g.get("/v1/alerts")["alerts"] if a["alert"] == "audit"]
    with Gateway({"HEADGATE_ALERTS_CALM": "0"}, start=False) as g:
        g.data.mkdir()
        (g.data / "audit.log").mkdir()
        g.start()
        assert faults() == 0 and not alerted()
        done = g.admin("POST", "/v1/pushers/file/pause")
        assert done.status == 200 and done.headers["headgate-audit"] == "not-written"
        g.wait_state("file", "paused")
        g.wait_event("audit.not_written", action="pusher.pause")
        assert faults() == 1 and "audit.log" in wait_until(alerted)[0]
        told = g.cli("resume", "file")
        assert told.returncode == 0 and "not in the audit log" in told.stderr
        assert g.get("/v1/audit").status >= 400
        (g.data / "audit.log").rmdir()
        assert "headgate-audit" not in g.admin("POST", "/v1/pushers/file/pause").headers
        wait_until(lambda: not alerted())
        assert faults() == 2 and [e["action"] for e in entries(g)] == ["pusher.pause"]
