"""Who gets in with what: keys and roles on both listeners, rows that belong to a client, and many bad logins."""
import json
import subprocess
import sys
import threading
import time

import pytest
from gateway import SLOW, Gateway, Wire, ask, command, dump, row, wait_until
from test_intake import CASES

KEYS = {"HEADGATE_HTTP_AUTH": "keys", "HEADGATE_ADMIN_AUTH": "keys"}


def key(g, *roles, client=None, name=None, expires=None):
    """A new key of this gateway, and its id."""
    options = [x for r in roles for x in ("--role", r)] + (["--client", client] if client else [])
    options += ["--expires", expires] if expires else []
    done = command("key", "add", *([name] if name else []), *options, "--data", g.data, "--json", env=g.environment())
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return made["key"], made["id"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def keys_of(g):
    done = command("key", "list", "--json", "--data", g.data, env=g.environment())
    assert done.returncode == 0, done.stderr
    return {k["id"]: k for k in json.loads(done.stdout)["keys"]}


def tries(g, token, document=None):
    return g.post(document or row("u"), headers=bearer(token))


@pytest.fixture(scope="module", params=[1, 2], ids=["one loop", "two loops"])
def g(request):
    with Gateway({**KEYS, "HEADGATE_HTTP_THREADS": request.param}, start=False) as g:
        g.tokens = {r: key(g, r)[0] for r in ("ingest", "read", "operate", "admin")}
        g.tokens["bound"] = key(g, "ingest", "read", client="lab-a")[0]
        yield g.start()


# contract: http.auth admin.auth key.add key.list answer.401 answer.403
def test_refusals_say_what_is_wanted(g):
    answer = g.post(row("u"))
    assert answer.status == 401 and answer.headers["www-authenticate"] == 'Bearer realm="headgate"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer["type"] == "/problems/unauthorized" and answer["status"] == 401
    assert g.get(answer["type"]).status == 200  # the page it points to is open
    answer = tries(g, "hg_" + "0" * 12 + "_" + "0" * 52)
    assert answer.status == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]
    answer = tries(g, g.tokens["read"])
    assert answer.status == 403 and answer["type"] == "/problems/role"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert tries(g, g.tokens["ingest"]).status == 202


