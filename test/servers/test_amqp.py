"""The `amqp` pusher and a real RabbitMQ: every row arrives at least once, whatever is killed, cut, lost or full."""
import json
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server

BIG = 600_000


def options(port, **more):
    return {"HOST": "127.0.0.1", "PORT": port, "ROUTING_KEY": "rows", "USER": "hgtest", "PASSWORD": "hgtest-secret", **more}


@pytest.fixture(scope="module")
def standing():
    with server("rabbitmq")(tls="IP:127.0.0.1") as s:
        yield s


@pytest.fixture
def broker(standing):
    """With an empty queue."""
    with standing.channel() as c:
        c.queue()
    return standing


def loads(data):
    return json.loads(data, parse_float=Decimal)


def rows(broker):
    """[(uuid, index, data)] of the queue, which is empty then. The id of a message is the row's."""
    with broker.channel() as c:
        found = c.take()
    values = [loads(body) for _, _, body in found]
    for (_, properties, _), v in zip(found, values, strict=True):
        assert properties.message_id == v["id"] and properties.delivery_mode == 2
    return [(v["uuid"], v["index"], v["data"]) for v in values]


def told(g, words):
    return wait_until(lambda: words in json.dumps(g.pusher("amqp")) or any(words in line for line in g.lines), 60,
                      lambda: g.pusher("amqp"))


def test_all_rows_arrive(broker):
    sent = Sent()
    with gateway("amqp", options(broker.port)) as g:
        post(g, real_sets(count(100_000, 10_000)), sent)
        drained(g, "amqp")
        assert not g.dead()
    arrived = rows(broker)
    compare(sent, arrived)
    last = {}
    for uuid, index, _ in arrived:
        assert last.get(uuid, -1) == index - 1, "the rows of a uuid stand in their order"
        last[uuid] = index


ODD = {"big": 9223372036854775807, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"", "nothing": None, "yes": True,
       "nested": {"b": [1, {"c": "d"}]}, "empty": "", "long": "x" * 300_000}


@pytest.mark.parametrize("form", ["row", "data"])
def test_values_and_properties(broker, form):
    with broker.channel() as c:
        c.amqp.exchange_declare("lab", "topic", durable=True)
        c.amqp.queue_bind("rows", "lab", "line.*.#")
        with gateway("amqp", options(broker.port, FORM=form, EXCHANGE="lab", ROUTING_KEY="line.%Y.{uuid}")) as g:
            assert g.post(document("odd/\u00fc.*", [ODD])).status == 202
            drained(g, "amqp")
        [(delivery, properties, body)] = c.take()
    assert delivery.exchange == "lab" and delivery.routing_key.startswith("line.20")
    assert delivery.routing_key.endswith(".odd%2F%C3%BC%2E%2A")
    assert properties.headers == {"uuid": "odd/\u00fc.*", "index": 0} and properties.content_type == "application/json"
    value = loads(body)
    if form == "row":
        assert value["id"] == properties.message_id
        value = value["data"]
    assert value == ODD


def test_at_least_once_through_everything(broker):
    sent = Sent()
    with Proxy(broker.port, seed=7) as proxy, \
            gateway("amqp", options(proxy.port, BATCH_ROWS=500, PARALLEL=2), clean=False) as g:
        storm(g, "amqp", real_sets(count(100_000, 10_000)), sent, proxy, broker, rounds=count(2, 1))
        drained(g, "amqp")
        compare(sent, rows(broker), once=False)
        assert not g.dead()


