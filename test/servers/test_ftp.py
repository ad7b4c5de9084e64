"""The `ftp` pusher and real servers (pyftpdlib, OpenSSH): files hold each row once, whatever is killed, cut or lost."""
import csv
import gzip
import io
import json
import subprocess
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server


@pytest.fixture(scope="module", params=["pyftpd", "sshd"])
def far_server(request):
    with server(request.param)() as s:
        yield s


@pytest.fixture
def far(far_server):
    """With an empty folder."""
    far_server.empty()
    return far_server


def options(far, port=None, **more):
    return {"URL": far.url(port), **{k: str(v) for k, v in far.options().items()}, **more}


def unpack(name, data):
    if name.endswith(".gz"):
        return gzip.decompress(data)
    if name.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def arrived(far):
    """Every row of every file."""
    found = []
    for name in far.names():
        rows = [json.loads(x, parse_float=Decimal) for x in unpack(name, (far.files / name).read_bytes()).splitlines()]
        first, last, number, _ = name.rsplit("/", 1)[-1].rsplit(" ", 1)[-1].split(".ndjson")[0].split(".")
        assert (first, last, int(number)) == (rows[0]["id"], rows[-1]["id"], len(rows)), name
        found += rows
    return [(r["uuid"], r["index"], r["data"]) for r in found]


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_all_rows_arrive(far, compress):
    sent = Sent()
    with gateway("ftp", options(far, COMPRESS=compress, PREFIX="all/%Y-%m-%d/a 'b\" ")) as g:
        post(g, real_sets(count(100_000, 10_000)), sent)
        drained(g, "ftp")
        assert not g.dead()
    compare(sent, arrived(far))
    assert all(n.startswith("all/2") and "/a 'b\" 0" in n for n in far.names()), far.names()[:1]


@pytest.mark.parametrize("way", ["explicit", "implicit"])
def test_tls(way):
    kind = type("Secure", (server("pyftpd"),), {"way": way})
    sent = Sent()
    with kind(tls="IP:127.0.0.1") as far:
        with gateway("ftp", options(far)) as g:
            post(g, real_sets(400), sent)
            drained(g, "ftp")
        compare(sent, arrived(far))
        code, text = probe("ftp", **{k: v for k, v in options(far).items() if k != "CA"})
        assert code != 0 and "certificate" in text, text


def test_a_host_that_is_not_known():
    with server("sshd")() as far:
        (far.dir / "known").write_text((far.dir / "known").read_text().replace("127.0.0.1", "127.0.0.9"))
        code, text = probe("ftp", **options(far))
        assert code != 0 and "SSH remote key" in text, text
        assert probe("ftp", **options(far, VERIFY="no"))[0] == 0


def test_csv(far):
    with gateway("ftp", options(far, FORM="csv", PREFIX="{line}/")) as g:
        body = json.loads(document("u", [{"text": "\U0001f9ea,\"", "big": 9223372036854775807, "no": None}, {"later": 7}]))
        body["tags"] = {"line": "../L 1"}
        assert g.post(json.dumps(body).encode()).status == 202
        drained(g, "ftp")
        assert not g.dead()
    [name] = far.names()
    assert name.startswith("%2E%2E%2FL%201/") and name.endswith(".csv")
    head, first, second = csv.reader(io.StringIO((far.files / name).read_text()))
    assert head == ["_id", "_uuid", "_index", "_received", "text", "big", "no", "later"]
    assert first[4:] == ["\U0001f9ea,\"", "9223372036854775807", "", ""] and second[4:] == ["", "", "", "7"]


def test_exactly_once_through_everything(far):
    sent = Sent()
    with Proxy(far.port, seed=3) as proxy, gateway("ftp", options(far, proxy.port, BATCH_ROWS=500, PARALLEL=2),
                                                   clean=False) as g:
        storm(g, "ftp", real_sets(count(100_000, 10_000)), sent, proxy, far, rounds=count(2, 1), chance=0.02)
        drained(g, "ftp")
        assert not g.dead()
    compare(sent, arrived(far))


def test_one_in_a_thousand_has_no_possible_name(far):
    """Of more than 3,000 bytes: fourteen long tags."""
    total, sent, bad = count(100_000, 5_000), Sent(), 0
    tags = [f"t{n}" for n in range(14)]
    with gateway("ftp", options(far, PREFIX="".join(f"{{{t}}}/" for t in tags))) as g:
        for n, (uuid, datas) in enumerate(real_sets(total, 100)):
            if n % 10 == 5:
                bad += 1
                wrong = {"uuid": f"bad-{n}", "row": {"data": {"n": n}}, "tags": {t: "/" * 240 for t in tags}}
                assert g.post(json.dumps(wrong).encode()).status == 202
            assert g.post(document(uuid, datas)).status == 202
            sent.add(uuid, datas)
        drained(g, "ftp")
        dead = dead_letters(g, "ftp", total // 1000)
        assert len(dead) == bad == total // 1000 and all("3000 bytes" in d["reason"] for d in dead), dead[:1]
    compare(sent, arrived(far))


def test_not_now_is_never_a_dead_letter(far):
    wrong, told = far.wrong()
    sent = Sent()
    with gateway("ftp", options(far, RETRY_MAX="50ms", **{k: str(v) for k, v in wrong.items()})) as g:
        post(g, real_sets(200), sent)
        wait_until(lambda: told in json.dumps(g.pusher("ftp")), 30, lambda: g.pusher("ftp"))
        wait_until(lambda: g.metrics()['headgate_retries_total{pusher="ftp"}'] > 20, 120, lambda: g.pusher("ftp"))
        assert not g.dead() and not far.names()
        g.restart({"PLUGIN_FTP_" + k: v for k, v in options(far).items()})
        drained(g, "ftp")
    compare(sent, arrived(far))


def test_a_folder_without_the_right(far):
    (far.files / "shut").mkdir(mode=0o555)
    far.give(far.files / "shut")
    (far.files / "shut").chmod(0o555)
    sent = Sent()
    with gateway("ftp", options(far, PREFIX="shut/")) as g:
        post(g, real_sets(100), sent)
        wait_until(lambda: g.metrics().get('headgate_retries_total{pusher="ftp"}', 0) > 2, 60, lambda: g.pusher("ftp"))
        assert not g.dead() and not far.names()
        (far.files / "shut").chmod(0o755)
        drained(g, "ftp")
    compare(sent, arrived(far))


def test_probe(far):
    code, text = probe("ftp", **options(far))
    assert code == 0, text
    wrong, told = far.wrong()
    for other, words in ((wrong, told), ({"URL": far.url(free_port())}, "connect")):
        code, text = probe("ftp", **{**options(far), **other})
        assert code != 0 and words in text, text
    assert not [p for p in far.files.rglob("*") if p.is_file()]
