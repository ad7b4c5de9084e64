"""The `elasticsearch` pusher and a real OpenSearch (and, with all servers, Elasticsearch 7 and 8): each row is a document,
once, whatever is killed, cut or lost."""
import json

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import FULL, Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import client_certificate, free_port, server
from webhook import Webhook

# Real rows have texts where others have numbers: only what the tests ask for is indexed.
LOOSE = {"properties": {"id": {"type": "keyword"}, "uuid": {"type": "keyword"}, "index": {"type": "long"},
                        "received": {"type": "date_nanos"}, "data": {"type": "object", "enabled": False}}}
STRICT = {"dynamic": "strict",
          "properties": {**LOOSE["properties"],
                         "data": {"properties": {"n": {"type": "long"}, "when": {"type": "date"}, "word": {"type": "keyword"}}}}}
SERVERS = ["opensearch"] + (["elasticsearch7", "elasticsearch8"] if FULL else [])


@pytest.fixture(scope="module", params=SERVERS)
def elastic_server(request):
    with server(request.param)() as s:
        yield s


@pytest.fixture
def elastic(elastic_server):
    """Empty."""
    elastic_server.ask("DELETE", "/rows*,at-*?expand_wildcards=all")
    elastic_server.ask("DELETE", "/_index_template/headgate-*")
    return elastic_server


@pytest.fixture
def loose(tmp_path):
    return mapping(tmp_path, LOOSE)


def mapping(folder, what):
    path = folder / "mapping.json"
    path.write_text(json.dumps(what))
    return path


def options(port, **more):
    return {"URL": f"http://127.0.0.1:{port}", **more}


def arrived(elastic, index="rows"):
    found = elastic.documents(index)
    assert all(i == d["id"] for i, _, d in found)
    return [(d["uuid"], d["index"], d["data"]) for _, _, d in found]


def test_all_rows_arrive(elastic, loose):
    sent = Sent()
    with gateway("elasticsearch", options(elastic.port, MAPPING=loose, COMPRESS="gzip")) as g:
        post(g, real_sets(count(100_000, 20_000)), sent)
        drained(g, "elasticsearch")
        assert not g.dead()
    compare(sent, arrived(elastic))


def test_names_and_values(elastic):
    odd = {"big": 9223372036854775807, "small": -9223372036854775808, "half": 0.5, "text": "\U0001f9ea \u00fc\n\"",
           "nothing": None, "yes": True, "list": [1, 2], "nested": {"b": {"c": "d"}}, "date": "2026-01-31", "empty": ""}
    body = json.loads(document("Plate/\u00fc", [odd]))
    body["tags"] = {"line": "L 1"}
    with gateway("elasticsearch", options(elastic.port, INDEX="at-%Y-{line}-{uuid}")) as g:
        assert g.post(json.dumps(body).encode()).status == 202
        drained(g, "elasticsearch")
        assert not g.dead()
    [(_, index, found)] = elastic.documents("at-*")
    year = found["received"][:4]
    assert index == f"at-{year}-l%201-plate%2f%c3%bc"
    assert found["data"] == odd and found["uuid"] == "Plate/\u00fc"


def test_exactly_once_through_everything(elastic, loose):
    sent = Sent()
    with Proxy(elastic.port, seed=5) as proxy, gateway(
            "elasticsearch", options(proxy.port, MAPPING=loose, BATCH_ROWS=500, PARALLEL=2), clean=False) as g:
        storm(g, "elasticsearch", real_sets(count(100_000, 12_000)), sent, proxy, elastic, rounds=count(2, 1))
        drained(g, "elasticsearch")
        assert not g.dead()
    compare(sent, arrived(elastic))


