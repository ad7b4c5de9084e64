"""Rows in: contract section 3, against one running daemon."""
import gzip
import json
import re
import subprocess
import sys
import threading
import uuid as uuids

import pytest
from gateway import ROOT, Gateway, ask, dump, row, rows

CASES = ROOT / "test/acceptance/http_cases.jsonl"


@pytest.fixture(scope="module")
def g():
    with Gateway({"HEADGATE_HTTP_HEADER_TIMEOUT": "2s", "HEADGATE_HTTP_BODY_TIMEOUT": "2s"}) as gateway:
        yield gateway


def fresh():
    return f"t-{uuids.uuid4()}"


def refused(answer, status=422, pointer=None, word=None):
    """It is a problem with that status, naming that place."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail"} <= set(problem) and problem["status"] == status
    if pointer is not None:
        assert pointer in [e["pointer"] for e in problem["errors"]], problem
    if word is not None:
        assert word in json.dumps(problem), problem
    return problem


def delivered(g, uuid, count):
    return g.wait_rows(count, where=lambda r: r["uuid"] == uuid)


# contract: rows.row answer.202 file.line
def test_a_row(g):
    u = fresh()
    answer = g.post(row(u, {"keyOne": 1, "keyTwo": "2"}, index=3))
    assert answer.status == 202
    body = answer.json()
    assert body["uuid"] == u and body["rows"] == 1 and body["durability"] == "fsync"
    assert re.fullmatch(r"[0-9a-z-]{1,64}", body["id"])
    assert answer.headers["location"] == f"/v1/batches/{body['id']}"
    (line,) = delivered(g, u, 1)
    assert line["id"].startswith(body["id"]) and line["index"] == 3 and line["data"] == {"keyOne": 1, "keyTwo": "2"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["received"])
    assert set(line) == {"id", "uuid", "index", "received", "data"}


# contract: rows.rows file.order
def test_rows_in_order(g):
    u = fresh()
    assert g.take(rows(u, 500))["rows"] == 500
    assert [r["data"]["n"] for r in delivered(g, u, 500)] == list(range(500))


# contract: rows.types
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json", None])
def test_types(g, kind):
    assert g.post(row(fresh()), content_type=kind).status == 202


# contract: answer.415
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_types(g, kind):
    refused(g.post(row(fresh()), content_type=kind), 415)


# contract: rows.ndjson answer.202.ndjson
def test_ndjson(g):
    us = [fresh() for _ in range(3)]
    answer = g.post_ndjson([rows(us[0], 2), row(us[1]), rows(us[2], 4)])
    assert answer.status == 202 and answer.headers["content-type"].startswith("application/x-ndjson")
    assert [(a["uuid"], a["rows"]) for a in answer.lines()] == list(zip(us, (2, 1, 4)))
    assert len({a["id"] for a in answer.lines()}) == 3
    for u, n in zip(us, (2, 1, 4)):
        delivered(g, u, n)


# contract: rows.unit answer.422
def test_one_fault_refuses_all(g):
    good, bad = fresh(), fresh()
    problem = refused(g.post_ndjson([row(good), {"uuid": bad, "rows": [{"data": 1}, {"data": {}, "index": -1}]}]))
    assert [(e["pointer"], e["line"]) for e in problem["errors"]] == [("/rows/0/data", 2), ("/rows/1/index", 2)]
    marker = fresh()
    g.take(row(marker))
    delivered(g, marker, 1)
    assert not [r for r in g.file_rows() if r["uuid"] in (good, bad)]


def test_a_hundred_faults_at_most(g):
    problem = refused(g.post({"uuid": "u", "rows": [{"data": 1}] * 150}))
    assert len(problem["errors"]) == 100


# contract: rows.gzip
def test_gzip(g):
    u = fresh()
    assert g.post(gzip.compress(dump(rows(u, 50))), headers={"Content-Encoding": "gzip"}).status == 202
    delivered(g, u, 50)
    bomb = gzip.compress(b" " * (20 << 20))
    refused(g.post(bomb, headers={"Content-Encoding": "gzip"}), 413)
    refused(g.post(gzip.compress(dump(row(u)))[:-6], headers={"Content-Encoding": "gzip"}), 400)


# contract: rows.zstd
def test_zstd(g):
    u = fresh()
    # one raw block: magic, single segment with a one byte size, last raw block
    body = dump(row(u))
    frame = b"\x28\xb5\x2f\xfd\x20" + bytes([len(body)]) + (len(body) << 3 | 1).to_bytes(3, "little") + body
    assert g.post(frame, headers={"Content-Encoding": "zstd"}).status == 202
    delivered(g, u, 1)
    refused(g.post(frame[:-1], headers={"Content-Encoding": "zstd"}), 400)
    refused(g.post(body, headers={"Content-Encoding": "br"}), 415)


# contract: rows.uuid
def test_uuid(g):
    for good in ("x", "u" * 128, "ü" * 128, "a b/c?d=\"e\"", "\U0001f600" * 128):
        assert g.post(row(good)).status == 202, good
    for bad in ("", "u" * 129, "a\nb", "a\x7fb", "a\u0085b", 7, None, ["u"]):
        refused(g.post(row(bad)), 422, "/uuid")
    refused(g.post({"row": {"data": {}}}), 422)


# contract: rows.one-of
def test_row_or_rows(g):
    refused(g.post({"uuid": "u"}))
    refused(g.post({"uuid": "u", "row": {"data": {}}, "rows": []}))
    refused(g.post({"uuid": "u", "row": None}))
    refused(g.post({"uuid": "u", "rows": {}}), 422, "/rows")


# contract: rows.empty
def test_no_rows(g):
    assert g.take({"uuid": fresh(), "rows": []})["rows"] == 0


# contract: rows.tags
def test_tags(g):
    tags = {f"tag_{n}": "v" * 256 for n in range(16)}
    taken = g.take({**row(fresh()), "tags": tags})
    assert g.wait_outcome(taken["id"])["tags"] == tags
    for bad in ({**tags, "more": "x"}, {"a": "v" * 257}, {"A": "x"}, {"1a": "x"}, {"a": 1}, [], "x"):
        refused(g.post({**row(fresh()), "tags": bad}), 422)


# contract: rows.ignored
def test_ignored_keys_are_named(g):
    answer = g.take({"uuid": fresh(), "row": {"indx": 3, "data": {}}, "extra": [1, {"a": 2}]})
    assert sorted(answer["ignored"]) == ["/extra", "/row/indx"]
    assert "ignored" not in g.take(row(fresh()))


# contract: rows.index
def test_index(g):
    for good in (0, 95, 2**53 - 1, None):
        assert g.post(row(fresh(), index=good)).status == 202, good
    for bad in (-1, 2**53, 1.5, "1", True, [0]):
        refused(g.post(row(fresh(), index=bad)), 422, "/row/index")
    u = fresh()
    g.take({"uuid": u, "rows": [{"index": None, "data": {}}, {"data": {}}, {"index": 7, "data": {}}]})
    assert [r.get("index", "none") for r in delivered(g, u, 3)] == ["none", "none", 7]


# contract: rows.data
def test_data(g):
    for good in ({}, {"a": None}, {"aB9": [1, {"Not Camel": 1}]}, {"a" * 256: 1}):
        assert g.post(row(fresh(), good)).status == 202, good
    for bad in ({"A": 1}, {"a_b": 1}, {"": 1}, {"9a": 1}, {"ä": 1}, {"a" * 257: 1}):
        refused(g.post(row(fresh(), bad)), 422)
    for bad in ([], "x", 1, None):
        refused(g.post({"uuid": "u", "row": {"data": bad}}), 422, "/row/data")
    refused(g.post({"uuid": "u", "row": {}}), 422)


# contract: rows.verbatim rows.numbers
def test_numbers_and_order_as_sent(g):
    u = fresh()
    data = '{"z":1.10,"a":1e2,"m":-0,"big":9223372036854775807,"low":-9223372036854775808,' \
           '"long":0.1000000000000000055511151231257827, "s" : "\\u00e9\\/" }'
    body = '{"uuid":"%s","row":{"data":%s}}' % (u, data)
    assert g.post(body.encode()).status == 202
    delivered(g, u, 1)
    (line,) = [x for x in (g.out / "rows.ndjson").read_text().splitlines() if u in x]
    assert line.endswith('"data":' + data + "}")
    for bad in ("9223372036854775808", "-9223372036854775809", "1e400", "-1e999"):
        problem = refused(g.post(b'{"uuid":"u","row":{"data":{"x":%s}}}' % bad.encode()), 422, "/row/data/x")
        assert "string" in json.dumps(problem)


# contract: rows.ijson answer.400
@pytest.mark.parametrize("body,status", [
    (b'{"uuid":"u","row":{"data":{"a":1,"a":2}}}', 422),
    (b'{"uuid":"u","uuid":"v","row":{"data":{}}}', 422),
    (b'{"uuid":"u","row":{"data":{"a":1,"\\u0061":2}}}', 422),
    (b'{"uuid":"u","row":{"data":{"a":"\\u0000"}}}', 422),
    (b'{"uuid":"u","row":{"data":{"a":"\\ud800"}}}', None),
    (b'{"uuid":"u","row":{"data":{"a":"\xff"}}}', 400),
    (b'{"uuid":"u","row":{"data":{"a":"\xed\xa0\x80"}}}', 400),
    (b'{"uuid":"u","row":{"data":{"a":"\xc0\x80"}}}', 400),
    (b'\xef\xbb\xbf{"uuid":"u","row":{"data":{}}}', 400),
    (b'{"uuid":"u","row":{"data":{}}} x', 400),
    (b'{"uuid":"u","row":{"data":{}}}\x00', 400),
    (b'{"uuid":"u","row":{"data":{}},}', 400),
    (b'{"uuid":"u",/**/"row":{"data":{}}}', 400),
    (b'{"uuid":"u","row":{"data":{"a":NaN}}}', 400),
    (b'{"uuid":"u","row":{"data":{"a":01}}}', 400),
    (b"", 400),
    (b"[]", 422),
])
def test_strict_json(g, body, status):
    answer = g.post(body)
    assert answer.status in (400, 422) if status is None else answer.status == status, answer


# contract: answer.problem
def test_where_the_syntax_fault_is(g):
    problem = refused(g.post(b'{"uuid": "u",\n "row": {"data": {"a": tru}}}'), 400)
    (fault,) = problem["errors"]
    assert fault["line"] == 2 and fault["column"] > 20 and fault["byte"] > 30


# contract: rows.max_depth
def test_depth(g):
    deep = json.loads("[" * 31 + "1" + "]" * 31)
    assert g.post(row(fresh(), {"a": deep})).status == 202
    refused(g.post(row(fresh(), {"a": [deep]})), 422)


# contract: answer.key
def test_idempotency_key(g):
    u = fresh()
    first = g.post(row(u), headers={"Idempotency-Key": u})
    again = g.post(row(u), headers={"Idempotency-Key": u})
    assert first.status == again.status == 202
    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    marker = fresh()
    g.take(row(marker))
    delivered(g, marker, 1)
    assert len(delivered(g, u, 1)) == 1


# contract: answer.key.other
def test_another_body_with_the_same_key(g):
    u = fresh()
    g.take(row(u), headers={"Idempotency-Key": u})
    refused(g.post(row(u, {"keyOne": 2}), headers={"Idempotency-Key": u}), 422)
    refused(g.post(row(u), headers={"Idempotency-Key": "k" * 256}), 400)


# contract: answer.key.flight
def test_repeats_in_flight_are_one(g):
    u, answers = fresh(), []
    posts = [threading.Thread(target=lambda: answers.append(g.post(rows(u, 20), headers={"Idempotency-Key": u})))
             for _ in range(16)]
    for t in posts:
        t.start()
    for t in posts:
        t.join()
    assert {a.status for a in answers} == {202} and len({a["id"] for a in answers}) == 1
    marker = fresh()
    g.take(row(marker))
    delivered(g, marker, 1)
    assert len(delivered(g, u, 20)) == 20


def test_a_refusal_is_not_remembered(g):
    u = fresh()
    refused(g.post({"uuid": u}, headers={"Idempotency-Key": u}))
    assert g.post(row(u), headers={"Idempotency-Key": u}).status == 202


# contract: answer.wait
def test_wait(g):
    answer = g.post(rows(fresh(), 3), headers={"Prefer": "wait=20"})
    assert answer.status == 200
    receipt = answer.json()
    assert receipt["outcome"] == "delivered" and receipt["pushers"]["file"]["delivered"] == 3


# contract: answer.404 answer.405
def test_paths_and_methods(g):
    refused(g.post(row(fresh()), path="/v1/nothing"), 404)
    answer = g.get("/v1/rows", "rows")
    refused(answer, 405)
    assert "POST" in answer.headers["allow"]


# contract: answer.411 http.1.0
def test_http_1_0(g):
    body = dump(row(fresh()))
    with g.wire() as w:
        w.send(b"POST /v1/rows HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert w.answer().status == 202
        assert w.closed()
    with g.wire() as w:
        w.send(f"POST /v1/rows HTTP/1.1\r\nHost: {g.address}\r\n\r\n")
        assert w.answer().status == 411


def head(g, more="", length=None, path="/v1/rows", version="1.1"):
    size = "" if length is None else f"Content-Length: {length}\r\n"
    return f"POST {path} HTTP/{version}\r\nHost: {g.address}\r\n{size}{more}\r\n"


# contract: answer.414 answer.431 answer.505 answer.501 answer.417 answer.framing
@pytest.mark.parametrize("more,length,path,version,status", [
    ("", 0, "/" + "x" * 20000, "1.1", 414),
    ("X-Long: " + "x" * 20000 + "\r\n", 0, "/v1/rows", "1.1", 431),
    ("", 0, "/v1/rows", "2.0", 505),
    ("Transfer-Encoding: gzip, chunked\r\n", None, "/v1/rows", "1.1", 501),
    ("Expect: the-unexpected\r\n", 5, "/v1/rows", "1.1", 417),
    ("Transfer-Encoding: chunked\r\n", 5, "/v1/rows", "1.1", 400),
    ("Content-Length: 6\r\n", 5, "/v1/rows", "1.1", 400),
    ("X: a\r\n b\r\n", 0, "/v1/rows", "1.1", 400),
    ("X : a\r\n", 0, "/v1/rows", "1.1", 400),
])
def test_framing(g, more, length, path, version, status):
    with g.wire() as w:
        w.send(head(g, more, length, path, version))
        assert w.answer().status == status
        assert w.closed()


# contract: http.chunked
def test_chunks(g):
    u = fresh()
    body = dump(row(u))
    with g.wire() as w:
        w.send(head(g, "Transfer-Encoding: chunked\r\n"))
        for i in range(0, len(body), 7):
            part = body[i:i + 7]
            w.send(b"%x\r\n%s\r\n" % (len(part), part))
        w.send("0\r\n\r\n")
        assert w.answer().status == 202
    delivered(g, u, 1)


# contract: http.continue
def test_continue(g):
    body = dump(row(fresh()))
    with g.wire() as w:
        w.send(head(g, "Expect: 100-continue\r\n", len(body)))
        assert w.answer().status == 100
        w.send(body)
        assert w.answer().status == 202
    with g.wire() as w:
        w.send(head(g, "Expect: 100-continue\r\n", 1 << 30))
        assert w.answer().status == 413


# contract: http.keepalive http.pipelining
def test_pipelining(g):
    us = [fresh() for _ in range(50)]
    bodies = [dump(row(u)) for u in us]
    with g.wire() as w:
        w.send(b"".join(head(g, length=len(b)).encode() + b for b in bodies))
        assert [w.answer()["uuid"] for _ in us] == us
        w.send(head(g, length=len(bodies[0])).encode() + bodies[0])
        assert w.answer().status == 202


# contract: http.header_timeout http.body_timeout answer.408
def test_slow_clients(g):
    with g.wire() as w:
        w.send("POST /v1/rows HTTP/1.1\r\nHost:")
        assert w.answer().status == 408
        assert w.closed()
    with g.wire() as w:
        w.send(head(g, length=100) + '{"uuid"')
        assert w.answer().status == 408
        assert w.closed()


# contract: web.origin web.fetch-site answer.403
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Sec-Fetch-Site": "cross-site"}])
def test_cross_site(g, headers):
    refused(g.post(row(fresh()), headers=headers), 403)
    assert g.admin("POST", "/v1/reload").status == 200
    refused(ask(g.admin_address, "POST", "/v1/reload", headers=headers), 403)


# contract: web.host admin.listen
def test_unlisted_host(g):
    with g.wire("admin") as w:
        w.send("GET /v1/pushers HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert w.answer().status == 403
    with g.wire("admin") as w:
        w.send("GET /v1/pushers HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert w.answer().status == 200


# contract: older.data older.lenient
def test_older_row(g):
    u = fresh()
    answer = g.post({"uuid": u, "row": {"index": 0, "data": {"Any Key": 1}}}, path="/data", content_type="text/plain")
    assert answer.status == 202 and answer.body == b""
    assert delivered(g, u, 1)[0]["data"] == {"Any Key": 1}


# contract: older.batch
def test_older_batch(g):
    u = fresh()
    answer = g.post(rows(u, 3), path="/data/batch")
    assert answer.status == 202 and answer.body == b""
    delivered(g, u, 3)


# contract: older.faults older.deviations
@pytest.mark.parametrize("path,body,place", [
    ("/data/batch", b'{"uuid":"u","rows":[{"index":1.5,"data":{}}]}', ["body", "rows", 0, "index"]),
    ("/data/batch", b'{"uuid":"u","row":{"data":{}}}', ["body", "rows"]),
    ("/data", b'{"uuid":"u","row":{"index":"1","data":{}}}', ["body", "row", "index"]),
    ("/data", b'{"uuid":"u","row":{"data":{"x":NaN}}}', None),
    ("/data", b'{"uuid":"u","row":{"data":{"x":1e400}}}', ["body", "row", "data", "x"]),
    ("/data", b'{"uuid":"u","row":{"data":{"x":9223372036854775808}}}', ["body", "row", "data", "x"]),
    ("/data", b'{"uuid":"u","row":{"data":{"x":1,"x":2}}}', ["body", "row", "data", "x"]),
    ("/data", b"not json", None),
])
def test_older_faults(g, path, body, place):
    answer = g.post(body, path=path)
    assert answer.status == 422, answer
    for fault in answer["detail"]:
        assert set(fault) >= {"loc", "msg", "type"} and fault["loc"][0] == "body"
    if place is not None:
        assert place in [f["loc"] for f in answer["detail"]]


# contract: refusals
def test_refusals_are_listed(g):
    u = fresh()
    refused(g.post({"uuid": u, "rows": [{"data": {"A": 1}}]}))
    listed = g.get("/v1/refusals").json()["refusals"]
    (mine,) = [r for r in listed if r.get("uuid") == u]
    assert mine["status"] == 422 and mine["peer"].startswith("127.0.0.1") and mine["pointer"] == "/rows/0/data/A"
    for _ in range(120):
        g.post({"uuid": u})
    assert len(g.get("/v1/refusals").json()["refusals"]) == 100


def test_acceptance_cases():
    """Raw requests, good, bad and malicious; a smuggled request must not leave a row anywhere."""
    short = {"HEADGATE_HTTP_HEADER_TIMEOUT": "1s", "HEADGATE_HTTP_BODY_TIMEOUT": "1s", "HEADGATE_HTTP_IDLE_TIMEOUT": "1s",
             "HEADGATE_JOURNAL_SEGMENT": "64MiB"}
    with Gateway(short) as g:
        done = subprocess.run([sys.executable, str(CASES.with_suffix(".py")), str(CASES), g.address,
                               "--skip-profile", "auth"], capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        g.take(row("the-last"))
        found = g.wait_rows(1, where=lambda r: r["uuid"] == "the-last") and g.file_rows()
        assert not [r for r in found if r["uuid"].startswith("smuggled")]
        compare_with_cases(found)


def bodies_of(case):
    """Documents that a case carries in a plain body, where it does; (uuid, rows) of each."""
    text = "".join(case["raw"])
    found = []
    for m in re.finditer(r'"uuid"\s*:\s*"([^"\\]+)"', text):
        found.append(m[1])
    return found


def compare_with_cases(found):
    """The rows delivered of each case whose uuid is its own are as many as it says."""
    listed = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines() if line.strip()]
    listed = [c for c in listed if c.get("profile") != "auth" and "rows" in c]
    wrong = []
    for case in listed:
        mine = set(bodies_of(case))
        others = {u for c in listed if c is not case for u in bodies_of(c)}
        if not mine or mine & others:
            continue
        count = len([r for r in found if r["uuid"] in mine])
        if count != case["rows"]:
            wrong.append(f"{case['name']}: {count} rows delivered, {case['rows']} expected")
    assert not wrong, "\n".join(wrong)
