"""The page's session: what a browser keeps instead of a key, and what may be done with it."""
import json
import re
import time

import pytest
from certs import Authority
from gateway import Gateway, ask, command, row, wait_until, whole_lines
from test_access import KEYS, bearer, key

LONG = 52


@pytest.fixture(scope="module")
def g():
    with Gateway(KEYS, start=False) as g:
        g.tokens = {r: key(g, r)[0] for r in ("ingest", "read", "operate", "admin")}
        g.tokens["bound"] = key(g, "read", "ingest", client="lab-a")[0]
        yield g.start()


def sign_in(g, token, **more):
    return g.admin("POST", "/v1/session", {"key": token}, **more)


def cookie_of(answer):
    return re.match(r"headgate_session=([0-9a-z]*);", answer.headers["set-cookie"])[1]


class Browser:
    """A cookie and a token."""

    def __init__(self, g, token):
        answer = sign_in(g, token)
        assert answer.status == 201, answer
        self.g, self.cookie, self.csrf = g, cookie_of(answer), answer["csrf"]

    def __call__(self, method, path, csrf=True, listener="admin", **headers):
        fields = {"Cookie": f"theme=dark; headgate_session={self.cookie}; a=b", **headers}
        if csrf:
            fields["X-CSRF-Token"] = self.csrf if csrf is True else csrf
        return ask(self.g.addresses[listener], method, path, headers=fields)


def test_the_cookie(g):
    answer = sign_in(g, g.tokens["operate"])
    line = answer.headers["set-cookie"]
    assert answer.status == 201 and answer.headers["cache-control"] == "no-store"
    assert "HttpOnly" in line and "SameSite=Strict" in line and "Path=/" in line and "Secure" not in line
    assert len(cookie_of(answer)) == LONG and len(answer["csrf"]) == LONG and cookie_of(answer) != answer["csrf"]
    assert answer["roles"] == ["read", "operate"] and answer["client"] == "" and answer["in"]
    assert cookie_of(answer) != cookie_of(sign_in(g, g.tokens["operate"]))


def test_changes_need_the_token(g):
    b = Browser(g, g.tokens["operate"])
    assert b("GET", "/v1/pushers", csrf=False).status == 200
    for csrf in (False, "0" * LONG, b.csrf[:-1], b.cookie, Browser(g, g.tokens["operate"]).csrf):
        answer = b("POST", "/v1/pushers/file/pause", csrf=csrf)
        assert answer.status == 403 and "X-CSRF-Token" in answer["detail"]
    assert g.get("/v1/pushers/file", headers=bearer(g.tokens["read"]))["state"] != "paused"
    assert b("POST", "/v1/pushers/file/pause").status == 200
    assert b("POST", "/v1/pushers/file/resume", Origin=f"http://{g.admin_address}", Host=g.admin_address).status == 200
    assert b("POST", "/v1/pushers/file/pause", Origin="http://elsewhere").status == 403


def test_what_is_done_is_noted_under_the_key_and_never_the_key_itself(g):
    token, number = key(g, "operate", name="ann")
    wait_until(lambda: sign_in(g, token).status == 201)
    b = Browser(g, token)
    assert b("POST", "/v1/pushers/file/retry?why=tried").status == 200
    assert b("DELETE", "/v1/session").status == 200

    def noted_by_ann():
        return [e for e in map(json.loads, whole_lines(g.data / "audit.log")) if e.get("who") == f"key {number} ann"]
    noted = wait_until(lambda: (n := noted_by_ann()) and n[-1]["action"] == "session.end" and n)
    text = (g.data / "audit.log").read_text()
    assert [e["action"] for e in noted] == ["session.begin"] * (len(noted) - 2) + ["pusher.hurry", "session.end"]
    secrets = [*g.tokens.values(), token, b.cookie, b.csrf]
    assert not any(s in text or s in "\n".join(g.lines) for s in secrets)


def test_roles_and_clients_as_with_the_key(g):
    assert Browser(g, g.tokens["read"])("POST", "/v1/pushers/file/pause").status == 403
    assert Browser(g, g.tokens["operate"])("POST", "/v1/reload").status == 403
    assert Browser(g, g.tokens["admin"])("GET", "/v1/keys").status == 200
    assert Browser(g, g.tokens["bound"])("GET", "/v1/pushers").status == 403
    assert Browser(g, g.tokens["ingest"])("GET", "/v1/pushers").status == 403


def test_the_admin_listener_only(g):
    b = Browser(g, g.tokens["admin"])
    assert b("POST", "/v1/rows", listener="rows").status == 401
    assert b("GET", "/version", listener="rows").status == 401 and b("GET", "/version").status == 200
    assert sign_in_on_rows(g).status == 404


def sign_in_on_rows(g):
    return ask(g.address, "POST", "/v1/session", b"{}", bearer(g.tokens["admin"]))


def test_a_key_of_its_own_goes_before(g):
    b = Browser(g, g.tokens["admin"])
    assert b("GET", "/v1/pushers", Authorization="Bearer hg_wrong").status == 401
    assert b("POST", "/v1/pushers/file/resume", csrf=False, **bearer(g.tokens["operate"])).status == 200


def test_signing_out(g):
    b = Browser(g, g.tokens["read"])
    assert b("DELETE", "/v1/session", csrf=False).status == 403
    assert b("GET", "/v1/session")["in"] is True and b("GET", "/v1/session")["csrf"] == b.csrf
    answer = b("DELETE", "/v1/session")
    assert answer.status == 200 and "Max-Age=0" in answer.headers["set-cookie"]
    assert b("GET", "/v1/pushers").status == 401
    assert b("GET", "/v1/session").json() == {"in": False, "keys": True}


