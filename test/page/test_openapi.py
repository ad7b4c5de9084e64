"""The API answers as /openapi.json says it does: schemathesis makes requests of the document, good and bad ones, and looks
at every answer. On the admin listener, and of the rows' listener what stands there too."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gateway import Gateway, wait_until

EXAMPLES = 15
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ENDLESS = ["/v1/tap", "/v1/watch", "/v1/drain"]  # two go on until their caller goes, the last ends the taking of rows
ROWS = ["/v1/rows", "/data", "/data/batch"]


@pytest.fixture
def g():
    env = {"PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad", "PLUGIN_EXEC_COMMAND": "echo '{\"n\":1}'",
           "PLUGIN_EXEC_EVERY": "1h"}
    with Gateway(env, plugins=["chaos", "badabi"]) as g:
        yield g


def schemathesis(g, address, document, *more):
    path = Path(g.work) / "openapi.json"
    path.write_text(json.dumps(document))
    done = subprocess.run([Path(sys.executable).parent / "schemathesis", "run", path, "--url", f"http://{address}",
                           "--max-examples", str(EXAMPLES), "--request-timeout", "10", "--checks", CHECKS,
                           "--continue-on-failure", "--generation-database", "none", "--seed", "1",
                           "--suppress-health-check", "all", *more],
                          capture_output=True, text=True, timeout=300, cwd=g.work)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def filled(document, values):
    """The document with examples for its path parameters, so that more is met than 404."""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                given = values.get((path.split("/")[2] if path.startswith("/v1/") else path, parameter.get("name")))
                if parameter.get("in") == "path" and given:
                    parameter["schema"] = {"anyOf": [{"const": given}, {"type": "string", "minLength": 1}]}
    return document


def test_the_admin_listener(g):
    batch = g.take({"uuid": "a", "tags": {"site": "x"}, "rows": [{"index": 1, "data": {"bad": 1}}, {"data": {"n": 1}}]})
    g.take({"uuid": "b", "row": {"data": {"n": 2}}})
    dead = wait_until(g.dead)[0]["id"]
    replay = g.admin("POST", "/v1/replays", b'{"pusher":"file","from":"1h"}').json()["id"]
    values = {("batches", "id"): batch["id"], ("receipts", "uuid"): "a", ("dead-letters", "id"): dead, ("replays", "id"): replay,
              ("pushers", "name"): "file", ("pullers", "name"): "exec", ("batches", "pusher"): "chaos"}
    document = filled(g.get("/openapi.json").json(), values)
    said = schemathesis(g, g.admin_address, document, *(x for p in ENDLESS + ROWS for x in ("--exclude-path", p)))
    assert "passed" in said
    g.take({"uuid": "c", "row": {"data": {"n": 3}}})
    g.wait_rows(4)


def test_the_rows_listener(g):
    document = g.get("/openapi.json").json()
    schemathesis(g, g.address, document, *(x for p in ROWS + ["/version"] for x in ("--include-path", p)))
    g.take({"uuid": "c", "row": {"data": {"n": 3}}})
