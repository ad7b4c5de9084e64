"""The real rows of examples/data, through POST and through `headgate send`, and a million made ones over 64 connections:
they reach the `file` pusher and a web server complete, in order, each row's data byte for byte as sent."""
import csv
import io
import json
import threading

import pytest
from gateway import BUILD, ROOT, Gateway, connection, wait_until
from webhook import Webhook

DATA = ROOT / "examples/data"
MARK = b',"data":'  # the last key of a row, and the first place where it can stand: quotes in a uuid are escaped


def objects(name):
    """The data objects of a file of examples/data, as they are to arrive."""
    text = (DATA / name).read_bytes()
    if name.endswith(".ndjson"):
        return text.splitlines()
    head, *rest = csv.reader(io.StringIO(text.decode()))
    names = [w[0].lower() + w[1:] for w in ("".join(p.title() if n else p for n, p in enumerate(h.split("_"))) for h in head)]
    return [weather(names, line) for line in rest]


def weather(names, cells):
    """Dates and words are text; numbers keep their digits."""
    texts = {"date", "weather"}
    values = (json.dumps(c) if n in texts else c for n, c in zip(names, cells, strict=True))
    return ("{" + ",".join(f'"{n}":{v}' for n, v in zip(names, values)) + "}").encode()


def elements(body):
    """The texts of a JSON array's elements."""
    text, at, found, decoder = body.decode(), 1, [], json.JSONDecoder()
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return found


def rows_of(bodies, shape):
    return [x for b in bodies for x in (elements(b) if shape == "array" else b.splitlines())]


def data_of(line):
    return line[line.index(MARK) + len(MARK):-1]


def post_all(g, uuid, lines):
    for at in range(0, len(lines), 300):
        body = b'{"uuid":"%s","rows":[%s]}' % (uuid.encode(), b",".join(b'{"data":%s}' % x for x in lines[at:at + 300]))
        assert g.post(body).status == 202


def send_all(g, uuid, name):
    done = g.cli("send", "--to", g.address, "--uuid", uuid, DATA / name, admin=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shape", ["array", "ndjson"])
@pytest.mark.parametrize("way", ["post", "send"])
@pytest.mark.parametrize("name,count", [("movies.ndjson", 3201), ("penguins.ndjson", 344), ("seattle-weather.csv", 1461)])
def test_real_rows(name, count, way, shape):
    lines = objects(name)
    assert len(lines) == count
    with Webhook() as hook, Gateway({"PLUGIN_HTTP_URL": hook.url, "PLUGIN_HTTP_BODY": shape}) as g:
        if way == "post":
            post_all(g, "real", lines)
        else:
            send_all(g, "real", name)
        wait_until(lambda: len(g.file_rows()) >= count, 30, lambda: f"{len(g.file_rows())} rows in the file")
        written = (g.out / "rows.ndjson").read_bytes().splitlines()
        assert [data_of(x) for x in written] == lines
        hook.wait_documents(count, 30)
        sent = rows_of([r.body for r in hook.taken], shape)
        assert [data_of(x) for x in sent] == lines
        ids = [json.loads(x)["id"] for x in written]
        assert len(set(ids)) == count and ids == sorted(ids) == [json.loads(x)["id"] for x in sent]
        assert not g.dead()


# --- a million

CONNECTIONS, IN_ONE = 64, 125
TOTAL = 1_000_000 if BUILD.name not in ("asan", "tsan", "coverage") else 64_000
EACH = TOTAL // CONNECTIONS
ODD = ["1.50", "-0", "1e-7", "123456789012345678", '"\\u00fc\\n"', '"\u00fc,\\"data\\":"', "[1, 2]", '{"a":{}}', "null", "true"]


def made(c, n):
    """The data of row n of connection c: odd numbers, odd texts, odd spaces."""
    return f'{{"c":{c},"n" : {n},"odd":{ODD[(c + n) % len(ODD)]},"pad":"{"x" * (n % 60)}" }}'.encode()


def client(address, c, faults):
    try:
        http = connection(address, 120)
        for at in range(0, EACH, IN_ONE):
            rows = b",".join(b'{"index":%d,"data":%s}' % (n % 96, made(c, n)) for n in range(at, at + IN_ONE))
            http.request("POST", "/v1/rows", b'{"uuid":"c%d","rows":[%s]}' % (c, rows), {"Content-Type": "application/json"})
            answer = http.getresponse()
            text = answer.read()
            assert answer.status == 202, text
        http.close()
    except Exception as error:  # told by the main thread
        faults.append(f"connection {c}: {error!r}")


class Checker:
    """Takes lines as they arrive; every uuid's rows must come one after the other, from the first on."""

    def __init__(self, who):
        self.who, self.at, self.rest, self.count, self.fault = who, [0] * CONNECTIONS, b"", 0, None
        self.ids = set()

    def take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if self.fault is None:
                self.take_line(line)

    def take_line(self, line):
        uuid = line.index(b'"uuid":"c') + len(b'"uuid":"c')
        c = int(line[uuid:line.index(b'"', uuid)])
        n = self.at[c]
        if data_of(line) != made(c, n):
            self.fault = f"{self.who}: instead of row {n} of c{c}: {line!r}"
        self.ids.add(line[7:line.index(b'"', 7)])
        self.at[c] += 1
        self.count += 1

    def verdict(self):
        assert self.fault is None, self.fault
        assert self.rest == b"" and self.at == [EACH] * CONNECTIONS, f"{self.who}: {self.count} of {TOTAL}, {self.at}"
        assert len(self.ids) == TOTAL, f"{self.who}: {TOTAL - len(self.ids)} ids twice"


def test_a_million_rows_over_64_connections():
    far = Checker("http")

    def answer(request):
        far.take(request.body)  # one worker, one connection: one request at a time
        return 200

    env = {"PLUGIN_HTTP_BODY": "ndjson", "PLUGIN_HTTP_BATCH_ROWS": "10000", "PLUGIN_HTTP_BATCH_BYTES": "4MiB",
           "PLUGIN_HTTP_TIMEOUT": "300s", "PLUGIN_HTTP_REQUEST_TIMEOUT": "290s", "HEADGATE_JOURNAL_SEGMENT": "64MiB"}
    with Webhook(answer, keep=False) as hook, Gateway({**env, "PLUGIN_HTTP_URL": hook.url}) as g:
        faults = []
        clients = [threading.Thread(target=client, args=(g.address, c, faults)) for c in range(CONNECTIONS)]
        for t in clients:
            t.start()
        for t in clients:
            t.join()
        assert not faults, faults[:3]
        near = Checker("file")
        with open(g.out / "rows.ndjson", "rb") as f:
            def all_there():
                near.take(f.read(1 << 24))
                return near.count >= TOTAL or near.fault
            wait_until(all_there, 120, lambda: f"{near.count} rows in the file")
            wait_until(lambda: far.count >= TOTAL or far.fault, 240, lambda: f"{far.count} rows at the web server")
            near.take(f.read())
        near.verdict()
        far.verdict()
        assert g.metrics()["headgate_rows_received_total"] == TOTAL and not g.dead()
