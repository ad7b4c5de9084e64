"""The `s3` pusher and real servers (versitygw; MinIO with all servers): objects hold each row once, whatever is killed,
cut or lost."""
import csv
import gzip
import io
import json
import subprocess
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import FULL, Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server
from webhook import Webhook

SERVERS = ["versitygw"] + (["minio"] if FULL else [])


@pytest.fixture(scope="module", params=SERVERS)
def s3_server(request):
    with server(request.param)() as s:
        yield s


@pytest.fixture
def s3(s3_server):
    """With an empty bucket."""
    s3_server.empty()
    return s3_server


def options(s3, port=None, **more):
    return {"URL": f"http://127.0.0.1:{port or s3.port}", "BUCKET": "rows", "ACCESS_KEY": s3.access,
            "SECRET_KEY": s3.secret, **more}


def unpack(name, data):
    if name.endswith(".gz"):
        return gzip.decompress(data)
    if name.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def lines(s3):
    """Every row of every object."""
    found = []
    for name in s3.names():
        rows = [json.loads(x, parse_float=Decimal) for x in unpack(name, s3.get(name)).splitlines()]
        first, last, number, _ = name.rsplit("/", 1)[1].split(".ndjson")[0].split(".")
        assert (first, last, int(number)) == (rows[0]["id"], rows[-1]["id"], len(rows)), name
        found += rows
    return found


def arrived(s3):
    return [(r["uuid"], r["index"], r["data"]) for r in lines(s3)]


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_all_rows_arrive(s3, compress):
    sent = Sent()
    with gateway("s3", options(s3, COMPRESS=compress, PREFIX="all/%Y-%m-%d/")) as g:
        post(g, real_sets(count(100_000, 20_000)), sent)
        drained(g, "s3")
        assert not g.dead()
    compare(sent, arrived(s3))
    assert all(n.startswith("all/2") for n in s3.names())


ODD = {"big": 9223372036854775807, "small": -9223372036854775808, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"",
       "nothing": None, "yes": True, "list": [1, [2, {"a": None}]], "date": "2026-01-31", "empty": "", "comma": "a,b"}


def test_csv(s3):
    with gateway("s3", options(s3, FORM="csv", PREFIX="{line}/")) as g:
        body = json.loads(document("u", [{}, {"later": 7}]))
        body["tags"] = {"line": "L 1/\u00fc"}
        for b in (document("odd", [ODD, {"big": 1, "new": " x"}]), json.dumps(body).encode()):
            assert g.post(b).status == 202
            drained(g, "s3")
        assert not g.dead()
    names = s3.names()
    assert len(names) == 2 and any(n.startswith("L%201%2F%C3%BC/") for n in names), names
    text = s3.get(next(n for n in names if n.startswith("_/"))).decode()
    head, first, second = csv.reader(io.StringIO(text))
    assert head == ["_id", "_uuid", "_index", "_received", *ODD, "new"]
    row = dict(zip(head, first))
    assert row["_uuid"] == "odd" and row["_index"] == "0" and row["big"] == "9223372036854775807"
    assert row["decimal"] == "1.50" and row["text"] == ODD["text"] and row["nothing"] == "" and row["yes"] == "true"
    assert json.loads(row["list"]) == ODD["list"] and row["comma"] == "a,b" and ',"",' in text
    assert dict(zip(head, second))["new"] == " x" and dict(zip(head, second))["text"] == ""


def test_in_parts(s3):
    sent = Sent()
    more = {"BATCH_ROWS": 20000, "BATCH_BYTES": "64MiB", "PART_SIZE": "5MiB", "BATCH_WAIT": "5s"}
    with gateway("s3", options(s3, free_port(), **more)) as g:  # nobody is there: rows pile up
        post(g, real_sets(1600, change=lambda n, d: {**d, "pad": "x" * 12000}), sent)
        g.restart({"PLUGIN_S3_URL": options(s3)["URL"]})
        drained(g, "s3")
        sizes = [len(s3.get(n)) for n in s3.names()]
        assert max(sizes) > 5 << 20, sizes
        compare(sent, arrived(s3))
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket="rows")


