"""`headgate send`: rows from files, and the real rows of the issue through it and through POST."""
import json
import os

import pytest
from gateway import ROOT, Gateway, wait_until
from webhook import Webhook

DATA = ROOT / "examples/data"


def sent(g, text, *arguments, name="rows.ndjson", to=True):
    """Sends a file with this text; the CompletedProcess."""
    path = g.work / name
    path.write_text(text)
    return g.cli("send", *(["--to", g.address] if to else []), *arguments, path, admin=False)


# contract: send.ndjson send.to send.uuid send.order
def test_lines():
    with Gateway() as g:
        lines = "".join(json.dumps({"n": n, "text": f"ü{n}"}, ensure_ascii=False) + "\n" for n in range(2500))
        done = sent(g, lines, "--uuid", "mine")
        assert done.returncode == 0 and "mine" in done.stdout + done.stderr, done.stderr
        found = g.wait_rows(2500)
        assert [r["data"]["n"] for r in found] == list(range(2500)) and {r["uuid"] for r in found} == {"mine"}
        whole = "".join(json.dumps({"uuid": f"doc{n}", "row": {"index": n, "data": {"n": n}}}) + "\n" for n in range(3))
        assert sent(g, whole, name="whole.ndjson").returncode == 0
        found = g.wait_rows(2503)[2500:]
        assert [(r["uuid"], r["index"]) for r in found] == [("doc0", 0), ("doc1", 1), ("doc2", 2)]


# contract: send.json
def test_json():
    with Gateway() as g:
        assert sent(g, json.dumps({"uuid": "u", "rows": [{"data": {"a": 1}}, {"data": {"a": 2}}]}), name="a.json").returncode == 0
        assert [r["data"]["a"] for r in g.wait_rows(2)] == [1, 2]


# contract: send.csv send.csv.delimiter send.csv.decimal send.csv.types
def test_csv():
    with Gateway() as g:
        text = "Plate Name;Well-No;volume_ul\n\"a;b\";1;1,5\nc;2;\n"
        done = sent(g, text, "--delimiter", ";", "--decimal", ",", "--types", "wellNo=text,volumeUl=number", name="a.csv")
        assert done.returncode == 0, done.stderr
        first, second = (r["data"] for r in g.wait_rows(2))
        assert first == {"plateName": "a;b", "wellNo": "1", "volumeUl": 1.5}
        assert second["plateName"] == "c" and second.get("volumeUl") is None
        assert sent(g, "a\tb\n1\t2\n", name="b.tsv").returncode == 0
        assert g.wait_rows(3)[2]["data"] == {"a": 1, "b": 2}


# As spreadsheets and instruments write it. The puller `directory` has the same options: test_directory.py.
INSTRUMENT = ("Gerät;Plattenleser 7\r\nDatum;12.03.2026\r\n\r\n"
              "Nr;Probe;Größe µm;'Wert;neu'\r\n1;007;1,5;'a;''b'\r\n;\"x;-2;\r\n").encode("windows-1252")
AS_ROWS = [(1, {"probe": "007", "grosseUm": 1.5, "wertNeu": "a;'b"}), (None, {"probe": '"x', "grosseUm": -2, "wertNeu": None})]


def test_csv_of_an_instrument():
    with Gateway() as g:
        (g.work / "a.csv").write_bytes(INSTRUMENT)
        how = ["--delimiter", ";", "--decimal", ",", "--quotes", "single", "--encoding", "windows-1252", "--skip", "3",
               "--types", "*=text,Größe µm=number", "--index", "Nr", "--to", g.address]
        done = g.cli("send", *how, g.work / "a.csv", admin=False)
        assert done.returncode == 0, done.stderr
        assert [(r.get("index"), r["data"]) for r in g.wait_rows(2)] == AS_ROWS
        for wrong in (["--quotes", "both"], ["--encoding", "utf-16"], ["--skip", "-1"], ["--delimiter", "::"], ["--decimal", ";"],
                      ["--quotes", "none", "--decimal", ","], ["--quotes", "single", "--delimiter", "'"]):
            done = sent(g, "a\n1\n", *wrong, name="b.csv")
            assert done.returncode == 64 and done.stderr, wrong
        assert sent(g, '{"a":1}\n', "--skip", "1").returncode == 64


