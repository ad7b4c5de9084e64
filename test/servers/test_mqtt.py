"""The `mqtt` pusher and a real broker: every row arrives at least once, whatever is killed, cut or lost."""
import json
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from server_mosquitto import Listener
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server

BIG = 1_200_000


def options(port, **more):
    return {"HOST": "127.0.0.1", "PORT": port, "TOPIC": "open/rows", "USER": "hgtest", "PASSWORD": "hgtest-secret", **more}


def rows(listener, start=0):
    """[(uuid, index, data)] of messages with FORM=row, from the start-th on."""
    found = [json.loads(m.payload, parse_float=Decimal) for m in listener.messages[start:]]
    return [(r["uuid"], r["index"], r["data"]) for r in found]


def heard(listener, sent, once, timeout=300):
    """Until all that was sent has arrived; then it is what was sent."""
    found, keys = [], set()

    def all_there():
        new = rows(listener, len(found))
        found.extend(new)
        keys.update((uuid, index) for uuid, index, _ in new)
        return len(keys) >= len(sent.rows)
    wait_until(all_there, timeout, lambda: f"{len(sent.rows)} rows: {len(keys)} in {len(found)} messages")
    compare(sent, found, once=once)


@pytest.fixture(scope="module")
def broker():
    with server("mosquitto")() as s:
        yield s


@pytest.fixture
def listener(broker):
    with Listener(broker) as found:
        yield found


@pytest.mark.parametrize("qos,version", [(1, "5"), (2, "5"), (1, "3.1.1")])
def test_all_rows_arrive(broker, qos, version):
    sent = Sent()
    with Listener(broker, qos=0 if qos == 2 else 2) as listener, \
            gateway("mqtt", options(broker.port, QOS=qos, VERSION=version)) as g:
        post(g, real_sets(count(100_000, 10_000)), sent)
        drained(g, "mqtt")
        heard(listener, sent, once=True)
        assert not g.dead()
        last = {}
        for uuid, index, _ in rows(listener):
            assert last.get(uuid, -1) == index - 1, "the rows of a uuid come in their order"
            last[uuid] = index


ODD = {"big": 9223372036854775807, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"", "nothing": None, "yes": True,
       "nested": {"b": [1, {"c": "d"}]}, "empty": "", "long": "x" * 100_000}


@pytest.mark.parametrize("form", ["row", "data"])
def test_values_and_properties(broker, listener, form):
    with gateway("mqtt", options(broker.port, FORM=form, TOPIC="open/%Y/{uuid}")) as g:
        assert g.post(document("odd/\u00fc+#", [ODD])).status == 202
        drained(g, "mqtt")
    [message] = wait_until(lambda: listener.messages)
    year, _, uuid = message.topic.removeprefix("open/").partition("/")
    assert year.isdigit() and uuid == "odd%2F%C3%BC%2B%23"
    told = dict(message.properties.UserProperty)
    assert (told["uuid"], told["index"]) == ("odd/\u00fc+#", "0") and told["received"].startswith(year)
    value = json.loads(message.payload, parse_float=Decimal)
    if form == "row":
        assert value["id"] == told["id"]
        value = value["data"]
    assert value == ODD


def test_at_least_once_through_everything(broker, listener):
    """A broker that is killed loses what it acknowledged within a second, so it is only stopped."""
    class Stopped:
        @staticmethod
        def restart(kill=False):
            assert kill in (True, False)
            broker.restart()

    sent = Sent()
    with Proxy(broker.port, seed=7) as proxy, gateway("mqtt", options(proxy.port, BATCH_ROWS=500), clean=False) as g:
        storm(g, "mqtt", real_sets(count(100_000, 10_000)), sent, proxy, Stopped)
        drained(g, "mqtt")
        heard(listener, sent, once=False)
        assert not g.dead()


@pytest.mark.parametrize("limit,version,told", [
    ("max_packet_size 1000000", "5", "larger than the broker takes"),
    ("message_size_limit 1000000", "5", "Packet too large"),
    ("max_packet_size 1000000", "3.1.1", "larger than MESSAGE_MAX")])
