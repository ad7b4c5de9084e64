"""Settings: contract section 2. What can be asked without a daemon is asked of `check` and `config --offline`."""
import contextlib
import json
import os
import re
import shutil
import signal
import stat
import threading
from pathlib import Path

import pytest
from gateway import BUILD, SLOW, Gateway, ask, command, dump, row, rows, wait_until


def check(env=None, ini=None, tmp=None, flags=()):
    """`headgate check` on these settings alone; (status, text)."""
    base = {"HEADGATE_PLUGINS_NONE": "yes", "HEADGATE_PLUGINS_DIR": str(BUILD / "plugins")}
    arguments = list(flags)
    if ini is not None:
        (tmp / "headgate.ini").write_text(ini)
        arguments += ["--config", str(tmp / "headgate.ini")]
    done = command("check", *arguments, env={**base, **(env or {})})
    return done.returncode, done.stdout + done.stderr


def offline(key, env=None, arguments=()):
    """(value, origin) of a setting, without a daemon."""
    base = {"HEADGATE_PLUGINS_NONE": "yes", "HEADGATE_PLUGINS_DIR": str(BUILD / "plugins")}
    done = command("config", "--offline", "--json", *arguments, env={**base, **(env or {})})
    assert done.returncode == 0, done.stderr
    found = {s["key"]: s for s in json.loads(done.stdout)["settings"]}
    return found[key]["value"], found[key]["origin"]


# contract: settings.order settings.environment settings.file.flag config.offline
def test_order(tmp_path):
    ini = tmp_path / "x.ini"
    ini.write_text("[http]\nmax_rows = 7\nmax_body = 2MiB\n")
    file = ["--config", str(ini)]
    assert offline("http.max_rows")[1] == "default"
    assert offline("http.max_rows", arguments=file)[0] == "7"
    assert "x.ini" in offline("http.max_rows", arguments=file)[1]
    value, origin = offline("http.max_rows", {"HEADGATE_HTTP_MAX_ROWS": "8"}, file)
    assert value == "8" and "HEADGATE_HTTP_MAX_ROWS" in origin
    assert offline("http.max_body", {"HEADGATE_HTTP_MAX_ROWS": "8"}, file)[0] == "2MiB"