# contract: send.csv.collision exit.65
def test_two_names_that_become_one():
    with Gateway() as g:
        done = sent(g, "plate name,plate_name\n1,2\n", name="a.csv")
        assert done.returncode in (64, 65) and "plate" in done.stderr
        assert sent(g, "{not json\n").returncode == 65
        assert not g.file_rows()


# contract: send.stdin
def test_standard_input():
    with Gateway() as g:
        done = g.cli("send", "--to", g.address, stdin='{"a":1}\n{"a":2}\n', admin=False)
        assert done.returncode == 0, done.stderr
        assert [r["data"] for r in g.wait_rows(2)] == [{"a": 1}, {"a": 2}]


# contract: send.again send.warns
def test_again_does_not_double():
    with Gateway() as g:
        lines = "".join(json.dumps({"n": n}) + "\n" for n in range(1500))
        for _ in range(3):
            assert sent(g, lines).returncode == 0
        assert len(g.wait_rows(1500)) == 1500
        sent(g, '{"last":1}\n', name="last.ndjson")
        assert len(g.wait_rows(1501)) == 1501


# contract: send.retry
def test_through_a_restart():
    with Gateway() as g:
        import subprocess

        from gateway import BUILD
        port = g.address.rsplit(":", 1)[1]
        path = g.work / "many.ndjson"
        path.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(60000)))
        p = subprocess.Popen([BUILD / "headgate", "send", "--to", g.address, "--batch", "100", path],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        g.wait_rows(100)
        g.kill9()
        g.start({"HEADGATE_HTTP_LISTEN": f"127.0.0.1:{port}"})
        _, text = p.communicate(timeout=120)
        assert p.returncode == 0, text
        found = g.wait_rows(60000, timeout=40)
        assert [r["data"]["n"] for r in found] == list(range(60000))


# contract: send.progress
def test_progress_on_a_terminal():
    import pty
    import subprocess

    from gateway import BUILD
    with Gateway() as g:
        path = g.work / "many.ndjson"
        path.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(20000)))
        ours, theirs = pty.openpty()
        p = subprocess.Popen([BUILD / "headgate", "send", "--to", g.address, path], stdout=subprocess.DEVNULL,
                             stderr=theirs)
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(ours)
        assert p.wait(60) == 0 and b"\r" in seen and b"100" in seen


def data_lines(name):
    return [line for line in (DATA / name).read_bytes().split(b"\n") if line.strip()]


def data_of(line):
    """The bytes of a row's data in a line of the file pusher."""
    at = line.index(b'"data":') + len(b'"data":')
    return line[at:-1]


@pytest.mark.parametrize("name", ["movies.ndjson", "penguins.ndjson"])
@pytest.mark.parametrize("way", ["post", "send"])
def test_real_rows_byte_for_byte(name, way):
    lines = data_lines(name)
    with Webhook() as hook, Gateway({"PLUGIN_HTTP_URL": hook.url}) as g:
        if way == "send":
            done = g.cli("send", "--to", g.address, "--uuid", "real", DATA / name, admin=False)
            assert done.returncode == 0, done.stderr
        else:
            for at in range(0, len(lines), 400):
                body = b'{"uuid":"real","rows":[' + b",".join(b'{"data":' + x + b"}" for x in lines[at:at + 400]) + b"]}"
                assert g.post(body).status == 202
        wait_until(lambda: len(g.file_rows()) == len(lines), 30)
        written = [x for x in (g.out / "rows.ndjson").read_bytes().split(b"\n") if x]
        assert [data_of(x) for x in written] == [x.strip() for x in lines]
        documents = hook.wait_documents(len(lines), 30)
        assert [d["data"] for d in documents] == [json.loads(x) for x in lines]


def test_weather_as_csv():
    with Gateway() as g:
        done = g.cli("send", "--to", g.address, DATA / "seattle-weather.csv", admin=False)
        assert done.returncode == 0, done.stderr
        found = g.wait_rows(1461)
        assert len(found) == 1461 and set(found[0]["data"]) >= {"date", "precipitation", "weather"}