def test_one_in_a_thousand_is_too_large(broker):
    sent, good, total = Sent(), Sent(), count(20_000, 3_000)

    def change(n, data):
        return {**data, "pad": "x" * BIG} if n % 1000 == 500 else data
    with gateway("amqp", options(broker.port)) as g:
        post(g, real_sets(total, change=change), sent)
        dead = dead_letters(g, "amqp", total // 1000)
        good.rows = {k: d for k, d in sent.rows.items() if "pad" not in d}
        compare(good, rows(broker), once=False)  # what was on the way when the channel was closed goes out again
        assert len(dead) == total // 1000 and all("larger than configured max size" in d["reason"] for d in dead), dead[:2]


def test_a_wrong_password_is_never_a_dead_letter(broker):
    sent = Sent()
    with gateway("amqp", options(broker.port, PASSWORD="wrong")) as g:
        before = broker.log.read_text("utf-8", "replace").count("invalid credentials")
        post(g, real_sets(200), sent)
        wait_until(lambda: broker.log.read_text("utf-8", "replace").count("invalid credentials") >= before + 20, 120,
                   lambda: f"{g.pusher('amqp')}\n{broker.tail()}")
        told(g, "ACCESS_REFUSED")
        assert not g.dead() and not rows(broker)
        g.restart({"PLUGIN_AMQP_PASSWORD": "hgtest-secret"})
        drained(g, "amqp")
        compare(sent, rows(broker))


def test_no_queue_no_exchange(broker):
    """Rows wait; those that have a queue go on."""
    with gateway("amqp", options(broker.port, ROUTING_KEY="{to}")) as g:
        for uuid, to in (("lost", "nowhere"), ("found", "rows")):
            body = {"uuid": uuid, "tags": {"to": to}, "rows": [{"index": 0, "data": {"n": 1}}]}
            assert g.post(json.dumps(body).encode()).status == 202
        told(g, "NO_ROUTE")
        wait_until(lambda: g.pusher("amqp")["lag"]["rows"] == 1, what=lambda: g.pusher("amqp"))
        assert rows(broker) == [("found", 0, {"n": 1})] and not g.dead()
        g.restart({"PLUGIN_AMQP_EXCHANGE": "none"})
        told(g, "no exchange 'none'")
        assert not g.dead()
        g.restart({"PLUGIN_AMQP_EXCHANGE": "", "PLUGIN_AMQP_ROUTING_KEY": "rows"})
        drained(g, "amqp")
        assert rows(broker) == [("lost", 0, {"n": 1})] and not g.dead()


def test_a_full_queue_and_a_broker_without_memory(broker):
    sent = Sent()
    with broker.channel() as c:
        c.queue(**{"x-max-length": 10, "x-overflow": "reject-publish"})
        with gateway("amqp", options(broker.port, REQUEST_TIMEOUT="2s")) as g:
            post(g, real_sets(200), sent)
            told(g, "nack")
            assert not g.dead()
        c.queue()
        sent = Sent()
        broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            with gateway("amqp", options(broker.port, REQUEST_TIMEOUT="2s")) as g:
                post(g, real_sets(5000), sent)
                told(g, "takes nothing for now: low on memory")
                assert "low on memory" in asked(g)["text"] and not g.dead()
                broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
                drained(g, "amqp")
                assert not g.dead()
        finally:
            broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    compare(sent, rows(broker), once=False)


def asked(g):
    """What the probe of a pusher that runs says."""
    return g.admin("POST", "/v1/pushers/amqp/probe").json()


def test_probe_of_a_pusher_that_has_a_connection(broker):
    """It is idle, and the broker has gone."""
    with gateway("amqp", options(broker.port)) as g:
        post(g, real_sets(200), Sent())
        drained(g, "amqp")
        assert asked(g)["reachable"]
        try:
            broker.stop()
            answer = asked(g)
            assert not answer["reachable"] and answer["text"], answer
        finally:
            broker.start()
        assert asked(g)["reachable"]


def test_tls_and_probe(broker):
    sent, safe = Sent(), {"TLS": "yes", "CA": broker.cert}
    with gateway("amqp", options(broker.tls_port, **safe)) as g:
        post(g, real_sets(2000), sent)
        drained(g, "amqp")
        compare(sent, rows(broker))
    assert probe("amqp", **options(broker.tls_port, **safe))[0] == 0
    assert probe("amqp", **options(broker.port))[0] == 0
    code, text = probe("amqp", **{**options(broker.tls_port, **safe), "HOST": "localhost"})
    assert code != 0 and "cert verification failed" in text, text  # it is the address's alone
    for wrong, words in ((options(broker.tls_port, TLS="yes"), "cert verification failed"), (options(free_port()), ""),
                         (options(broker.tls_port, **safe, VHOST="none"), "vhost none not found"),
                         (options(broker.port, PASSWORD="no"), "ACCESS_REFUSED"),
                         (options(broker.port, EXCHANGE="none"), "no exchange 'none'")):
        code, text = probe("amqp", **wrong)
        assert code != 0 and words in text, text
