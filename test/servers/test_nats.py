"""The `nats` pusher and a real JetStream: each row once within the stream's duplicate window, at least once beyond it."""
import json
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from server_nats import Client
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server

BIG = 600_000


def options(port, **more):
    return {"HOST": "127.0.0.1", "PORT": port, "SUBJECT": "rows.all", "USER": "hgtest", "PASSWORD": "hgtest-secret", **more}


@pytest.fixture(scope="module")
def standing():
    with server("nats")() as s:
        yield s


@pytest.fixture
def nats(standing):
    """With an empty stream."""
    with Client(standing) as client:
        client.stream()
    return standing


def loads(data):
    return json.loads(data, parse_float=Decimal)


def rows(nats):
    """[(uuid, index, data)] of the stream, with FORM=row. The id of a message is the row's."""
    with Client(nats) as client:
        found = client.all()
    values = [loads(data) for _, _, data in found]
    assert [v["id"] for v in values] == [headers["Nats-Msg-Id"] for _, headers, _ in found]
    return [(v["uuid"], v["index"], v["data"]) for v in values]


def test_all_rows_arrive(nats):
    sent = Sent()
    with gateway("nats", options(nats.port)) as g:
        post(g, real_sets(count(100_000, 10_000)), sent)
        drained(g, "nats")
        assert not g.dead()
    arrived = rows(nats)
    compare(sent, arrived)
    last = {}
    for uuid, index, _ in arrived:
        assert last.get(uuid, -1) == index - 1, "the rows of a uuid stand in their order"
        last[uuid] = index


ODD = {"big": 9223372036854775807, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"", "nothing": None, "yes": True,
       "nested": {"b": [1, {"c": "d"}]}, "empty": "", "long": "x" * 100_000}


@pytest.mark.parametrize("form", ["row", "data"])
def test_values_in_both_forms(nats, form):
    with gateway("nats", options(nats.port, FORM=form, SUBJECT="rows.%Y.{uuid}", STREAM="ROWS")) as g:
        assert g.post(document("odd/\u00fc.*", [ODD])).status == 202
        drained(g, "nats")
    with Client(nats) as client:
        [(_, headers, data)] = client.all()
        info = client.ask("$JS.API.STREAM.INFO.ROWS", {"subjects_filter": ">"})
    [subject] = info["state"]["subjects"]
    assert subject.startswith("rows.20") and subject.endswith(".odd%2F%C3%BC%2E%2A"), subject
    value = loads(data)
    if form == "row":
        assert value["id"] == headers["Nats-Msg-Id"]
        value = value["data"]
    assert value == ODD


def test_once_through_everything(nats):
    sent = Sent()
    with Proxy(nats.port, seed=7) as proxy, \
            gateway("nats", options(proxy.port, BATCH_ROWS=500, PARALLEL=2), clean=False) as g:
        storm(g, "nats", real_sets(count(100_000, 10_000)), sent, proxy, nats)
        drained(g, "nats")
        compare(sent, rows(nats))
        assert not g.dead()


def test_at_least_once_beyond_the_window(nats):
    """The stream forgets ids soon; acknowledgements are lost; the gateway rests for longer."""
    sent = Sent()
    with Client(nats) as client:
        client.stream(window=0.1)
    with Proxy(nats.port) as proxy, gateway("nats", options(proxy.port)) as g:
        g.env["PLUGIN_NATS_REQUEST_TIMEOUT"] = "500ms"
        g.restart()
        post(g, real_sets(400), sent)
        drained(g, "nats")
        before = len(rows(nats))
        proxy.hole = True
        post(g, real_sets(200, name="more"), sent)
        wait_until(lambda: "acknowledgement" in json.dumps(g.pusher("nats")), what=lambda: g.pusher("nats"))
        proxy.close_all()
        proxy.calm()
        drained(g, "nats")
        assert len(rows(nats)) >= before + 200
        compare(sent, rows(nats), once=False)