def test_one_in_a_thousand_is_too_large(limit, version, told):
    sent, good, total = Sent(), Sent(), count(20_000, 3_000)

    def change(n, data):
        return {**data, "pad": "x" * BIG} if n % 1000 == 500 else data
    more = {"MESSAGE_MAX": "900KiB"} if version == "3.1.1" else {}
    with server("mosquitto")(limits=[limit]) as broker, Listener(broker) as listener, \
            gateway("mqtt", options(broker.port, VERSION=version, **more)) as g:
        post(g, real_sets(total, change=change), sent)
        dead = dead_letters(g, "mqtt", total // 1000)
        good.rows = {k: d for k, d in sent.rows.items() if "pad" not in d}
        heard(listener, good, once=True)
        assert len(dead) == total // 1000 and all(told in d["reason"] for d in dead), [d["reason"] for d in dead]


def tried_in_vain(g, broker, words, tries=20):
    """The broker has refused it so often."""
    wait_until(lambda: broker.log.read_text("utf-8", "replace").count(words) >= tries, 60,
               lambda: f"{g.pusher('mqtt')}\n{broker.tail()}")
    assert not g.dead()


def test_a_wrong_password_is_never_a_dead_letter():
    sent = Sent()
    with server("mosquitto")() as broker, Listener(broker) as listener, \
            gateway("mqtt", options(broker.port, PASSWORD="wrong")) as g:
        post(g, real_sets(200), sent)
        tried_in_vain(g, broker, "not authorised")
        wait_until(lambda: "authori" in json.dumps(g.pusher("mqtt")).lower(), what=lambda: g.pusher("mqtt"))
        g.restart({"PLUGIN_MQTT_PASSWORD": "hgtest-secret"})
        drained(g, "mqtt")
        heard(listener, sent, once=True)


def test_a_topic_without_the_right_holds_back_its_own_rows_only(broker, listener):
    with gateway("mqtt", options(broker.port, TOPIC="{place}/rows")) as g:
        for uuid, place in (("shut", "closed"), ("free", "open")):
            body = {"uuid": uuid, "tags": {"place": place}, "rows": [{"index": 0, "data": {"n": 1}}]}
            assert g.post(json.dumps(body).encode()).status == 202
        wait_until(lambda: rows(listener) == [("free", 0, {"n": 1})])
        wait_until(lambda: g.pusher("mqtt")["lag"]["rows"] == 1 and "uthori" in json.dumps(g.pusher("mqtt")),
                   what=lambda: g.pusher("mqtt"))
        assert not g.dead()
        rights = broker.dir / "rights"
        before = rights.read_text()
        try:
            rights.write_text(before.replace("topic write open/#", "topic write #"))
            broker.restart()
            drained(g, "mqtt")
            wait_until(lambda: ("shut", 0, {"n": 1}) in rows(listener))
        finally:
            rights.write_text(before)
            broker.restart()


def test_tls_and_probe(broker):
    sent = Sent()
    with server("mosquitto")(tls="IP:127.0.0.1") as safe, Listener(safe) as listener:
        with gateway("mqtt", options(safe.port, TLS="yes", CA=safe.cert, CLIENT_ID="mine")) as g:
            post(g, real_sets(2000), sent)
            drained(g, "mqtt")
            heard(listener, sent, once=True)
        assert probe("mqtt", **options(safe.port, TLS="yes", CA=safe.cert))[0] == 0
        code, text = probe("mqtt", **options(safe.port, TLS="yes"))
        assert code != 0 and "TLS" in text, text
    assert probe("mqtt", **options(broker.port))[0] == 0
    for wrong, told in ((options(free_port()), "refused"), (options(broker.port, PASSWORD="no"), "uthori"),
                        (options(broker.port, VERSION="3.1.1", PASSWORD="no"), "not authorised")):
        code, text = probe("mqtt", **wrong)
        assert code != 0 and told in text, text
