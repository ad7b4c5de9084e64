"""Much at once, and bad neighbours: a million rows over 64 connections; one of three pushers down, hung, spinning or
crashing; a thousand fresh gateways."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from gateway import BUILD, PLAIN, Gateway, ask, dump, row, wait_until
from webhook import Webhook

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "crash"))
from judge import Judge  # noqa: E402

ROWS = int(os.environ.get("HEADGATE_MANY_ROWS", "1000000"))
FRESH = int(os.environ.get("HEADGATE_FRESH_GATEWAYS", "1000"))


class Load:
    """The crash harness's loader against one gateway, for the time of a `with`."""

    def __init__(self, g, connections, rows, think_us):
        self.log, port = g.work / "client.log", g.work / "port"
        port.write_text(g.address.rsplit(":", 1)[1])
        self.process = subprocess.Popen([BUILD / "crash/loader", "127.0.0.1", port, self.log,
                                         *map(str, (connections, rows, 0, think_us))])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Far:
    """What a webhook got, without keeping bodies: per row set the numbers of its rows, in order."""

    def __init__(self):
        self.sets, self.rows, self.lock = {}, 0, threading.Lock()

    def __call__(self, request):
        documents = request.documents()
        with self.lock:
            self.rows += len(documents)
            for d in documents:
                self.sets.setdefault((d["uuid"], d["id"][:-6]), []).append(d["data"]["row"])
        return 200


def test_a_million_rows(capsys):
    far = Far()
    with Webhook(far, keep=False) as hook, Gateway({"PLUGIN_HTTP_URL": hook.url, "HEADGATE_JOURNAL_SEGMENT": "64MiB",
                                                    "HEADGATE_JOURNAL_MAX_BYTES": "8GiB"}) as g:
        judge = Judge(g.work / "client.log", g.out / "rows.ndjson")

        def acknowledged():
            judge.read_log()
            return sum(judge.sent[u][1] for u in judge.by_uuid)
        began = time.monotonic()
        with Load(g, 64, 200, 0):
            wait_until(lambda: acknowledged() >= ROWS, 300, lambda: f"{acknowledged()} rows acknowledged")
        taken = time.monotonic() - began
        wanted = acknowledged()
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0, 120)
        judge.read_file()
        wait_until(lambda: g.pusher("http")["lag"]["rows"] == 0, 300, lambda: f"{far.rows} of {wanted} at the webhook")
        with capsys.disabled():
            print(f"\n{wanted} rows over 64 connections taken in {taken:.1f} s, delivered twice in "
                  f"{time.monotonic() - began:.1f} s")
        assert not judge.verdict() and judge.missing() == 0
        for batch, (_, uuid) in judge.acked.items():
            assert far.sets[(uuid, batch)] == list(range(judge.sent[uuid][1])), (uuid, batch)
        assert far.rows == wanted and not g.dead()


BAD = [
    ("down", "notnow", None),
    ("black hole", "hang", None),
    ("spinning", "spin", None),
    ("crashes on everything", "segv", None),
    ("crashes when it starts", "startsegv", None),
    ("says broken", "openbad", None),
    ("floods the log", "flood", None),
    ("scribbles into its channel", "scribble", None),
    ("forgets rows", "forgets", None),
]


@pytest.mark.parametrize("mode", [b[1] for b in BAD], ids=[b[0].replace(" ", "-") for b in BAD])
def test_a_bad_neighbour(mode):
    far = Far()
    with Webhook(far, keep=False) as hook:
        env = {"PLUGIN_HTTP_URL": hook.url, "PLUGIN_CHAOS_MODE": mode, "PLUGIN_CHAOS_TIMEOUT": "500ms",
               "PLUGIN_CHAOS_RETRY_MAX": "200ms", "PLUGIN_CHAOS_RETRY_MIN": "20ms"}
        with Gateway(env, plugins=["chaos"], start=False) as g:
            (g.work / "gate").touch()
            g.env["PLUGIN_CHAOS_GATE"] = str(g.work / "gate")
            g.start()
            judge = Judge(g.work / "client.log", g.out / "rows.ndjson")
            slowest = 0.0
            with Load(g, 8, 10, 20000):
                end, n = time.monotonic() + 4, 0
                while time.monotonic() < end:
                    began, n = time.monotonic(), n + 1
                    assert g.post(row(f"among-others-{n}", {"row": 0, "of": 1}, index=0)).status == 202
                    slowest = max(slowest, time.monotonic() - began)
            wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0 and g.pusher("http")["lag"]["rows"] == 0, 20)
            judge.read_log()
            judge.read_file()
            assert judge.missing() == 0 and not judge.verdict()
            assert slowest < 2, f"a post took {slowest:.1f} s"
            found = g.pushers()
            assert found["file"]["restarts"] == found["http"]["restarts"] == 0
            assert not g.dead()


def fresh_id(n):
    """The id that a gateway on a folder of its own gives first."""
    work = Path(tempfile.mkdtemp(prefix="headgate-fresh-id-"))
    try:
        env = {**PLAIN, "HEADGATE_PLUGINS_NONE": "yes", "HEADGATE_JOURNAL_SEGMENT": "1MiB",
               "HEADGATE_HTTP_MAX_BODY": "64KiB"}
        (work / "ini").write_text("")
        (work / "plugins").mkdir()
        p = subprocess.Popen([BUILD / "headgate", "run", "--config", work / "ini", "--data", work / "data", "--plugins",
                              work / "plugins", "--listen", f"unix:{work}/rows", "--admin", f"unix:{work}/admin"],
                             env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            def taken():
                assert p.poll() is None, p.stderr.read()
                try:
                    answer = ask(f"unix:{work}/rows", "POST", "/v1/rows", dump(row("same")))
                except OSError:
                    return None
                return answer.status == 202 and answer["id"]
            return wait_until(taken, 30)
        finally:
            p.kill()
            p.communicate()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def test_fresh_gateways_give_no_id_twice():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(fresh_id, range(FRESH)))
    assert len(set(ids)) == FRESH
