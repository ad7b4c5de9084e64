"""The API of operation, probes and metrics: contract section 4."""
import json
import re

from gateway import ROOT, Gateway, ask, row, rows, wait_until

NAMES = """headgate_requests_total headgate_rows_received_total headgate_rows_delivered_total headgate_rows_dead_total
headgate_rows_skipped_total headgate_retries_total headgate_lag_rows headgate_lag_bytes headgate_lag_seconds
headgate_pusher_state headgate_dead_letters headgate_plugin_restarts_total headgate_fsync_seconds headgate_request_seconds
headgate_push_seconds headgate_journal_bytes headgate_journal_limit_bytes headgate_dead_bytes headgate_parked_rows
headgate_rows_duplicate_total headgate_connections headgate_memory_bytes headgate_build_info""".split()


# contract: api.livez api.readyz api.version
def test_probes_and_version():
    with Gateway() as g:
        for path in ("/livez", "/healthz", "/readyz"):
            assert g.get(path).status == 200
        for listener in ("rows", "admin"):
            assert g.get("/version", listener).json()["version"]
        for path in ("/livez", "/readyz", "/metrics", "/v1/pushers"):
            assert g.get(path, "rows").status == 404


# contract: api.metrics api.metrics.names
def test_metrics():
    with Gateway() as g:
        g.take(rows("u", 7))
        wait_until(lambda: g.pusher("file")["delivered"] == 7)
        text = g.get("/metrics")
        assert text.headers["content-type"].startswith("text/plain")
        families = {line.split()[2] for line in text.body.decode().splitlines() if line.startswith("# TYPE")}
        missing = [n for n in NAMES if n not in families and n.removesuffix("_total") not in families]
        assert not missing, missing
        found = g.metrics()
        assert found["headgate_rows_received_total"] == 7
        assert found['headgate_rows_delivered_total{pusher="file"}'] == 7
        assert found['headgate_pusher_state{pusher="file",state="running"}'] == 1
        assert found['headgate_lag_rows{pusher="file"}'] == 0
        assert found["headgate_fsync_seconds_count"] >= 1
        assert any(k.startswith('headgate_requests_total{code="202"') for k in found)
        openmetrics = ask(g.admin_address, "GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
        assert openmetrics.body.rstrip().endswith(b"# EOF")


# contract: api.openapi
def test_openapi():
    """It describes every route and nothing else; whether answers are as it says is test/page/test_openapi.py's."""
    def used(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            yield from used(child)
    routes = re.findall(r'^ROUTE\((\w+), "([^"]+)"', (ROOT / "core/api/routes.def").read_text(), re.M)
    with Gateway() as g:
        page = g.get("/openapi.json").json()
        assert page["openapi"].startswith("3.1") and page["info"]["version"] == g.get("/version").json()["version"]
    told = {(m.upper(), path) for path, methods in page["paths"].items() for m in methods}
    assert told == {*routes, ("POST", "/v1/rows"), ("POST", "/data"), ("POST", "/data/batch")}
    there = {f"#/components/{kind}/{name}" for kind, all_of in page["components"].items() for name in all_of}
    assert set(used(page)) <= there
    names = [o["operationId"] for methods in page["paths"].values() for o in methods.values()]
    assert len(set(names)) == len(names)
    for (_, path), parameters in {(m, p): [x["name"] for x in o.get("parameters", []) if x.get("in") == "path"]
                                  for p, ms in page["paths"].items() for m, o in ms.items()}.items():
        assert re.findall(r"{(\w+)}", path) == parameters


# contract: api.pushers api.pusher.states
def test_pushers():
    with Gateway({"PLUGIN_CHAOS_MODE": "notnow"}, plugins=["chaos", "badabi"], start=False) as g:
        (g.work / "gate").touch()
        g.env["PLUGIN_CHAOS_GATE"] = str(g.work / "gate")
        g.start()
        g.take(rows("u", 3))
        g.wait_state("chaos", "retrying")
        found = g.pushers()
        assert g.wait_state("file", "running") and found["http"]["state"] == "unconfigured"
        assert found["badabi.so"]["state"] == "refused" and found["badabi.so"]["error"]
        assert found["chaos"]["lag"]["rows"] == 3
        one = g.get("/v1/pushers/chaos").json()
        assert one["name"] == "chaos" and {o["name"] for o in one["options"]} >= {"MODE", "GATE"}
        assert g.get("/v1/pushers/nobody").status == 404
        (g.work / "gate").unlink()
        g.wait_state("chaos", "running")


# contract: api.config
def test_config():
    with Gateway({"HEADGATE_HTTP_MAX_ROWS": "77"}) as g:
        found = {s["key"]: s for s in g.get("/v1/config").json()["settings"]}
        assert found["http.max_rows"]["value"] == "77" and "HEADGATE_HTTP_MAX_ROWS" in found["http.max_rows"]["origin"]
        assert found["http.max_body"]["origin"] == "default"


# contract: api.methods
def test_actions_are_never_get():
    with Gateway() as g:
        for path in ("/v1/pushers/file/pause", "/v1/reload", "/v1/drain", "/v1/dead-letters/x/retry"):
            answer = g.get(path)
            assert answer.status == 405 and "POST" in answer.headers["allow"]
        assert g.wait_state("file", "running") and g.get("/readyz").status == 200


# contract: status status.watch cli.json cli.admin cli.token plugin.list plugin.describe
def test_commands_that_look():
    with Gateway() as g:
        g.take(rows("u", 3))
        wait_until(lambda: g.pusher("file")["delivered"] == 3)
        done = g.cli("status", env={"HEADGATE_TOKEN": "x"})
        assert done.returncode == 0 and "file" in done.stdout and "running" in done.stdout
        assert json.loads(g.cli("status", "--json").stdout)["pushers"]
        assert json.loads(g.cli("config", "--json").stdout)["settings"]
        assert g.cli("dead", "list", "--json").stdout.strip()[0] in "[{"
        from gateway import BUILD
        listed = g.cli("plugin", "list", "--plugins", str(BUILD / "plugins"))
        assert listed.returncode == 0 and all(n in listed.stdout for n in ("file", "http", "stdout", "null"))
        told = g.cli("plugin", "describe", "file", "--plugins", str(BUILD / "plugins"))
        assert told.returncode == 0 and "PLUGIN_FILE_PATH" in told.stdout
        assert json.loads(g.cli("plugin", "describe", "file", "--json", "--plugins", str(BUILD / "plugins")).stdout)


# contract: check.probe
def test_check_probes_far_ends():
    from webhook import Webhook

    from gateway import BUILD, command
    with Webhook() as hook:
        env = {"PLUGIN_HTTP_URL": hook.url, "HEADGATE_PLUGINS_DIR": str(BUILD / "plugins")}
        assert command("check", env=env).returncode == 0
        assert not hook.requests
        assert command("check", "--probe", env=env).returncode == 0
    done = command("check", "--probe", env=env)
    assert done.returncode != 0 and "http" in done.stdout + done.stderr


# contract: journal.verify journal.dump journal.repair exit.74
def test_journal_offline():
    with Gateway() as g:
        for n in range(20):
            g.take(rows(f"u{n}", 3))
        g.wait_rows(60)
        assert g.term() == 0
        journal = sorted(g.data.rglob("*.seg"))[0].parent
        assert g.cli("journal", "verify", journal, admin=False).returncode == 0
        dumped = g.cli("journal", "dump", journal, "--rows", admin=False)
        assert dumped.returncode == 0 and '"u7"' in dumped.stdout
        segment = max(journal.glob("*.seg"), key=lambda p: b"u7" in p.read_bytes())
        data = bytearray(segment.read_bytes())
        data[data.index(b"u7\"") + 1] ^= 1
        segment.write_bytes(data)
        assert g.cli("journal", "verify", journal, admin=False).returncode not in (0, 64)
        done = g.cli("journal", "repair", journal, "--into", g.work / "mended", admin=False)
        assert done.returncode == 0, done.stderr
        assert g.cli("journal", "verify", g.work / "mended", admin=False).returncode == 0
        assert g.cli("journal", "verify", "/nonexistent", admin=False).returncode == 74


# contract: journal.min_free
def test_space_that_must_stay_free():
    with Gateway({"HEADGATE_JOURNAL_MIN_FREE": "1000000GiB"}, start=False) as g:
        g.start(ready=False)
        answer = g.post(row("u"))
        assert answer.status == 503 and "retry-after" in answer.headers
        assert g.get("/readyz").status == 503 and g.get("/livez").status == 200


# contract: dead.max_bytes
def test_no_room_for_dead_letters():
    env = {"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_REJECT_BREAKER": "1000000", "HEADGATE_DEAD_MAX_BYTES": "64KiB"}
    with Gateway(env, plugins=["chaos"]) as g:
        for n in range(40):
            g.take(row(f"u{n}", {"pad": "x" * 5000}))
        broken = g.wait_state("chaos", "broken")
        assert broken["dead_letters"] < 20 and broken["lag"]["rows"] > 20
        assert len(g.wait_rows(40)) == 40


# contract: park.max_bytes
def test_no_room_for_parked_rows():
    env = {"PLUGIN_CHAOS_MODE": "retry", "PLUGIN_CHAOS_MATCH": "bad", "PLUGIN_CHAOS_RETRY_MAX": "50ms",
           "PLUGIN_CHAOS_RETRY_MIN": "10ms", "HEADGATE_PARK_MAX_BYTES": "4KiB", "HEADGATE_JOURNAL_SEGMENT": "1MiB",
           "HEADGATE_JOURNAL_MAX_BYTES": "4MiB", "HEADGATE_HTTP_MAX_BODY": "256KiB"}
    with Gateway(env, plugins=["chaos"]) as g:
        for n in range(3000):
            if g.post({"uuid": f"u{n}", "row": {"data": {"pad": "x" * 3000, **({"bad": 1} if n % 2 else {})}}}).status != 202 or \
                    g.pusher("chaos")["state"] == "broken":
                break
        g.wait_state("chaos", "broken", timeout=30)
        assert not g.dead()


# --- a journal at its budget

TIGHT = {"HEADGATE_JOURNAL_SEGMENT": "256KiB", "HEADGATE_JOURNAL_MAX_BYTES": "1MiB"}
LOAD = 20  # of these the budget holds


def load(g):
    """The answer to 45 KB."""
    return g.post(rows("u", 50, pad="x" * 900)).status


def test_what_nobody_takes_gives_way():
    with Gateway({**TIGHT, "HEADGATE_PLUGINS_NONE": "yes"}, file=False) as g:
        for _ in range(3 * LOAD):
            wait_until(lambda: load(g) == 202)
        g.kill9()
        g.start()
        for _ in range(LOAD):
            wait_until(lambda: load(g) == 202)
        assert len(list((g.data / "journal").glob("*.seg"))) <= 4


def test_what_was_settled_before_a_restart_gives_way_though_its_pusher_is_paused():
    with Gateway(TIGHT) as g:
        for _ in range(LOAD):
            wait_until(lambda: load(g) == 202)
        g.wait_rows(50 * LOAD)
        g.admin("POST", "/v1/pushers/file/pause")
        g.wait_state("file", "paused")
        g.restart()
        assert g.pusher("file")["state"] == "paused"
        for _ in range(LOAD // 2):
            wait_until(lambda: load(g) == 202)
