"""What stands in examples/: the demo, the clients, and a plugin built by its own Makefile against an installed headgate."""
import json
import os
import re
import shutil
import socket
import subprocess

import pytest
from gateway import BUILD, ROOT, SLOW, Gateway, row, wait_until

EXAMPLES = ROOT / "examples"
OUTSIDE = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def run(*command, stdin=b"", env=None, **more):
    return subprocess.run([str(c) for c in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**OUTSIDE, **(env or {})}, timeout=240 * SLOW, **more)


def test_the_demo():
    done = run(EXAMPLES / "demo/run.sh", env={"HEADGATE": BUILD / "headgate", "PLUGINS": BUILD / "plugins"})
    text = done.stdout.decode()
    assert done.returncode == 0, text + done.stderr.decode()
    assert text.count("SIGKILL after") == 3 and "3201 rows posted, 3201 in the file" in text
    assert text.count("delivered\n") == 2, "two receipts"


def test_the_demo_notices_a_lost_and_a_doubled_row(tmp_path):
    """compare.py is what the demo rests on."""
    lines = [b'{"n":%d}' % n for n in range(5)]
    ids = [b"epoch-%d" % n for n in range(5)]

    def verdict(written, told=ids):
        out = [b'{"id":"%s-00000","uuid":"u","data":%s}' % (ids[n], lines[n]) for n in written]
        (tmp_path / "posted").write_bytes(b"\n".join(lines) + b"\n")
        (tmp_path / "file").write_bytes(b"\n".join(out) + b"\n")
        (tmp_path / "ids").write_bytes(b"\n".join(told) + b"\n")
        return run(EXAMPLES / "demo/compare.py", tmp_path / "posted", tmp_path / "file", tmp_path / "ids").returncode

    assert verdict([0, 1, 2, 3, 4]) == 0
    assert verdict([0, 1, 3, 4]) == 1, "lost"
    assert verdict([0, 1, 2, 2, 3, 4]) == 1, "doubled"
    assert verdict([0, 2, 1, 3, 4]) == 1, "another order"
    assert verdict([0, 1, 2, 3, 4], ids[:4]) == 1, "taken and not told"


def shell(g, body, **env):
    return run(EXAMPLES / "clients/post.sh", stdin=body, env={"TO": f"http://{g.address}", **env})


def test_the_shell_client():
    with Gateway() as g:
        body = json.dumps(row("u", {"n": 1})).encode()
        first, again = shell(g, body), shell(g, body)
        assert first.returncode == again.returncode == 0, first.stderr
        assert json.loads(first.stdout)["id"] == json.loads(again.stdout)["id"]
        assert shell(g, body, KEY="another").returncode == 0
        two = b"".join(json.dumps(row(f"n{n}")).encode() + b"\n" for n in range(2))
        assert shell(g, two, TYPE="application/x-ndjson").stdout.count(b'"id"') == 2
        assert [r["uuid"] for r in g.wait_rows(4)] == ["u", "u", "n0", "n1"]
        refused = shell(g, b'{"uuid":"u","row":{"data":{"Not camel":1}}}')
        assert refused.returncode == 65 and b"camelCase" in refused.stderr
        assert len(g.file_rows()) == 4


def test_the_shell_client_gives_up():
    done = run(EXAMPLES / "clients/post.sh", stdin=b"{}", env={"TO": "http://127.0.0.1:1", "GIVE_UP": "0"})
    assert done.returncode == 75 and b"gave up" in done.stderr


def test_the_python_client():
    with Gateway() as g:
        lines = (EXAMPLES / "data/penguins.ndjson").read_bytes().split()
        rows = (EXAMPLES / "data/penguins.ndjson").read_bytes()
        post = [EXAMPLES / "clients/post.py", "--to", f"http://{g.address}", "--uuid", "penguins", "--batch", "100"]
        first, again = run(*post, stdin=rows), run(*post, stdin=rows)
        assert first.returncode == 0 and first.stdout == again.stdout and len(first.stdout.split()) == 4, first.stderr
        found = g.wait_rows(344)
        assert [r["data"] for r in found] == [json.loads(x) for x in rows.splitlines()] and lines
        refused = run(*post, stdin=b'{"Not camel":1}\n')
        assert refused.returncode == 65 and b"camelCase" in refused.stderr
        assert run(*post, "--give-up", "0", "--to", "http://127.0.0.1:1", stdin=b"{}\n").returncode == 75
        assert len(g.file_rows()) == 344