BAD = {
    "scheme only": "Bearer", "twice": "Bearer {KEY} {KEY}", "list": "Bearer {KEY}, Bearer {KEY}", "no scheme": "{KEY}",
    "basic": "Basic cm9vdDpyb290", "digest": 'Digest username="x"', "null": "Bearer null", "wrong": "Bearer wrong",
    "cut": "Bearer {CUT}", "longer": "Bearer {KEY}0", "equals": "Bearer {KEY}=", "long": "Bearer " + "a" * 4096,
    "dots": "Bearer ...", "upper": "Bearer {UPPER}", "empty": "",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_is_no_key(g, value):
    good = g.tokens["ingest"]
    value = value.replace("{KEY}", good).replace("{CUT}", good[:-1]).replace("{UPPER}", good.upper())
    assert g.post(row("u"), headers={"Authorization": value}).status == 401


def test_only_this_field_counts(g):
    good = g.tokens["ingest"]
    for headers in ({"Cookie": f"token={good}"}, {"X-Api-Key": good}, {"Proxy-Authorization": f"Bearer {good}"}):
        assert g.post(row("u"), headers=headers).status == 401
    assert g.post(row("u"), path=f"/v1/rows?access_token={good}").status == 401
    assert g.post(row("u"), headers={"AUTHORIZATION": f"bEARER  {good}"}).status == 202
    with g.wire() as w:  # the field twice
        w.send(f"POST /v1/rows HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n"
               "Content-Length: 0\r\n\r\n")
        assert w.answer().status in (400, 401)
    with g.wire() as w:  # no C string: what is behind a NUL is part of it
        w.send(f"POST /v1/rows HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {good}\0junk\r\nContent-Length: 0\r\n\r\n")
        answer = w.answer()
        assert answer is None or answer.status in (400, 401)


def test_a_body_is_not_awaited_for_a_stranger(g):
    with g.wire() as w:
        w.send("POST /v1/rows HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
        assert w.answer().status == 401
    with g.wire("admin") as w:
        w.send("POST /v1/replays HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert w.answer().status == 401


ROUTES = [  # method, path, the roles that are enough (with an answer that is neither 401 nor 403)
    ("GET", "/v1/pushers", "read operate admin"), ("GET", "/v1/pushers/file", "read operate admin"),
    ("GET", "/v1/dead-letters", "read operate admin bound"), ("GET", "/v1/replays", "read operate admin"),
    ("GET", "/v1/config", "read operate admin"), ("GET", "/v1/refusals", "read operate admin"),
    ("GET", "/v1/audit", "operate admin"), ("GET", "/v1/plugins", "read operate admin"), ("GET", "/metrics", "read operate admin"),
    ("HEAD", "/metrics", "read operate admin"),
    ("GET", "/version", "ingest read operate admin bound"), ("GET", "/openapi.json", "ingest read operate admin bound"),
    ("GET", "/v1/receipts/nobody", "ingest read operate admin bound"),
    ("GET", "/v1/nothing", "ingest read operate admin bound"), ("PUT", "/v1/pushers", "ingest read operate admin bound"),
    ("POST", "/v1/pushers/file/pause", "operate admin"), ("POST", "/v1/pushers/file/resume", "operate admin"),
    ("POST", "/v1/dead-letters/retry", "operate admin"), ("POST", "/v1/dead-letters/drop", "operate admin"),
    ("POST", "/v1/reload", "admin"), ("DELETE", "/v1/pushers/nobody", "admin"),
]


@pytest.mark.parametrize("method, path, enough", ROUTES, ids=[f"{m} {p}" for m, p, _ in ROUTES])
def test_roles(g, method, path, enough):
    assert ask(g.admin_address, method, path).status == 401
    for role, token in g.tokens.items():
        status = ask(g.admin_address, method, path, headers=bearer(token)).status
        assert (status not in (401, 403)) == (role in enough.split()), (role, status)


def test_probes_need_no_key(g):
    for path in ("/livez", "/healthz", "/readyz"):
        assert g.get(path).status == 200


def test_a_foreign_page_stays_out_with_a_key_too(g):
    assert g.post(row("u"), headers={**bearer(g.tokens["ingest"]), "Origin": "http://evil.example"}).status == 403
    assert g.get("/v1/pushers", headers={**bearer(g.tokens["read"]), "Host": "evil.example"}).status == 403


# contract: key.client
def test_rows_belong_to_the_keys_client(g):
    mine, other = g.tokens["bound"], key(g, "ingest", "read", client="lab-b")[0]
    wait_until(lambda: tries(g, other, row("theirs")).status == 202)
    once = {"Idempotency-Key": "k1"}
    first = g.post(row("shared"), headers={**bearer(mine), **once})
    again = g.post(row("shared"), headers={**bearer(mine), **once})
    assert first["id"] == again["id"] and again.headers["idempotency-replayed"] == "true"
    theirs = g.post(row("shared", {"other": 1}), headers={**bearer(other), **once})  # their own key space
    assert theirs.status == 202 and theirs["id"] != first["id"]
    nobodys = g.post(row("shared"), headers={**bearer(g.tokens["ingest"]), **once})
    assert nobodys.status == 202 and nobodys["id"] not in (first["id"], theirs["id"])

    def seen(token, path):
        return ask(g.address, "GET", path, headers=bearer(token))
    path = f"/v1/batches/{first['id']}"
    assert seen(mine, path).status == 200 and seen(g.tokens["read"], path).status == 200
    assert seen(other, path).status == 404
    assert {b["id"] for b in seen(mine, "/v1/receipts/shared")["batches"]} == {first["id"]}
    assert {b["id"] for b in seen(other, "/v1/receipts/shared")["batches"]} == {theirs["id"]}
    assert len(seen(g.tokens["read"], "/v1/receipts/shared")["batches"]) >= 3
    assert seen(mine, "/v1/receipts/theirs").status == 404
    assert seen(mine, "/v1/nothing").status == 404


# contract: key.revoke
def test_keys_come_and_go_while_it_runs(g):
    token, name = key(g, "ingest", name="for a while")
    wait_until(lambda: tries(g, token).status == 202)
    assert keys_of(g)[name]["name"] == "for a while" and keys_of(g)[name]["roles"] == ["ingest"]
    done = command("key", "revoke", name, "--data", g.data, env=g.environment())
    assert done.returncode == 0 and name in done.stdout
    wait_until(lambda: tries(g, token).status == 401)
    assert name not in keys_of(g)
    assert tries(g, g.tokens["ingest"]).status == 202
    done = command("key", "revoke", name, "--data", g.data, env=g.environment())
    assert done.returncode == 65 and name in done.stderr


def test_a_key_that_expires(g):
    token, name = key(g, "ingest", expires=f"{3 * SLOW:.0f}s")
    wait_until(lambda: tries(g, token).status == 202)
    answer = wait_until(lambda: (a := tries(g, token)).status == 401 and a)
    assert "expired" in answer["detail"]
    assert "expired" in command("key", "list", "--data", g.data, env=g.environment()).stdout


def test_keys_are_kept_as_digests_only(g):
    text = (g.data / "keys").read_text()
    assert all(t not in text and t.split("_")[2] not in text for t in g.tokens.values())
    assert oct((g.data / "keys").stat().st_mode & 0o777) == "0o600"
    assert not any(t in line for t in g.tokens.values() for line in g.lines)


def test_a_damaged_file_of_keys_changes_nothing(g):
    good = (g.data / "keys").read_bytes()
    mark = len(g.events)
    (g.data / "keys").write_bytes(good[:-20])
    g.wait_event("access.keys_not_read", since=mark)
    assert tries(g, g.tokens["ingest"]).status == 202
    mark = len(g.events)
    (g.data / "keys").write_bytes(good)
    g.wait_event("access.keys", since=mark)


# contract: cli.token
def test_client_verbs_bring_the_key(g):
    env = {"HEADGATE_TOKEN": g.tokens["read"]}
    assert g.cli("status", env=env).returncode == 0
    assert g.cli("status").returncode == 78 and "HEADGATE_TOKEN" in g.cli("status").stderr
    assert g.cli("reload", env=env).returncode == 78
    secret = g.work / "token"
    secret.write_text(g.tokens["ingest"] + "\n")
    rows = g.work / "rows.ndjson"
    rows.write_text('{"a": 1}\n{"a": 2}\n')
    assert g.cli("send", "--to", g.address, rows, env={"HEADGATE_TOKEN_FILE": secret}, admin=False).returncode == 0
    done = g.cli("send", "--to", g.address, rows, env=env, admin=False)
    assert done.returncode == 78 and "role" in done.stderr


# contract: key.used
def test_last_use_is_written_down(tmp_path):
    with Gateway(KEYS, start=False) as g:
        token, name = key(g, "ingest")
        _, never = key(g, "ingest")
        g.start()
        for _ in range(50):
            assert tries(g, token).status == 202
        assert not (g.data / "keys.used").exists()  # not for each request
        assert g.term() == 0
        used = keys_of(g)
        assert used[name]["used"] and used[never]["used"] is None
        g.start()
        assert g.term() == 0
        assert keys_of(g)[name]["used"] == used[name]["used"]


def test_many_bad_logins_are_cheap_and_do_not_fill_the_log():
    with Gateway(KEYS, start=False) as g:
        token, _ = key(g, "ingest")
        g.start()
        count, request = 3000, (b"POST /v1/rows HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer hg_%s_%s\r\n"
                                b"Content-Length: 0\r\n\r\n") % (b"0" * 12, b"0" * 52)

        def hammer():
            with Wire(g.address) as w:
                for _ in range(count // 100):
                    w.send(request * 25)
                    for _ in range(25):
                        assert w.answer().status == 401
        threads = [threading.Thread(target=hammer) for _ in range(4)]
        began = time.monotonic()
        for t in threads:
            t.start()
        assert tries(g, token).status == 202  # nobody else waits
        for t in threads:
            t.join()
        seconds = time.monotonic() - began
        logged = [e for e in g.events if e.get("event") == "request.refused"]
        assert 0 < len(logged) <= 50 * (seconds + 2)
        assert all(e["status"] == 401 and e["peer"] for e in logged)
        assert not any("hg_0" in line for line in g.lines)
        assert tries(g, token).status == 202


def test_a_start_without_keys_says_so():
    with Gateway(KEYS) as g:
        g.wait_event("access.no_keys")
        assert tries(g, "x").status == 401
        token, _ = key(g, "ingest")
        wait_until(lambda: tries(g, token).status == 202)


def test_keys_beside_none():
    """Whoever brings nothing may do everything; what is brought must be good all the same."""
    with Gateway({"HEADGATE_HTTP_AUTH": "none, keys"}, start=False) as g:
        token, _ = key(g, "ingest", client="lab-a")
        g.start()
        assert tries(g, None).status == 202 and tries(g, token).status == 202 and tries(g, "wrong").status == 401
        assert g.get("/v1/config").status == 200  # admin.auth is a setting of its own


def test_a_damaged_file_stops_the_start():
    with Gateway(KEYS, start=False, clean=False) as g:
        g.data.mkdir()
        (g.data / "keys").write_text("{")
        done = command("check", "--config", g.config, "--data", g.data, env=g.environment())
        assert done.returncode == 78 and "keys" in done.stdout
        g.start(wait=False)
        assert g.ended() == 78 and any("keys" in line for line in g.lines)


def test_what_key_add_refuses():
    with Gateway(KEYS, start=False) as g:
        for arguments in (["key", "add"], ["key", "add", "--role", "root"], ["key", "add", "--role", "read", "--client", "a b"],
                          ["key", "add", "--role", "read", "--expires", "2001-01-01"], ["key", "add", "a", "b"],
                          ["key", "add", "--role", "read", "--expires", "soon"], ["key", "revoke"]):
            assert command(*arguments, "--data", g.data, env=g.environment()).returncode == 64, arguments
        assert not (g.data / "keys").exists()


def test_two_at_once_lose_no_key():
    with Gateway(KEYS, start=False) as g:
        threads = [threading.Thread(target=key, args=(g, "ingest")) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(keys_of(g)) == 12


def test_acceptance_cases():
    """Of the cases of test_intake.py those that need a key."""
    short = {"HEADGATE_HTTP_HEADER_TIMEOUT": "1s", "HEADGATE_HTTP_BODY_TIMEOUT": "1s", "HEADGATE_HTTP_IDLE_TIMEOUT": "1s"}
    with Gateway({**KEYS, **short}, start=False) as g:
        token, _ = key(g, "ingest")
        g.start()
        done = subprocess.run([sys.executable, str(CASES.with_suffix(".py")), str(CASES), g.address, "--only", "auth",
                               "--key", token], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert " 0 failed" in done.stdout and not done.stdout.startswith("0 passed")
