"""`headgate doctor`: what it finds wrong, what it says to do, and its exit code."""
import json
import os

from certs import Authority
from gateway import Gateway, row, wait_until
from test_access import key


def doctor(g, *more, admin=True, env=None):
    options = ["--config", g.config, "--data", g.data, "--plugins", ":".join(map(str, g.plugins)), *more]
    done = g.cli("doctor", *options, admin=admin, env=g.environment(env))
    return done


def findings(g, *more, **kinds):
    done = doctor(g, "--json", *more, **kinds)
    answer = json.loads(done.stdout)
    assert answer["faults"] == sum(f["level"] == "fault" for f in answer["findings"])
    assert all(f.get("do") for f in answer["findings"] if f["level"] != "ok"), answer
    return done.returncode, {f["area"]: f for f in answer["findings"]}


# contract: doctor
def test_all_is_well():
    with Gateway({"HEADGATE_JOURNAL_MIN_FREE": "1MiB"}) as g:
        wait_until(lambda: g.pusher("file")["state"] == "running")
        code, found = findings(g)
        assert code == 0, found
        assert {"settings", "data.dir", "disk", "plugins", "clock", "daemon", "journal", "pusher file",
                "far end of file"} <= set(found)
        assert {found[a]["level"] for a in ("settings", "plugins", "daemon", "journal", "pusher file", "far end of file")} == {"ok"}
        text = doctor(g).stdout
        assert "0 faults" in text and max(map(len, text.splitlines())) <= 80


def test_what_is_wrong_with_a_running_one():
    with Gateway({"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad", "PLUGIN_CHAOS_REJECT_BREAKER": 1,
                  "PLUGIN_HTTP_URL": "http://127.0.0.1:9/"}, plugins=["chaos", "badabi"]) as g:
        for _ in range(3):
            g.take(row("u", {"bad": 1}))
        g.wait_state("chaos", "broken")
        code, found = findings(g)
        assert code == 78
        assert found["pusher chaos"]["level"] in ("fault", "warning") and "badabi" in found["plugins"]["text"] + str(found)
        assert found["pusher http"]["level"] == "warning" and "far end" in found["pusher http"]["do"]
        assert found["far end of http"]["level"] == "fault"
        text = doctor(g).stdout
        assert "headgate resume" in text and "headgate dead list" in text


def test_without_a_daemon_and_without_settings():
    with Gateway() as g:
        g.stop()
        code, found = findings(g, "--admin", "127.0.0.1:9", admin=False)
        assert code == 69 and found["daemon"]["level"] == "fault" and "start it" in found["daemon"]["do"]
        assert found["data.dir"]["level"] != "fault"
        os.chmod(g.data, 0o777)
        code, found = findings(g, "--admin", "127.0.0.1:9", admin=False)
        assert code == 74 and found["data.dir"]["level"] == "fault"
        os.chmod(g.data, 0o755)
        g.config.write_text("[htpp]\nlisten = x\n")
        code, found = findings(g, "--admin", "127.0.0.1:9", admin=False)
        assert code == 78 and found["settings"]["level"] == "fault" and "clock" in found


def test_certificates_that_end(tmp_path):
    a = Authority(tmp_path)
    a.make("server", days=30)
    with Gateway({"HEADGATE_TLS_CERTIFICATE": tmp_path / "server.pem", "HEADGATE_TLS_KEY": tmp_path / "server.key",
                  "HEADGATE_TLS_CLIENT_CA": a.pem, "HEADGATE_TLS_CLIENT_CRL": a.revoke()}, start=False) as g:
        def found():
            code, all_found = findings(g, "--admin", "127.0.0.1:9", admin=False)
            return {area: all_found[area]["level"] for area in ("certificate", "revoked certificates") if area in all_found}, code
        assert found() == ({"certificate": "ok", "revoked certificates": "ok"}, 69)
        a.make("server", days=3)
        a.revoke(until="20200102000000Z")
        assert found() == ({"certificate": "warning", "revoked certificates": "fault"}, 78)
        (tmp_path / "crl.pem").write_text("rubbish")
        assert found() == ({"certificate": "fault"}, 78)


def test_with_a_key():
    with Gateway({"HEADGATE_ADMIN_AUTH": "keys"}, start=False) as g:
        good = key(g, "operate")[0]
        g.start(ready=False)
        code, found = findings(g)
        assert code == 78 and "HEADGATE_TOKEN" in found["daemon"]["do"]
        code, found = findings(g, env={"HEADGATE_TOKEN": good})
        assert found["daemon"]["level"] == "ok"