# contract: run.config run.listen run.admin run.data run.plugins
def test_flags_win(tmp_path):
    ini = "[http]\nlisten = 127.0.0.1:1\n[admin]\nlisten = 127.0.0.1:1\n[data]\ndir = /nonexistent\n[rows]\nkeys = any\n"
    with Gateway({"HEADGATE_HTTP_LISTEN": "127.0.0.1:2", "HEADGATE_ADMIN_LISTEN": "127.0.0.1:2"}, ini=ini,
                 flags=["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]) as g:
        g.take(row("u", {"Any key": 1}))
        assert next(g.data.rglob("*.seg"), None)


# contract: settings.file.environment settings.file.absent
def test_the_file_by_environment(tmp_path):
    ini = tmp_path / "y.ini"
    ini.write_text("[http]\nmax_rows = 9\n")
    assert offline("http.max_rows", {"HEADGATE_CONFIG": str(ini)})[0] == "9"
    for more in ({"HEADGATE_CONFIG": "/nonexistent/x.ini"},):
        assert check(more)[0] == 78
    assert command("check", "--config", "/nonexistent/x.ini").returncode == 78


# contract: settings.unknown settings.all-faults exit.78 check
def test_all_faults_at_once(tmp_path):
    ini = "[http]\nlissten = x\nmax_rows = many\n[htpp]\nlisten = 127.0.0.1:1\n[plugin file]\nPATHH = x\n"
    status, text = check({"HEADGATE_LOG_LEVL": "info", "HEADGATE_JOURNAL_KEEP": "5"}, ini, tmp_path)
    assert status == 78
    for word in ("lissten", "listen", "max_rows", "htpp", "HEADGATE_LOG_LEVL", "LOG_LEVEL", "HEADGATE_JOURNAL_KEEP"):
        assert word in text, word
    assert check({"HEADGATE_TOKEN": "x"})[0] == 0
    assert check({"HEADGATE_TOKEN_FILE": "/nonexistent"})[0] == 0


# contract: settings.empty
def test_empty_is_unset():
    assert offline("http.max_rows", {"HEADGATE_HTTP_MAX_ROWS": ""}) == ("100000", "default")


# contract: settings.durations settings.sizes settings.booleans
@pytest.mark.parametrize("name,good,bad", [
    ("HEADGATE_JOURNAL_KEEP", ["200ms", "10s", "5m", "24h", "0"], ["10", "1.5h", "-1s", "h", "10 sec"]),
    ("HEADGATE_HTTP_MAX_BODY", ["64KiB", "16MiB", "65536B"], ["65536", "64kb", "-1MiB", "MiB", "80%"]),
    ("HEADGATE_JOURNAL_MAX_BYTES", ["80%", "1GiB", "auto"], ["0%", "101%", "1000000"]),
    ("HEADGATE_PLUGINS_WATCH", ["yes", "no", "true", "false", "1", "0"], ["ja", "on", "2"]),
])
def test_values(name, good, bad):
    for value in good:
        assert check({name: value})[0] == 0, value
    for value in bad:
        status, text = check({name: value})
        assert status == 78 and name in text, value


# contract: settings.kubernetes settings.foreign-plugin
def test_what_is_ignored():
    env = {"HEADGATE_SERVICE_HOST": "10.0.0.1", "HEADGATE_SERVICE_PORT": "8080", "HEADGATE_SERVICE_PORT_ROWS": "8080",
           "HEADGATE_PORT": "tcp://10.0.0.1:8080", "HEADGATE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
           "HEADGATE_PORT_8080_TCP_ADDR": "10.0.0.1", "PLUGIN_NOTTHERE_URL": "x"}
    with Gateway(env) as g:
        lines = [x for x in g.lines if "HEADGATE_PORT" in x or "HEADGATE_SERVICE" in x]
        assert len(lines) == 1, lines
        assert len([x for x in g.lines if "PLUGIN_NOTTHERE" in x]) == 1


# contract: settings.secret-file settings.secret-both config
def test_secrets(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    with Gateway({"PLUGIN_CHAOS_TOKEN_FILE": str(secret), "PLUGIN_CHAOS_MODE": "good"}, plugins=["chaos"]) as g:
        shown = json.dumps(g.pusher("chaos")) + g.get("/v1/config").body.decode() + "\n".join(g.lines)
        assert "hunter2" not in shown and "(hidden)" in g.get("/v1/pushers/chaos").body.decode()
        done = g.cli("config")
        assert done.returncode == 0 and "hunter2" not in done.stdout and "http.listen" in done.stdout
    status, text = check({"PLUGIN_HTTP_TOKEN": "a", "PLUGIN_HTTP_TOKEN_FILE": str(secret),
                          "PLUGIN_HTTP_URL": "http://127.0.0.1:1/"})
    assert status == 78 and "TOKEN_FILE" in text


# contract: settings.secret-restart
def test_a_changed_secret_restarts_its_plugin(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("one\n")
    with Gateway({"PLUGIN_CHAOS_TOKEN_FILE": str(secret), "PLUGIN_CHAOS_MODE": "good"}, plugins=["chaos"]) as g:
        before, other = g.host("chaos"), g.host("file")
        (tmp_path / "new").write_text("two\n")
        os.rename(tmp_path / "new", secret)
        wait_until(lambda: g.pusher("chaos").get("pid") not in (0, before), what="another process of chaos")
        assert g.host("file") == other


# contract: http.listen http.listen.unix http.socket_mode
def test_several_listeners():
    with Gateway(start=False) as g:
        path = g.work / "rows.sock"
        g.env["HEADGATE_HTTP_LISTEN"] = f"127.0.0.1:0,unix:{path}"
        g.env["HEADGATE_HTTP_SOCKET_MODE"] = "0600"
        g.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ask(f"unix:{path}", "POST", "/v1/rows", dump(row("by-unix"))).status == 202
        assert g.post(row("by-tcp")).status == 202
        assert {r["uuid"] for r in g.wait_rows(2)} == {"by-unix", "by-tcp"}
        g.kill9()
        g.start()  # the socket that was left behind is no obstacle
        assert ask(f"unix:{path}", "POST", "/v1/rows", dump(row("again"))).status == 202


# contract: http.socket_group
def test_group_of_the_socket():
    with Gateway(start=False) as g:
        g.env["HEADGATE_HTTP_LISTEN"] = f"127.0.0.1:0,unix:{g.work}/s"
        g.env["HEADGATE_HTTP_SOCKET_GROUP"] = str(os.getgid())
        g.start()
        assert (g.work / "s").stat().st_gid == os.getgid()


# contract: http.auth admin.auth
@pytest.mark.parametrize("section", ["HTTP", "ADMIN"])
def test_open_listeners_must_be_meant(section):
    for address in ("0.0.0.0:0", "[::]:0"):
        status, text = check({f"HEADGATE_{section}_LISTEN": address})
        assert status == 78 and "auth" in text, text
    assert check({f"HEADGATE_{section}_LISTEN": "0.0.0.0:0", f"HEADGATE_{section}_AUTH": "none"})[0] == 0


# contract: probes.listen
def test_probes_on_their_own():
    with Gateway({"HEADGATE_PROBES_LISTEN": "127.0.0.1:0"}) as g:
        wait_until(lambda: "probes" in g.addresses)
        for path in ("/livez", "/readyz", "/metrics"):
            assert g.get(path, "probes").status == 200
        for path in ("/v1/pushers", "/v1/config", "/", "/version"):
            assert g.get(path, "probes").status == 404
        assert ask(g.addresses["probes"], "POST", "/v1/rows", dump(row("u"))).status in (404, 405)


# contract: admin.hosts
def test_hosts_of_admin():
    with Gateway({"HEADGATE_ADMIN_HOSTS": "bench.example,127.0.0.1"}) as g:
        def status(host):
            return ask(g.admin_address, "GET", "/v1/pushers", headers={"Host": host}).status
        assert status("bench.example") == 200
        assert status("evil.example") == 403
        assert status("[::1]:99") == 403  # what is written out is all


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_hosts_of_a_listener_on_all_addresses(listen):
    with Gateway({"HEADGATE_ADMIN_LISTEN": listen, "HEADGATE_ADMIN_AUTH": "none"}) as g:
        port = g.admin_address.rsplit(":", 1)[1]
        g.addresses["admin"] = f"127.0.0.1:{port}"  # the address of nobody is none that everybody can connect to

        def status(to, host):
            return ask(f"{to}:{port}", "GET", "/v1/pushers", headers={"Host": host}).status
        for host in (f"127.0.0.1:{port}", "127.0.0.1", f"[::1]:{port}", "localhost"):
            assert status("127.0.0.1", host) == 200, host
        assert status("127.0.0.2", f"127.0.0.2:{port}") == 200
        assert [status("127.0.0.1", h) for h in ("127.0.0.2", "evil.example", "127.0.0.1.evil.example")] == [403] * 3
        if listen.startswith("["):
            assert status("[::1]", f"[::1]:{port}") == 200
        assert g.cli("status").returncode == 0


# contract: http.threads
def test_several_intake_loops():
    with Gateway({"HEADGATE_HTTP_THREADS": "4"}) as g:
        for n in range(40):
            g.take(row(f"u{n}"))
        assert len({r["uuid"] for r in g.wait_rows(40)}) == 40


# contract: data.dir
def test_a_second_daemon_is_kept_out():
    with Gateway() as g:
        done = command("run", "--config", str(g.config), "--data", str(g.data), "--plugins", str(BUILD / "plugins"),
                       "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", env={"PLUGIN_FILE_PATH": str(g.out / "x")})
        assert done.returncode not in (0, 78) and "another process" in done.stderr + done.stdout
        g.take(row("still-here"))


# contract: data.dir.warning
def test_a_data_folder_in_memory_is_warned_of():
    folder = Path("/dev/shm") / f"headgate-test-{os.getpid()}"
    try:
        with Gateway(data=folder) as g:
            assert [x for x in g.events if x.get("level") == "warn" and "tmpfs" in json.dumps(x)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# contract: http.max_body http.max_rows http.max_header answer.413
def test_limits_of_a_request():
    env = {"HEADGATE_HTTP_MAX_BODY": "4KiB", "HEADGATE_HTTP_MAX_ROWS": "10", "HEADGATE_HTTP_MAX_HEADER": "1KiB"}
    with Gateway(env) as g:
        assert g.post(row("u", {"a": "x" * 3000})).status == 202
        assert g.post(row("u", {"a": "x" * 5000})).status == 413
        assert g.post(rows("u", 10)).status == 202
        assert g.post(rows("u", 11)).status == 413
        assert g.post_ndjson([rows("a", 6), rows("b", 6)]).status == 413
        assert g.post(row("u"), headers={"X-Long": "y" * 1100}).status == 431
        with g.wire() as w:  # chunks that grow beyond it
            w.send(f"POST /v1/rows HTTP/1.1\r\nHost: {g.address}\r\nTransfer-Encoding: chunked\r\n\r\n")
            w.send("1000\r\n" + " " * 4096 + "\r\n10\r\n" + " " * 16 + "\r\n0\r\n\r\n")
            assert w.answer().status == 413


# contract: http.max_connections
def test_most_connections():
    with Gateway({"HEADGATE_HTTP_MAX_CONNECTIONS": "3"}) as g:
        wires = [g.wire() for _ in range(3)]
        for w in wires:
            w.send(f"GET /version HTTP/1.1\r\nHost: {g.address}\r\n\r\n")
            assert w.answer().status == 200
        with g.wire() as w:
            w.send(f"GET /version HTTP/1.1\r\nHost: {g.address}\r\n\r\n")
            if not w.quiet(0.3):
                answer = w.answer()
                assert answer is None or answer.status == 503
        for w in wires:
            w.sock.close()
        wait_until(lambda: g.post(row("u")).status == 202)


# contract: http.max_memory http.max_memory.small
def test_memory_for_bodies():
    env = {"HEADGATE_HTTP_MAX_MEMORY": "1MiB", "HEADGATE_HTTP_BODY_TIMEOUT": f"{3 * SLOW:.0f}s",
           "HEADGATE_JOURNAL_SEGMENT": "64MiB"}
    with Gateway(env) as g, g.wire() as w:
        w.send(f"POST /v1/rows HTTP/1.1\r\nHost: {g.address}\r\nContent-Length: 15000000\r\n\r\n")
        assert g.post(row("declared", {"a": "x" * 500000})).status == 202  # what is only declared takes nothing
        pour = threading.Thread(target=pour_into, args=(w, 15000000), daemon=True)
        pour.start()
        for n in range(20):  # the quarter that is kept for small ones
            assert g.post(row(f"small{n}", {"a": "x" * 50000})).status == 202
        answer = w.answer()
        assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
        assert g.post(row("large", {"a": "x" * 500000})).status == 202


def pour_into(wire, count):
    with contextlib.suppress(OSError):
        wire.send(b" " * count)


# contract: http.body_rate
def test_a_body_that_trickles():
    with Gateway({"HEADGATE_HTTP_BODY_TIMEOUT": "60s"}) as g, g.wire() as w:
        w.send(f"POST /v1/rows HTTP/1.1\r\nHost: {g.address}\r\nContent-Length: 100000\r\n\r\n" + "{")
        assert w.answer().status == 408


# contract: http.idle_timeout
def test_idle_connections_are_closed():
    with Gateway({"HEADGATE_HTTP_IDLE_TIMEOUT": f"{SLOW:.0f}s"}) as g, g.wire() as w:
        w.send(f"GET /version HTTP/1.1\r\nHost: {g.address}\r\n\r\n")
        assert w.answer().status == 200
        assert w.closed()


# contract: rows.keys
def test_any_keys():
    with Gateway({"HEADGATE_ROWS_KEYS": "any", "HEADGATE_ROWS_MAX_DEPTH": "2"}) as g:
        g.take(row("u", {"Any Key_ü": [1]}))
        assert g.wait_rows(1)[0]["data"] == {"Any Key_ü": [1]}
        assert g.post(row("u", {"a" * 257: 1})).status == 422
        assert g.post(row("u", {"a": [[1]]})).status == 422


# contract: journal.durability
@pytest.mark.parametrize("level", ["none", "interval:50ms", "fsync"])
def test_durability_is_in_the_answer(level):
    with Gateway({"HEADGATE_JOURNAL_DURABILITY": level}) as g:
        assert g.take(row("u"))["durability"] == level.split(":")[0] or g.take(row("u"))["durability"] == level
        g.wait_rows(1)


# contract: log.level log.format
def test_log_lines():
    with Gateway({"HEADGATE_LOG_LEVEL": "debug"}) as g:
        assert all({"time", "level", "event", "text"} <= set(json.loads(x)) for x in g.lines)
    with Gateway({"HEADGATE_LOG_LEVEL": "error"}, start=False) as g:
        g.env["HEADGATE_ADMIN_LISTEN"] = f"unix:{g.work}/admin"
        g.start(wait=False)
        g.addresses["admin"] = f"unix:{g.work}/admin"  # no line says it
        wait_until(g.ready)
        assert g.term() == 0
        assert not g.lines
    with Gateway({"HEADGATE_LOG_FORMAT": "text"}, start=False) as g:
        g.start(wait=False)
        wait_until(lambda: any(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z info  \S+: ", x) for x in list(g.lines)))


# contract: plugins.none plugin.unconfigured
def test_without_any_pusher():
    with Gateway(file=False, start=False, clean=False) as g:
        g.start(wait=False)
        assert g.ended() == 78
    with Gateway({"HEADGATE_PLUGINS_NONE": "yes"}, file=False) as g:
        assert g.pusher("file")["state"] == "unconfigured"
        g.take(row("u"))


# contract: plugins.strict plugin.broken
def test_a_broken_instance():
    bad = {"PLUGIN_CHAOS_MODE": "no-such-mode"}
    with Gateway(bad, plugins=["chaos"]) as g:
        found = g.pusher("chaos")
        assert found["state"] == "broken" and "MODE" in found["error"]
        g.take(row("u"))
        g.wait_rows(1)
        assert g.pusher("chaos")["lag"]["rows"] == 1  # it is registered: what comes in waits for it
    with Gateway({**bad, "HEADGATE_PLUGINS_STRICT": "yes"}, plugins=["chaos"], start=False, clean=False) as g:
        g.start(wait=False)
        assert g.ended() == 78


# contract: instance.environment instance.section instance.use
def test_instances():
    with Gateway(start=False) as g:
        g.config.write_text(f"[plugin second]\nuse = file\npath = {g.out}/second.ndjson\n")
        g.env["PLUGIN_THIRD_USE"] = "file"
        g.env["PLUGIN_THIRD_PATH"] = str(g.out / "third.ndjson")
        g.start()
        g.take(rows("u", 3))
        for name in ("rows", "second", "third"):
            wait_until(lambda n=name: (g.out / f"{n}.ndjson").exists() and len(g.file_rows(g.out / f"{n}.ndjson")) == 3)
        assert {"file", "second", "third"} <= set(g.pushers())


# contract: instance.nested
def test_names_that_hide_each_other():
    status, text = check({"PLUGIN_FILE_PATH": "/tmp/x", "PLUGIN_FILE_TWO_USE": "file", "PLUGIN_FILE_TWO_PATH": "/tmp/y"})
    assert status == 78 and "file" in text.lower()


# contract: plugin.auto plugin.manual pusher.ENABLED
def test_when_a_plugin_starts():
    env = {"PLUGIN_FILE_ENABLED": "no", "PLUGIN_NULL_ENABLED": "yes"}
    with Gateway(env, plugins=["chaos"]) as g:
        g.wait_state("null", "running")
        g.wait_state("chaos", "running")
        found = g.pushers()
        assert found["file"]["state"] != "running" and found["stdout"]["state"] != "running"
        g.take(row("u"))
        wait_until(lambda: g.pusher("null")["delivered"] == 1)


# contract: signal.hup reload api.reload
def test_reload():
    with Gateway() as g:
        generation = g.admin("POST", "/v1/reload").json()["generation"]
        g.config.write_text("[http]\nmax_rows = 2\nthreads = 3\n")
        answer = g.admin("POST", "/v1/reload")
        assert answer.status == 200 and answer["generation"] == generation + 1
        assert "http.threads" in json.dumps(answer.json())
        assert g.post(rows("u", 3)).status == 413
        g.config.write_text("[http]\nmax_rows = 3\n")
        g.signal(signal.SIGHUP)
        wait_until(lambda: g.post(rows("u", 3)).status == 202)
        g.config.write_text("[http]\nmax_rows = nonsense\n")
        done = g.cli("reload")
        assert done.returncode == 78 and "max_rows" in done.stdout + done.stderr
        assert g.post(rows("u", 3)).status == 202  # what was wrong as a whole changed nothing
        g.config.write_text("[plugin file]\nparallel = nonsense\n")  # a plugin's alone: the rest is in force
        for more in ([], ["--json"]):
            done = g.cli("reload", *more)
            assert done.returncode == 78 and "nonsense" in done.stdout + done.stderr
        g.config.write_text("")
        assert g.cli("reload").returncode == 0
