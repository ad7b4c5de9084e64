"""The `redis` pusher and a real Redis: what arrives is what was sent, each row once, whatever is killed, cut or lost."""
import json
from decimal import Decimal

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server

STREAM = {"USER": "hgtest", "PASSWORD": "hgtest-secret"}


@pytest.fixture(scope="module")
def redis_server():
    with server("redis")() as s:
        yield s


@pytest.fixture
def redis(redis_server):
    """Empty."""
    redis_server.client().flushall()
    client = redis_server.client()
    client.config_set("proto-max-bulk-len", 512 << 20)
    return redis_server


def options(port, **more):
    return {"HOST": "127.0.0.1", "PORT": port, **STREAM, **more}


def loads(text):
    return json.loads(text, parse_float=Decimal)


def entries(redis, key="rows"):
    """[(uuid, index, data)] of a stream."""
    return [(e["uuid"], int(e["index"]), loads(e["data"])) for _, e in redis.client().xrange(key)]


def test_all_rows_arrive(redis):
    sent = Sent()
    with gateway("redis", options(redis.port)) as g:
        post(g, real_sets(count(100_000, 20_000)), sent)
        drained(g, "redis")
        arrived = entries(redis)
        compare(sent, arrived)
        assert not g.dead()
    by_uuid = {}
    for uuid, index, _ in arrived:
        assert by_uuid.get(uuid, -1) == index - 1, "the rows of a uuid stand in their order"
        by_uuid[uuid] = index


ODD = {"big": 9223372036854775807, "small": -9223372036854775808, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n\"",
       "nothing": None, "yes": True, "list": [1, [2, {"a": None}]], "nested": {"b": {"c": "d"}}, "date": "2026-01-31",
       "empty": "", "long": "x" * 100_000}


@pytest.mark.parametrize("mode,form", [("stream", "json"), ("stream", "fields"), ("hash", "json"), ("hash", "fields"),
                                       ("list", "json"), ("publish", "json")])
def test_values_in_every_form(redis, mode, form):
    client = redis.client()
    heard = client.pubsub(ignore_subscribe_messages=True)
    heard.psubscribe("at:*")
    heard.get_message(timeout=5)
    with gateway("redis", options(redis.port, MODE=mode, FORM=form, KEY_NAME="at:{uuid}")) as g:
        assert g.post(document("odd/\u00fc", [ODD])).status == 202
        drained(g, "redis")
        assert not g.dead()
    key = "at:odd%2F%C3%BC"
    if mode == "publish":
        found = wait_until(lambda: heard.get_message(timeout=1), 10)
        assert found["channel"] == key
        row = loads(found["data"])
    elif mode == "list":
        row = loads(client.lindex(key, 0))
    else:
        row = client.xrange(key)[0][1] if mode == "stream" else client.hgetall(key)
    if form == "fields":
        assert (row.pop("_uuid"), row.pop("_index")) == ("odd/\u00fc", "0") and row.pop("_received") and row.pop("_id")
        assert {k: v if isinstance(ODD[k], str) else loads(v) for k, v in row.items()} == ODD
    else:
        assert (row["uuid"], int(row["index"])) == ("odd/\u00fc", 0) and row["id"] and row["received"]
        assert (row["data"] if isinstance(row["data"], dict) else loads(row["data"])) == ODD


def test_exactly_once_through_everything(redis):
    """Killed daemons and hosts, a server that is stopped and killed, connections cut and answers lost."""
    sent = Sent()
    with Proxy(redis.port, seed=7) as proxy, gateway("redis", options(proxy.port, BATCH_ROWS=500, PARALLEL=2),
                                                     clean=False) as g:
        storm(g, "redis", real_sets(count(100_000, 20_000)), sent, proxy, redis)
        drained(g, "redis")
        compare(sent, entries(redis))
        assert not g.dead()


def test_a_rest_longer_than_any_window(redis):
    """An answer is lost, the gateway rests; what it sends again is known, for ids have no time limit."""
    sent = Sent()
    with Proxy(redis.port) as proxy, gateway("redis", options(proxy.port, REMEMBER=1000)) as g:
        proxy.lose = 1.0
        post(g, real_sets(500), sent)
        wait_until(lambda: proxy.losses > 2, what="answers to be lost")
        assert g.term() == 0
        proxy.calm()
        assert all(redis.client().ttl(k) == -1 for k in redis.client().keys("headgate:*"))
        g.start()
        drained(g, "redis")
        compare(sent, entries(redis))


def test_the_last_ids_are_known_also_when_they_have_become_the_older_ones(redis):
    """Answers are lost just when the newer ids are full."""
    sent, number = Sent(), {}
    with Proxy(redis.port) as proxy, gateway("redis", options(proxy.port, REMEMBER=1000)) as g:
        post(g, real_sets(1000, 45), sent)
        drained(g, "redis")
        proxy.lose = 1.0
        post(g, real_sets(200, 45, name="later"), sent)
        wait_until(lambda: proxy.losses > 4, what="answers to be lost")
        proxy.calm()
        drained(g, "redis")
        compare(sent, entries(redis))
    for end in ("", ":before"):
        ids = redis.client().hgetall("headgate:redis:ids" + end)
        number[end] = int(ids.pop("-", 0))
        assert number[end] == sum(map(len, ids.values()))
    assert sum(number.values()) == len(sent.rows) and number[""] < number[":before"] > 1000