@pytest.mark.parametrize("by,told", [("server", "max_payload"), ("stream", "message size exceeds maximum allowed")])
def test_one_in_a_thousand_is_too_large(by, told):
    sent, good, total = Sent(), Sent(), count(20_000, 3_000)

    def change(n, data):
        return {**data, "pad": "x" * BIG} if n % 1000 == 500 else data
    with server("nats")(limits=["max_payload: 500000"] if by == "server" else []) as nats:
        with Client(nats) as client:
            client.stream(**({"max_msg_size": 500_000} if by == "stream" else {}))
        with gateway("nats", options(nats.port)) as g:
            post(g, real_sets(total, change=change), sent)
            dead = dead_letters(g, "nats", total // 1000)
            good.rows = {k: d for k, d in sent.rows.items() if "pad" not in d}
            compare(good, rows(nats))
            assert len(dead) == total // 1000 and all(told in d["reason"] for d in dead), [d["reason"] for d in dead]


def test_a_wrong_password_is_never_a_dead_letter(nats):
    sent = Sent()
    with gateway("nats", options(nats.port, PASSWORD="wrong")) as g:
        before = nats.log.read_text().count("authentication error")
        post(g, real_sets(200), sent)
        wait_until(lambda: nats.log.read_text().count("authentication error") >= before + 20, 60,
                   lambda: f"{g.pusher('nats')}\n{nats.tail()}")
        assert "uthorization" in json.dumps(g.pusher("nats")), g.pusher("nats")
        assert not g.dead() and not rows(nats)
        g.restart({"PLUGIN_NATS_PASSWORD": "hgtest-secret"})
        drained(g, "nats")
        compare(sent, rows(nats))


@pytest.mark.parametrize("what,told", [({"SUBJECT": "rows.all"}, "no stream takes this subject"),
                                       ({"SUBJECT": "rows.all", "STREAM": "OTHER"}, "expected stream does not match"),
                                       ({"SUBJECT": "closed.all"}, "ermissions")])
def test_not_now(nats, what, told):
    """No stream, another one, no right: rows wait."""
    sent = Sent()
    with Client(nats) as client:
        if "STREAM" not in what:
            client.ask("$JS.API.STREAM.DELETE.ROWS")
        with gateway("nats", options(nats.port, **what)) as g:
            post(g, real_sets(200), sent)
            wait_until(lambda: told in json.dumps(g.pusher("nats")) or any(told in line for line in g.lines),
                       what=lambda: g.pusher("nats"))
            assert not g.dead()
            client.stream("OTHER" if "STREAM" in what else "ROWS", "other.>" if "STREAM" in what else "rows.>")
            g.restart({"PLUGIN_NATS_SUBJECT": "rows.all", "PLUGIN_NATS_STREAM": "ROWS"})
            drained(g, "nats")
            assert not g.dead()
    compare(sent, rows(nats))


def test_tls_and_probe(nats):
    sent = Sent()
    with server("nats")(tls="IP:127.0.0.1") as safe:
        with Client(safe) as client:
            client.stream()
        with gateway("nats", options(safe.port, TLS="yes", CA=safe.cert)) as g:
            post(g, real_sets(2000), sent)
            drained(g, "nats")
            compare(sent, rows(safe))
        assert probe("nats", **options(safe.port, TLS="yes", CA=safe.cert))[0] == 0
        code, text = probe("nats", **options(safe.port, TLS="yes"))
        assert code != 0 and "certificate" in text, text
    with server("nats")(tls="DNS:elsewhere") as safe_elsewhere:
        code, text = probe("nats", **options(safe_elsewhere.port, TLS="yes", CA=safe_elsewhere.cert))
        assert code != 0, text
    code, text = probe("nats", **options(nats.port))
    assert code == 0, text
    for wrong, told in ((options(free_port()), "127.0.0.1"), (options(nats.port, PASSWORD="no"), "uthorization")):
        code, text = probe("nats", **wrong)
        assert code != 0 and told in text, text