def test_the_python_client_through_a_death():
    """It is started while nobody listens, and everything arrives once."""
    with Gateway(flags=[], start=False) as g:
        socket = g.work / "rows.sock"
        g.env["HEADGATE_HTTP_LISTEN"] = f"unix:{socket}"
        client = subprocess.Popen([EXAMPLES / "clients/post.py", "--to", f"unix:{socket}", "--uuid", "u", "--batch", "1",
                                   EXAMPLES / "data/penguins.ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        g.start()
        g.wait_rows(20)
        g.kill9(hosts=True)
        g.start()
        out, text = client.communicate(timeout=120 * SLOW)
        assert client.returncode == 0, text
        found = g.wait_rows(344)
        want = [json.loads(x) for x in (EXAMPLES / "data/penguins.ndjson").read_bytes().splitlines()]
        assert [r["data"] for r in found] == want
        assert sorted(r["id"].rsplit("-", 1)[0] for r in found) == sorted(out.decode().split())


def copied(name, to):
    return shutil.copytree(EXAMPLES / "plugins" / name, to / name, ignore=shutil.ignore_patterns("*.so", "*.o", "*.rows"))


def test_hello(sdk, tmp_path):
    env, prefix = sdk
    done = run("make", "-s", "-C", copied("hello", tmp_path), "test", "install", f"PLUGINDIR={tmp_path}/plugins", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(b"\nok ") + done.stdout.startswith(b"ok ") >= 6 and b"FAIL" not in done.stdout
    code = [line for line in (EXAMPLES / "plugins/hello/hello.c").read_text().splitlines() if line.strip(" {}")]
    assert len(code) <= 45
    with Gateway(plugins=[tmp_path / "plugins/hello.so"]) as g:
        g.take(row("u", {"name": "Ada"}))
        g.take(row("u", {"keyOne": 1}))
        bad = g.take(row("u", {"name": 7}))
        g.wait_event("plugin.log", pusher="hello", text="hello, Ada")
        g.wait_outcome(bad["id"], "mixed")
        dead = g.dead()
        assert [(d["pusher"], d["reason"]) for d in dead] == [("hello", "its name is no text, or too long")]
        wait_until(lambda: g.metrics().get('headgate_rows_delivered_total{pusher="hello"}') == 1)
        g.wait_rows(3)


@pytest.mark.skipif(BUILD.name in ("asan", "tsan"), reason="not here: a plugin of another compiler's in a sanitizer's build")
@pytest.mark.parametrize("name", sorted(p.name for p in (EXAMPLES / "plugins").iterdir() if p.is_dir()))
def test_an_example_builds_without_a_warning_and_conforms(name, sdk, tmp_path):
    env, _ = sdk
    mine = copied(name, tmp_path)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        env = {**env, "FAR_PORT": str(s.getsockname()[1])}
    ini = mine / "check.ini"
    ini.write_text(ini.read_text().replace("18099", env["FAR_PORT"]))
    try:
        done = run("make", "-s", "-C", mine, "check", env=env)
    finally:
        if (mine / "far.py").exists():  # the one of ledger is away while it is up
            run("/usr/bin/python3", "far.py", "up" if name == "ledger" else "down", cwd=mine, env=env)
    text = done.stdout.decode()
    assert done.returncode == 0 and done.stderr == b"", text + done.stderr.decode()
    assert " 0 failed" in text
    missing = {"hello": {"open-down", "down", "probe"}, "ledger": {"bad"},
               "timer": {"open-down", "probe"}}.get(name, set())
    assert set(re.findall(r"^not exercised +([a-z-]+)", text, re.M)) == missing
    assert ("conforms to ABI" in text) == (not missing)


def test_the_reload_table():
    """docs/operations.md says of every setting whether a reload is enough."""
    text = (ROOT / "docs/operations.md").read_text()
    lines = {name: re.search(rf"^\| {name} \| (.*) \|$", text, re.M)[1] for name in ("a reload is enough", "need a restart")}
    told = {name: set(re.findall(r"`([a-z_]+\.[a-z_]+)`", line)) for name, line in lines.items()}
    with Gateway() as g:
        settings = g.get("/v1/config").json()["settings"]
    assert told["a reload is enough"] == {s["key"] for s in settings if s["reloadable"]}
    assert told["need a restart"] == {s["key"] for s in settings if not s["reloadable"]}


def test_links():
    """Every file that README.md, docs/ and the examples link to is there."""
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *EXAMPLES.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_mask(sdk, tmp_path):
    """A processor in front of a bundled pusher."""
    env, _ = sdk
    mine = copied("mask", tmp_path)
    done = run("make", "-s", "-C", mine, "install", f"PLUGINDIR={tmp_path}/plugins", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    with Gateway({"PLUGIN_FILE_PROCESS": "mask", "PLUGIN_MASK_NAMES": "card,phones"}, plugins=[tmp_path / "plugins/mask.so"]) as g:
        g.take(row("u", {"card": "4111111111111111", "deep": [{"phones": ["5550100", "é", None]}], "n": 9007199254740993}))
        g.take(b'{"uuid":"u","row":{"data":{"price": 1.50}}}')
        bad = g.take(row("v", {"card": 4111111111111111}))
        found = g.wait_rows(2)
        assert found[0]["data"] == {"card": "*" * 12 + "1111", "deep": [{"phones": ["***0100", "é", None]}],
                                    "n": 9007199254740993}
        assert '{"price": 1.50}' in (g.out / "rows.ndjson").read_text()  # nothing is hidden in it: as it was sent
        g.wait_outcome(bad["id"], "dead")