def test_wrong_keys(g):
    wrong = "hg_" + "0" * 12 + "_" + "0" * 52
    for body in ({"key": wrong}, {"key": ""}, {"key": 7}, {}, [], {"key": g.tokens["admin"] + " " + g.tokens["admin"]}):
        answer = g.admin("POST", "/v1/session", body)
        assert answer.status == 401 and "set-cookie" not in answer.headers, body
    assert ask(g.admin_address, "POST", "/v1/session", b"not json").status == 401
    assert ask(g.admin_address, "POST", "/v1/session").status == 401
    assert g.admin("POST", "/v1/session", {"key": wrong, "more": "x" * 2000}).status == 413
    found = g.get("/v1/refusals", headers=bearer(g.tokens["read"]))["refusals"]
    assert any(r["status"] == 401 and r["path"] == "/v1/session" for r in found)
    assert wrong not in "\n".join(g.lines)
    for cookie in ("", "x", "0" * LONG, "0" * 4000):
        assert ask(g.admin_address, "GET", "/v1/pushers", headers={"Cookie": f"headgate_session={cookie}"}).status == 401


def test_many_wrong_keys_cost_little_and_are_not_all_logged(g):
    since, wrong = len(g.events), json.dumps({"key": "hg_" + "1" * 12 + "_" + "1" * 52})
    began = time.monotonic()
    with g.wire("admin") as w:
        for _ in range(1000):
            w.send(f"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(wrong)}\r\n\r\n{wrong}")
            assert w.answer().status == 401
    spent = time.monotonic() - began
    Browser(g, g.tokens["read"])
    logged = sum(e.get("event") == "request.refused" for e in g.events[since:])
    assert logged <= 50 * (spent + 2), f"{logged} lines in {spent:.1f} s"


def test_no_more_sessions_than_so_many(g):
    mine = Browser(g, g.tokens["read"])
    others = [Browser(g, g.tokens["admin"]) for _ in range(20)]
    assert mine("GET", "/v1/pushers").status == 200  # the many of another key did not end it
    assert [b("GET", "/v1/pushers").status for b in others].count(200) == 16
    assert others[-1]("GET", "/v1/pushers").status == 200 and others[0]("GET", "/v1/pushers").status == 401


def test_a_key_that_is_taken_back_ends_its_sessions(g):
    token, number = key(g, "operate")
    wait_until(lambda: sign_in(g, token).status == 201)
    b = Browser(g, token)
    assert b("GET", "/v1/pushers").status == 200
    assert command("key", "revoke", number, "--data", g.data, env=g.environment()).returncode == 0
    wait_until(lambda: b("GET", "/v1/pushers").status == 401)


def test_nobody_signs_in_where_nobody_is_asked():
    with Gateway() as g:
        assert sign_in(g, "x").status == 409
        found = g.get("/v1/session").json()
        assert found["in"] and found["roles"] == ["ingest", "read", "operate", "admin"] and "csrf" not in found


def test_over_tls(tmp_path):
    certificate, private = (authority := Authority(tmp_path)).make("gate")
    env = {**KEYS, "HEADGATE_TLS_CERTIFICATE": str(certificate), "HEADGATE_TLS_KEY": str(private)}
    with Gateway(env, start=False) as g:
        g.tls = authority.context()
        token, _ = key(g, "read")
        g.start()
        answer = sign_in(g, token)
        assert answer.status == 201 and answer.headers["set-cookie"].rstrip().endswith("; Secure")


def test_the_rows_of_a_row_set():
    with Gateway(KEYS, start=False) as g:
        tokens = {"read": key(g, "read")[0], "a": key(g, "ingest", "read", client="a")[0], "b": key(g, "read", client="b")[0]}
        g.start()
        text = b'{"uuid":"u","rows":[{"index":4,"data":{"n":1.10}},{"data":{"big":9007199254740993}}]}'
        sent = g.post(text, headers=bearer(tokens["a"])).json()
        path = f"/v1/batches/{sent['id']}/rows"
        answer = g.get(path, headers=bearer(tokens["read"]))
        assert answer.body == b'{"rows":[{"row":0,"index":4,"data":{"n":1.10}},{"row":1,"data":{"big":9007199254740993}}],"next":null}\n'
        page = g.get(path + "?limit=1", headers=bearer(tokens["a"])).json()
        assert page["next"] == "1" and len(page["rows"]) == 1
        assert g.get(path + "?after=1", headers=bearer(tokens["a"]))["rows"][0]["row"] == 1
        assert g.get(path, headers=bearer(tokens["b"])).status == 404
        assert g.get("/v1/batches/nothing/rows", headers=bearer(tokens["read"])).status == 404
        assert g.get(path.replace(sent["id"][-6:], "zzzzzz"), headers=bearer(tokens["read"])).status == 404


def test_send_again_now():
    env = {"PLUGIN_CHAOS_MODE": "notnow", "PLUGIN_CHAOS_RETRY_MIN": "1h", "PLUGIN_CHAOS_RETRY_MAX": "2h"}
    with Gateway(env, plugins=["chaos"], start=False) as g:
        (g.work / "gate").touch()
        g.start({"PLUGIN_CHAOS_GATE": str(g.work / "gate")})
        g.take(row("u"))
        g.wait_state("chaos", "retrying")
        (g.work / "gate").unlink()
        assert g.admin("POST", "/v1/pushers/chaos/retry").status == 200
        wait_until(lambda: g.pusher("chaos")["delivered"] == 1)
        assert g.admin("POST", "/v1/pushers/nobody/retry").status == 404
