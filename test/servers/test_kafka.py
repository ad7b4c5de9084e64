"""The `kafka` pusher and a real Kafka: who reads committed records reads each row once, whatever is killed, cut or lost."""
import contextlib
import itertools
import json
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import FULL, Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server

pytestmark = pytest.mark.skipif(
    not FULL, reason="not here: with `make test-servers`: OpenSearch is the one from Maven of `make test`")

names = (f"rows-{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def kafka():
    with server("kafka")() as s:
        yield s


@pytest.fixture
def topic(kafka):
    name = next(names)
    kafka.create(name)
    return name


def options(kafka, topic, port=None, **more):
    return {"BROKERS": f"127.0.0.1:{port or kafka.port}", "TOPIC": topic, **more}


def arrived(kafka, topic):
    found = []
    for m in kafka.messages(topic):
        headers = dict(m.headers())
        found.append((m.key().decode(), int(headers["index"]), json.loads(m.value(), parse_float=Decimal)))
    return found


def test_all_rows_arrive(kafka, topic):
    sent = Sent()
    with gateway("kafka", options(kafka, topic, BATCH_ROWS=5000, COMPRESS="lz4")) as g:
        post(g, real_sets(count(100_000, 20_000)), sent)
        drained(g, "kafka")
        assert not g.dead()
    found = arrived(kafka, topic)
    compare(sent, found)
    by_uuid = {}
    for uuid, index, _ in found:
        assert by_uuid.get(uuid, -1) == index - 1, "the rows of a uuid stand in their order"
        by_uuid[uuid] = index


def test_a_record(kafka, topic):
    odd = {"big": 9223372036854775807, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"", "nothing": None,
           "nested": {"b": [1, {"c": "d"}]}}
    with gateway("kafka", options(kafka, topic)) as g:
        batch = g.post(document("Plate/\u00fc", [odd])).json()["id"]
        drained(g, "kafka")
    [m] = kafka.messages(topic)
    headers = {k: v.decode() for k, v in m.headers()}
    assert m.key().decode() == "Plate/\u00fc" and json.loads(m.value(), parse_float=Decimal) == odd
    assert headers["id"] == f"{batch}-00000" and headers["index"] == "0" and headers["received"].endswith("Z")


def test_exactly_once_through_everything(kafka):
    """The broker tells clients to come through the proxy."""
    sent, name = Sent(), next(names)
    with Proxy(kafka.port, seed=9) as proxy:
        kafka.create(name)
        kafka.proxy_port = proxy.port
        kafka.restart()
        try:
            with gateway("kafka", options(kafka, name, proxy.port, BATCH_ROWS=1000, TIMEOUT="60s"), clean=False) as g:
                storm(g, "kafka", real_sets(count(100_000, 20_000)), sent, proxy, kafka, rounds=count(2, 1))
                drained(g, "kafka")
                assert not g.dead()
        finally:
            proxy.calm()
            kafka.proxy_port = None
            kafka.restart()
    compare(sent, arrived(kafka, name))


def test_one_in_a_thousand_is_too_large(kafka):
    total, sent, name = count(100_000, 10_000), Sent(), next(names)
    kafka.create(name, **{"max.message.bytes": "1000000"})

    def change(n, data):
        return {**data, "pad": "x" * 1_200_000} if n % 1000 == 500 else data
    with gateway("kafka", options(kafka, name)) as g:
        post(g, real_sets(total, change=change), sent)
        drained(g, "kafka")
        good = Sent()
        good.rows = {k: d for k, d in sent.rows.items() if len(d.get("pad", "")) < 1_000_000}
        dead = dead_letters(g, "kafka", total // 1000)
        assert len(dead) == total // 1000 == len(sent.rows) - len(good.rows)
        assert all("Message size too large" in d["reason"] for d in dead), dead[:1]
    compare(good, arrived(kafka, name))


def test_a_missing_topic_is_waited_for(kafka):
    sent, name = Sent(), next(names)
    with gateway("kafka", options(kafka, name, REQUEST_TIMEOUT="3s")) as g:
        post(g, real_sets(200), sent)
        wait_until(lambda: "nknown topic" in json.dumps(g.pusher("kafka")), 60, lambda: g.pusher("kafka"))
        assert not g.dead()
        kafka.create(name)
        drained(g, "kafka")
    compare(sent, arrived(kafka, name))


def test_a_password_that_is_refused_is_never_a_dead_letter(kafka, topic):
    """Through more than 20 tries. The broker knows no passwords: it closes the connection."""
    sent = Sent()
    wrong = {"SASL": "PLAIN", "USER": "hgtest", "PASSWORD": "wrong", "REQUEST_TIMEOUT": "1s"}
    with gateway("kafka", options(kafka, topic, **wrong)) as g:
        post(g, real_sets(200), sent)
        wait_until(lambda: g.metrics()['headgate_retries_total{pusher="kafka"}'] > 20, 300, lambda: g.pusher("kafka"))
        assert not g.dead()
        g.restart({"PLUGIN_KAFKA_SASL": None, "PLUGIN_KAFKA_USER": None, "PLUGIN_KAFKA_PASSWORD": None})
        drained(g, "kafka")
    compare(sent, arrived(kafka, topic))


def test_a_password():
    """A wrong one through more than 20 tries, then the right one, of a broker that knows passwords."""
    k, sent = server("kafka")(), Sent()
    k.password = "hgtest-secret"
    with k:
        k.create("rows")
        given = {"SASL": "PLAIN", "USER": "hgtest", "PASSWORD": "wrong", "REQUEST_TIMEOUT": "1s"}
        with gateway("kafka", options(k, "rows", **given)) as g:
            post(g, real_sets(200), sent)
            wait_until(lambda: g.metrics()['headgate_retries_total{pusher="kafka"}'] > 20, 300, lambda: g.pusher("kafka"))
            assert not g.dead() and "uthentication failed" in json.dumps(g.pusher("kafka")), g.pusher("kafka")
            g.restart({"PLUGIN_KAFKA_PASSWORD": k.password, "PLUGIN_KAFKA_REQUEST_TIMEOUT": "20s"})
            drained(g, "kafka")
            assert not g.dead()
        compare(sent, arrived(k, "rows"))


def test_a_commit_whose_answer_was_lost(kafka, topic):
    """Everything was committed; neither the gateway's process nor its cursor knows: the marker does."""
    sent = Sent()
    with gateway("kafka", options(kafka, topic, BATCH_ROWS=200, TRANSACTIONAL_ID="mine"), clean=False) as g:
        post(g, real_sets(200, name="first"), sent)
        drained(g, "kafka")
        for n in range(count(20, 6)):
            post(g, real_sets(400, name=f"again-{n}"), sent)
            g.kill9(hosts=True)
            g.start()
        drained(g, "kafka")
        assert not g.dead()
    compare(sent, arrived(kafka, topic))


# As soon as the broker may: what is committed for a group, and a producer's name.
FORGETS = {"offsets.retention.minutes": 1, "offsets.retention.check.interval.ms": 500, "transactional.id.expiration.ms": 30000,
           "transaction.remove.expired.transaction.cleanup.interval.ms": 500}
END_TXN = b"\0\x1a"


@contextlib.contextmanager
def open_transaction(kafka, topic):
    """Somebody else's, which holds up who reads committed records; nothing came of it in the end."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": f"127.0.0.1:{kafka.local}", "transactional.id": "other", "log_level": 0,
                         "transaction.timeout.ms": 600000})
    producer.init_transactions(60)
    producer.begin_transaction()
    for partition in range(3):
        producer.produce(topic, b"nobody sees it", partition=partition)
    producer.flush(60)
    yield
    producer.abort_transaction(60)


def test_once_when_the_broker_has_forgotten():
    """A batch was committed, the answer was lost, everything is killed, and headgate rests until the broker knows neither
    the marker nor the producer. What is in the topic can be seen only when another's transaction is over."""
    k, sent = server("kafka")(), Sent()
    k.more = FORGETS

    def lose_the_commit(piece):
        if piece[4:6] == END_TXN and piece[14:22] == b"headgate" and piece[-1:] == b"\1":
            proxy.lose = 1.0

    with k, Proxy(k.port) as proxy:
        k.create("rows")
        k.proxy_port = proxy.port
        k.restart()
        with gateway("kafka", options(k, "rows", proxy.port, TRANSACTIONAL_ID="mine"), clean=False) as g:
            post(g, real_sets(200, name="before"), sent)
            drained(g, "kafka")
            with open_transaction(k, "rows"):
                proxy.asked = lose_the_commit
                post(g, real_sets(400, name="doubt"), sent)
                wait_until(lambda: proxy.losses and k.transactions().get("mine", "CompleteCommit") == "CompleteCommit", 120,
                           lambda: (k.transactions(), g.pusher("kafka")))  # forgotten is only what is complete
                g.kill9(hosts=True)
                proxy.asked = lambda piece: None
                proxy.calm()
                wait_until(lambda: not k.remembers("mine", "rows") and "mine" not in k.transactions(), 180, k.transactions)
                g.start()
                wait_until(lambda: "partitions are not at their end" in json.dumps(g.pusher("kafka")), 60,
                           lambda: g.pusher("kafka"))
            drained(g, "kafka")
            assert g.pusher("kafka")["duplicate"] > 0 and not g.dead()
            wait_until(lambda: "mine" not in k.transactions(), 120, k.transactions)
            post(g, real_sets(200, name="after"), sent)
            drained(g, "kafka")
            assert not g.dead()
        compare(sent, arrived(k, "rows"))


def test_probe(kafka, topic):
    code, text = probe("kafka", **options(kafka, topic))
    assert code == 0, text
    code, text = probe("kafka", **options(kafka, "not-there"))
    assert code != 0 and "nknown topic" in text, text
    code, text = probe("kafka", **options(kafka, topic, free_port()), REQUEST_TIMEOUT="2s")
    assert code != 0 and "refused" in text, text