def test_one_in_a_thousand_does_not_fit_the_mapping(elastic, tmp_path):
    total = count(100_000, 10_000)
    bad = [{"n": "many"}, {"when": "yesterday"}, {"stranger": 1}]

    def change(n, data):
        return {"n": n, "word": "w", **(bad[n // 1000 % 3] if n % 1000 == 500 else {})}
    sent = Sent()
    with gateway("elasticsearch", options(elastic.port, MAPPING=mapping(tmp_path, STRICT))) as g:
        post(g, real_sets(total, change=change), sent)
        drained(g, "elasticsearch")
        good = Sent()
        good.rows = {k: d for k, d in sent.rows.items() if set(d) == {"n", "word"} and d["n"] != "many"}
        assert len(good.rows) == total - total // 1000
        compare(good, arrived(elastic))
        dead = dead_letters(g, "elasticsearch", total // 1000)
        assert len(dead) == total // 1000
        assert all("parsing_exception" in d["reason"] or "strict_dynamic_mapping" in d["reason"] for d in dead), dead
        assert any("many" in d["reason"] for d in dead) and any("stranger" in d["reason"] for d in dead)


def test_a_mapping_is_made_once(elastic, tmp_path):
    """An operator's later change of the index template stays."""
    with gateway("elasticsearch", options(elastic.port, MAPPING=mapping(tmp_path, STRICT), INDEX="rows-%Y-{line}")) as g:
        wait_until(lambda: elastic.ask("GET", "/_index_template/headgate-elasticsearch")[0] == 200)
        found = elastic.ask("GET", "/_index_template/headgate-elasticsearch")[1]["index_templates"][0]["index_template"]
        assert found["index_patterns"] == ["rows-*-*"] and found["template"]["mappings"]["dynamic"] == "strict"
        elastic.ask("PUT", "/_index_template/headgate-elasticsearch", {"index_patterns": ["rows-*"]})
        g.restart()
        g.wait_state("elasticsearch", "running")
        found = elastic.ask("GET", "/_index_template/headgate-elasticsearch")[1]["index_templates"][0]["index_template"]
        assert found["index_patterns"] == ["rows-*"]


def test_a_closed_or_blocked_index_is_waited_for(elastic):
    """Its rows wait, those of other indexes go on, and nothing is a dead letter."""
    with gateway("elasticsearch", options(elastic.port, INDEX="rows-{uuid}")) as g:
        for name in ("shut", "blocked"):
            assert elastic.ask("PUT", f"/rows-{name}")[0] == 200
        assert elastic.ask("POST", "/rows-shut/_close")[0] == 200
        assert elastic.ask("PUT", "/rows-blocked/_settings", {"index.blocks.write": True})[0] == 200
        for name in ("shut", "blocked", "fine") * 2:
            assert g.post(json.dumps({"uuid": name, "rows": [{"data": {"n": 1}}]}).encode()).status == 202
        wait_until(lambda: elastic.ask("POST", "/rows-fine/_refresh")[0] == 200 and
                   elastic.ask("GET", "/rows-fine/_count")[1].get("count") == 2, 60, lambda: g.pusher("elasticsearch"))
        assert elastic.ask("POST", "/rows-shut/_open")[0] == 200
        assert elastic.ask("PUT", "/rows-blocked/_settings", {"index.blocks.write": False})[0] == 200
        drained(g, "elasticsearch")
        assert not g.dead()
        assert [len(elastic.documents(f"rows-{n}")) for n in ("shut", "blocked", "fine")] == [2, 2, 2]


def test_not_now_is_never_a_dead_letter(elastic, loose):
    """A password that is refused, through more than 20 tries: by a server of ours, as this distribution has none."""
    sent = Sent()
    with Webhook(lambda r: 401) as hook:
        with gateway("elasticsearch", {"URL": hook.url, "USER": "hgtest", "PASSWORD": "wrong", "RETRY_MAX": "50ms"}) as g:
            post(g, real_sets(200), sent)
            wait_until(lambda: len(hook.requests) > 22, 60, lambda: len(hook.requests))
            assert not g.dead() and "401" in json.dumps(g.pusher("elasticsearch"))
            g.restart({"PLUGIN_ELASTICSEARCH_URL": f"http://127.0.0.1:{elastic.port}",
                       "PLUGIN_ELASTICSEARCH_MAPPING": str(loose)})
            drained(g, "elasticsearch")
    compare(sent, arrived(elastic))


def test_tls_only_with_a_certificate(elastic, loose, tmp_path):
    """Spoken by nginx before the server. Who does not trust it, or is not trusted, comes nowhere near."""
    sent = Sent()
    kind = type("Front", (server("nginx"),), {"mutual": True, "behind": elastic.port})
    with kind(tls="IP:127.0.0.1") as front:
        mine, secret = client_certificate(tmp_path, front.cert, front.key)
        safe = {"URL": f"https://127.0.0.1:{front.port}", "CA": front.cert, "CERT": mine, "KEY": secret}
        code, text = probe("elasticsearch", **safe)
        assert code == 0, text
        for lacking, words in (({"CERT", "KEY"}, "400"), ({"CA"}, "certificate")):
            code, text = probe("elasticsearch", **{k: v for k, v in safe.items() if k not in lacking})
            assert code != 0 and words in text, text
        with gateway("elasticsearch", {**safe, "MAPPING": loose, "COMPRESS": "gzip"}) as g:
            post(g, real_sets(2000), sent)
            drained(g, "elasticsearch")
            assert not g.dead()
    compare(sent, arrived(elastic))


def test_probe(elastic):
    code, text = probe("elasticsearch", **options(elastic.port))
    assert code == 0, text
    code, text = probe("elasticsearch", **options(free_port()))
    assert code != 0 and "connect" in text, text
    assert elastic.ask("GET", "/_cat/indices/rows*?format=json")[1] == []