def test_exactly_once_through_everything(s3):
    sent = Sent()
    with Proxy(s3.port, seed=3) as proxy, gateway("s3", options(s3, proxy.port, BATCH_ROWS=500, PARALLEL=2),
                                                  clean=False) as g:
        storm(g, "s3", real_sets(count(100_000, 20_000)), sent, proxy, s3)
        drained(g, "s3")
        assert not g.dead()
    compare(sent, arrived(s3))


def test_one_in_a_thousand_has_no_possible_name(s3):
    """A name of more than 1,024 bytes: two long tags."""
    total, sent, bad = count(100_000, 10_000), Sent(), 0
    with gateway("s3", options(s3, PREFIX="{first}/{second}/")) as g:
        for n, (uuid, datas) in enumerate(real_sets(total, 100)):
            body = json.loads(document(uuid, datas), parse_float=Decimal)
            text = document(uuid, datas)
            if n % 10 == 5:  # one row of its own set, beside the others
                bad += 1
                wrong = {"uuid": f"bad-{n}", "row": {"data": {"n": n}}, "tags": {"first": "/" * 200, "second": "/" * 250}}
                assert g.post(json.dumps(wrong).encode()).status == 202
            assert body["uuid"] == uuid and g.post(text).status == 202
            sent.add(uuid, datas)
        drained(g, "s3")
        dead = dead_letters(g, "s3", total // 1000)
        assert len(dead) == bad == total // 1000 and all("KeyTooLong" in d["reason"] for d in dead), dead[:1]
    compare(sent, arrived(s3))


@pytest.mark.parametrize("wrong,told", [({"SECRET_KEY": "wrong"}, "SignatureDoesNotMatch"),
                                        ({"BUCKET": "nobody-made-it"}, "NoSuchBucket")])
def test_not_now_is_never_a_dead_letter(s3, wrong, told):
    sent = Sent()
    with gateway("s3", options(s3, RETRY_MAX="50ms", **wrong)) as g:
        post(g, real_sets(200), sent)
        wait_until(lambda: told in json.dumps(g.pusher("s3")), 30, lambda: g.pusher("s3"))
        wait_until(lambda: g.metrics()['headgate_retries_total{pusher="s3"}'] > 20, 60, lambda: g.pusher("s3"))
        assert not g.dead() and not s3.names()
        g.restart({"PLUGIN_S3_" + k: v for k, v in options(s3).items()})
        drained(g, "s3")
    compare(sent, arrived(s3))


def test_virtual_host_style(s3):
    sent = Sent()
    with gateway("s3", options(s3, URL=f"http://localhost:{s3.port}", STYLE="virtual", PREFIX="a b/%Y/")) as g:
        post(g, real_sets(400), sent)
        drained(g, "s3")
        assert not g.dead()
    compare(sent, arrived(s3))
    code, text = probe("s3", **options(s3, URL=f"http://localhost:{s3.port}", STYLE="virtual"))
    assert code == 0, text


def test_what_virtual_host_style_sends():
    """The bucket stands in front of the server's name, also in what is signed: a server of ours looks."""
    with Webhook() as hook, gateway("s3", {"URL": f"http://localhost:{hook.port}", "BUCKET": "rows", "ACCESS_KEY": "k",
                                           "SECRET_KEY": "s", "STYLE": "virtual", "PREFIX": "a b/"}) as g:
        assert g.post(b'{"uuid":"u","row":{"data":{"a":1}}}').status == 202
        drained(g, "s3")
    [request] = hook.taken
    assert request.method == "PUT" and request.headers["host"] == f"rows.localhost:{hook.port}"
    assert request.path.startswith("/a%20b/0") and request.path.endswith(".ndjson")


def test_probe(s3):
    code, text = probe("s3", **options(s3))
    assert code == 0, text
    for wrong, told in (({"SECRET_KEY": "no"}, "SignatureDoesNotMatch"), ({"BUCKET": "not-there"}, "NoSuchBucket"),
                        ({"URL": f"http://127.0.0.1:{free_port()}"}, "connect")):
        code, text = probe("s3", **{**options(s3), **wrong})
        assert code != 0 and told in text, text
    assert not s3.names() and "Uploads" not in s3.client().list_multipart_uploads(Bucket="rows")
