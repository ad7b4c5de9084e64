"""The puller `directory`: files put into a folder become rows, each once, whatever is killed."""
import json
import os
import random
import signal

import pytest
from gateway import Gateway, wait_until
from test_send import AS_ROWS, INSTRUMENT


class Inbox:
    """A gateway with the puller on a folder of its own."""

    def __init__(self, env=None, **more):
        self.g = Gateway(start=False, **more)
        self.folder = self.g.work / "in"
        self.folder.mkdir()
        self.g.start({"PLUGIN_DIRECTORY_PATH": str(self.folder), **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, *a):
        return self.g.__exit__(*a)

    def put(self, name, text):
        scratch = self.folder / f"{name}.part"
        scratch.write_text(text)
        scratch.rename(self.folder / name)

    def puller(self):
        return self.g.get("/v1/pullers/directory").json()

    def rows(self):
        return self.g.file_rows(self.g.out / "rows.ndjson")

    def wait_done(self, *names, folder="done", timeout=30):
        wait_until(lambda: all((self.folder / folder / n).exists() for n in names), timeout,
                   lambda: f"{names} in {folder}: {sorted(os.listdir(self.folder))} {self.puller()}")

    def wait_rows(self, count):
        wait_until(lambda: len(self.rows()) >= count, 30, lambda: f"{count} rows, there are {len(self.rows())}")
        return self.rows()


def lines(count, start=0):
    return "".join(json.dumps({"n": n, "text": "x" * (n % 50)}) + "\n" for n in range(start, start + count))


def test_csv_of_an_instrument():
    env = {"DELIMITER": ";", "DECIMAL": ",", "QUOTES": "single", "ENCODING": "windows-1252", "SKIP": "3",
           "TYPES": "*=text,Größe µm=number", "INDEX": "Nr"}
    with Inbox({f"PLUGIN_DIRECTORY_{name}": value for name, value in env.items()}) as box:
        (box.folder / "a.csv.part").write_bytes(INSTRUMENT + b"3;" + b"9;1;y\r\n3;" * 1500 + b"0;0;0")
        (box.folder / "a.csv.part").rename(box.folder / "a.csv")
        rows = [(r.get("index"), r["data"]) for r in box.wait_rows(1503)]
        assert rows[:2] == AS_ROWS and rows[-1] == (3, {"probe": "0", "grosseUm": 0, "wertNeu": "0"}) and len(rows) == 1503
        box.put("b.csv", "\n\n\nNr;Probe\n1;2\n")
        box.wait_done("b.csv", folder="failed")
        assert "there is no column `Größe µm`" in (box.folder / "failed/b.csv.error").read_text()
    with Inbox({"PLUGIN_DIRECTORY_DELIMITER": "::"}) as box:
        wait_until(lambda: box.puller()["state"] == "broken", what=box.puller)
        assert "DELIMITER must be one character" in box.puller()["error"]


def test_columns_named_as_a_document_are_data():
    with Inbox() as box:
        box.put("plate.csv", "uuid,row,rows\nx,A,1\n")
        assert [(r["uuid"], r["data"]) for r in box.wait_rows(1)] == [("plate.csv", {"uuid": "x", "row": "A", "rows": 1})]


def test_every_kind_of_file():
    with Inbox() as box:
        box.put("a.ndjson", '{"one":1}\n\n{"uuid":"own","tags":{"line":"x"},"rows":[{"index":3,"data":{"two":2}}]}\n{"three":3}')
        box.put("b.json", '[{"a": 1,\n "b": "two\\nlines"},\n {"a": 2}]\n')
        box.put("c.csv", 'temp_max,Sample ID,ok\r\n1.50,"a ""b"", c",\r\nx,007,1\r\n')
        box.put("d.tsv", "a\tb\n1\t2\n")
        (box.folder / "e.txt").write_text("no kind of ours")
        (box.folder / "f.ndjson.t").write_text('{"not":"yet"}\n')
        box.wait_done("a.ndjson", "b.json", "c.csv", "d.tsv")
        rows = box.wait_rows(8)
        by = {}
        for r in rows:
            by.setdefault(r["uuid"], []).append(r["data"])
        assert by == {"a.ndjson": [{"one": 1}, {"three": 3}], "own": [{"two": 2}],
                      "b.json": [{"a": 1, "b": "two\nlines"}, {"a": 2}],
                      "c.csv": [{"tempMax": 1.5, "sampleId": 'a "b", c', "ok": None},
                                {"tempMax": "x", "sampleId": "007", "ok": 1}],
                      "d.tsv": [{"a": 1, "b": 2}]}
        assert {p.name for p in box.folder.iterdir()} == {"done", "failed", "e.txt", "f.ndjson.t"}
        p = box.puller()
        assert p["state"] == "running" and p["rows"] == 8 and p["pid"] and p["confined"]


def test_a_file_that_is_written_is_waited_for():
    with Inbox() as box:
        with open(box.folder / "slow.ndjson", "w") as f:
            f.write('{"n":1}\n')
            f.flush()
            box.put("other.ndjson", '{"n":0}\n')
            box.wait_done("other.ndjson")
            assert (box.folder / "slow.ndjson").exists() and len(box.rows()) <= 1
            f.write('{"n":2}\n')
        box.wait_done("slow.ndjson")
        assert [r["data"]["n"] for r in box.wait_rows(3)] == [0, 1, 2]


def test_a_bad_file_is_put_aside_with_the_reason():
    with Inbox() as box:
        box.put("bad.ndjson", '{"n":1}\n{"Bad":2}\n{"n":3}\n')
        box.put("worse.csv", "a,b\n1\n")
        box.put("large.ndjson", lines(1500) + "{nonsense}\n")
        box.wait_done("bad.ndjson", "worse.csv", "large.ndjson", folder="failed")
        text = (box.folder / "failed/bad.ndjson.error").read_text()
        assert text.startswith("line 2: ") and "camelCase" in text and "\n0 rows before it" in text
        assert (box.folder / "failed/worse.csv.error").read_text().startswith("line 2: 1 cells")
        text = (box.folder / "failed/large.ndjson.error").read_text()
        assert text.startswith("line 1501: ") and "\n1000 rows before it" in text
        box.put("bad.ndjson", '{"n":1}\n')
        box.wait_done("bad.ndjson")
        assert len(box.wait_rows(1001)) == 1001
        box.put("bad.ndjson", '{"Bad":1}\n')
        box.wait_done("bad.ndjson.1", "bad.ndjson.1.error", folder="failed")


@pytest.mark.parametrize("victim", ["host", "daemon", "both"])
def test_killed_amid_a_file_every_row_comes_once(victim):
    count, kills = 60000, 0
    rng = random.Random(victim)
    with Inbox() as box:
        box.put("big.ndjson", "".join(json.dumps({"n": n, "text": "x" * 400}) + "\n" for n in range(count)))
        box.put("next.csv", "n\n" + "".join(f"{n}\n" for n in range(count, count + 5000)))
        while kills < 5 and (box.folder / "next.csv").exists():
            base = box.puller()["rows"] if victim == "host" else 0
            wait_until(lambda r=base + rng.randrange(1, 4000): box.puller()["rows"] >= r or
                       not (box.folder / "next.csv").exists(), 30)
            if victim == "host":
                pid = box.puller()["pid"]
                if pid:
                    box.g.remember(pid)
                    os.kill(pid, signal.SIGKILL)
            else:
                box.g.kill9(hosts=victim == "both")
                box.g.start()
            kills += 1
        assert kills > 1, "it was over before anything was killed"
        box.wait_done("big.ndjson", "next.csv", timeout=60)
        box.wait_rows(count + 5000)
        assert sorted(r["data"]["n"] for r in box.rows()) == list(range(count + 5000))


def test_moved_only_when_durable_and_waits_for_room():
    """The journal is full while its only pusher is paused: the file stays, and goes on by itself."""
    env = {"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_JOURNAL_MAX_BYTES": "4MiB", "HEADGATE_JOURNAL_KEEP": "0"}
    with Inbox(env) as box:
        box.g.admin("POST", "/v1/pushers/file/pause")
        big = "".join(json.dumps({"n": n, "text": "y" * 1000}) + "\n" for n in range(8000))
        box.put("big.ndjson", big)
        wait_until(lambda: "no rows are taken" in box.puller()["error"], 30, lambda: box.puller())
        assert (box.folder / "big.ndjson").exists() and not (box.folder / "done/big.ndjson").exists()
        box.g.admin("POST", "/v1/pushers/file/resume")
        box.wait_done("big.ndjson", timeout=60)
        assert [r["data"]["n"] for r in box.wait_rows(8000)] == list(range(8000))


def test_remove_and_a_run_by_schedule():
    env = {"PLUGIN_DIRECTORY_AFTER": "remove", "PLUGIN_DIRECTORY_WATCH": "no", "PLUGIN_DIRECTORY_EVERY": "300ms",
           "PLUGIN_DIRECTORY_UUID": "mine"}
    with Inbox(env) as box:
        for n in range(3):
            box.put("same.ndjson", f'{{"n":{n}}}\n')
            wait_until(lambda: not (box.folder / "same.ndjson").exists(), 20)
        assert [(r["uuid"], r["data"]["n"]) for r in box.wait_rows(3)] == [("mine", 0), ("mine", 1), ("mine", 2)]
        wait_until(lambda: box.puller()["runs"] >= 3, 20)  # two files may be of one run