def test_one_in_a_thousand_is_too_large(redis):
    sent, total = Sent(), count(100_000, 10_000)
    redis.client().config_set("proto-max-bulk-len", 1 << 20)

    def change(n, data):
        return {**data, "pad": "x" * 1_200_000} if n % 1000 == 500 else data
    with gateway("redis", options(redis.port)) as g:
        post(g, real_sets(total, change=change), sent)
        drained(g, "redis")
        bad = {k for k, d in sent.rows.items() if len(d.get("pad", "")) > 1_000_000}
        good = Sent()
        good.rows = {k: d for k, d in sent.rows.items() if k not in bad}
        compare(good, entries(redis))
        dead = dead_letters(g, "redis", total // 1000)
        assert len(dead) == len(bad) == total // 1000
        assert all("invalid bulk length" in d["reason"] for d in dead), dead[:1]


def test_a_key_of_another_kind_holds_back_its_own_rows_only(redis):
    redis.client().set("rows:other", "text")
    with gateway("redis", options(redis.port, KEY_NAME="rows:{uuid}")) as g:
        for uuid in ("other", "fine", "other", "fine"):
            assert g.post(json.dumps({"uuid": uuid, "rows": [{"data": {"n": 1}}, {"data": {"n": 2}}]}).encode()).status == 202
        wait_until(lambda: redis.client().exists("rows:fine") and redis.client().xlen("rows:fine") == 4)
        wait_until(lambda: "WRONGTYPE" in json.dumps(g.pusher("redis")), what=lambda: g.pusher("redis"))
        redis.client().delete("rows:other")
        drained(g, "redis")
        assert [e["data"] for _, e in redis.client().xrange("rows:other")] == ['{"n": 1}', '{"n": 2}'] * 2
        assert not g.dead()


@pytest.mark.parametrize("wrong,told", [({"PASSWORD": "wrong"}, "WRONGPASS"), ({"DATABASE": "99"}, "DB index is out of range")])
def test_not_now_is_never_a_dead_letter(redis, wrong, told):
    sent = Sent()
    with gateway("redis", options(redis.port, **wrong)) as g:
        g.env["PLUGIN_REDIS_RETRY_MAX"] = "50ms"
        g.restart()
        post(g, real_sets(200), sent)
        tries = wait_until(lambda: g.pusher("redis").get("error") and sum(told in line for line in g.lines) or
                           told in json.dumps(g.pusher("redis")), what=lambda: g.pusher("redis"))
        assert tries
        before = redis.client().info("stats")["total_connections_received"]
        wait_until(lambda: redis.client().info("stats")["total_connections_received"] > before + 60, 60)
        assert not g.dead() and not entries(redis)
        g.restart({"PLUGIN_REDIS_" + k: v for k, v in {**STREAM, "DATABASE": "0"}.items()})
        drained(g, "redis")
        compare(sent, entries(redis))


@pytest.mark.parametrize("way", ["tls", "socket"])
def test_other_ways_in(redis, way):
    sent = Sent()
    by = {"tls": {"HOST": "localhost", "PORT": redis.tls_port, "TLS": "yes", "CA": redis.ca},
          "socket": {"SOCKET": redis.dir / "redis.sock"}}[way]
    with gateway("redis", {**STREAM, **by}) as g:
        post(g, real_sets(2000), sent)
        drained(g, "redis")
        compare(sent, entries(redis))


def test_probe(redis):
    code, text = probe("redis", **options(redis.port))
    assert code == 0, text
    for wrong, told in ((options(free_port()), "refused"), (options(redis.port, PASSWORD="no"), "WRONGPASS"),
                        ({"HOST": "localhost", "PORT": redis.tls_port, "TLS": "yes"}, "self-signed")):
        code, text = probe("redis", **wrong)
        assert code != 0 and told in text, text
    redis.client().acl_setuser("weak", enabled=True, passwords=["+weak"], keys=["other:*"], commands=["+@all"])
    code, text = probe("redis", **{**options(redis.port), "USER": "weak", "PASSWORD": "weak"})
    assert code != 0 and "NOPERM" in text, text


def test_a_server_without_memory_is_waited_for(redis):
    sent = Sent()
    client = redis.client()
    with gateway("redis", options(redis.port)) as g:
        client.config_set("maxmemory", 1)
        try:
            post(g, real_sets(400), sent)
            wait_until(lambda: "OOM" in json.dumps(g.pusher("redis")), what=lambda: g.pusher("redis"))
        finally:
            client.config_set("maxmemory", 0)
        drained(g, "redis")
        compare(sent, entries(redis))
        assert not g.dead()
