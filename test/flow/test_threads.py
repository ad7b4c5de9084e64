"""Several intake loops (http.threads): whatever one of them promises holds on all of them."""
import json
import signal
import socket
import threading

import pytest
from gateway import BUILD, PLAIN, Gateway, Wire, dump, row, rows, wait_until

THREADS, CONNECTIONS = 4, 64


def request(path, document, method="POST", **headers):
    body = b"" if document is None else dump(document)
    fields = {"Host": "localhost", "Content-Length": len(body), **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = "".join(f"{k}: {v}\r\n" for k, v in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@pytest.fixture(scope="module")
def g():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS}) as gateway:
        yield gateway


@pytest.fixture
def wires(g):
    """So many connections that every loop has some: the kernel deals them out by their ports."""
    found = [g.wire() for _ in range(CONNECTIONS)]
    assert len(listening(g)) == THREADS
    yield found
    for w in found:
        w.sock.close()


def listening(g):
    """Sockets that listen on the rows address."""
    port = int(g.address.rsplit(":", 1)[1])
    with open("/proc/net/tcp") as table:
        found = [line.split() for line in list(table)[1:]]
    return [f for f in found if f[3] == "0A" and int(f[1].split(":")[1], 16) == port]


def each(wires, ask):
    """The answers to one request on every connection, all of them sent before the first answer is read."""
    for n, w in enumerate(wires):
        w.send(ask(n))
    return [w.answer() for w in wires]


def intake_threads(g):
    """{name: processor time used} of the intake threads."""
    from pathlib import Path
    found = {}
    for task in Path(f"/proc/{g.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("intake-"):
            found[name] = int((task / "schedstat").read_text().split()[0])
    return found


# contract: http.threads
def test_every_row_comes_once(g, wires):
    before, times = g.metrics(), intake_threads(g)
    assert len(times) == THREADS - 1
    for turn in range(20):
        answers = each(wires, lambda n: request("/v1/rows", rows(f"once-{n}", 3, turn=turn)))
        assert {a.status for a in answers} == {202}
    count = 20 * CONNECTIONS * 3
    found = g.wait_rows(count, 60, where=lambda r: r["uuid"].startswith("once-"))
    assert len(found) == count and len({r["id"] for r in found}) == count
    for n in range(CONNECTIONS):
        order = [(r["data"]["turn"], r["data"]["n"]) for r in found if r["uuid"] == f"once-{n}"]
        assert order == [(turn, k) for turn in range(20) for k in range(3)]
    assert all(spent > times[name] for name, spent in intake_threads(g).items()), "a thread took no part"
    after = g.metrics()
    assert after["headgate_rows_received_total"] - before.get("headgate_rows_received_total", 0) == count
    assert after['headgate_requests_total{code="202"}'] - before.get('headgate_requests_total{code="202"}', 0) \
        == 20 * CONNECTIONS
    assert after["headgate_connections"] >= CONNECTIONS


def test_operation_is_answered_on_every_connection(g, wires):
    ids = [a["id"] for a in each(wires, lambda n: request("/v1/rows", row(f"op-{n}")))]
    for batch in ids:
        g.wait_outcome(batch)
    for n, answer in enumerate(each(wires, lambda n: request(f"/v1/batches/{ids[n]}", None, "GET"))):
        assert answer.status == 200 and answer["id"] == ids[n] and answer["outcome"] == "delivered"
    for n, answer in enumerate(each(wires, lambda n: request(f"/v1/receipts/op-{n}", None, "GET"))):
        assert answer.status == 200 and [b["id"] for b in answer["batches"]] == [ids[n]]
    for answer in each(wires, lambda n: request("/version", None, "GET")):
        assert answer.status == 200 and answer["name"] == "headgate"
    for answer in each(wires, lambda n: request("/problems/schema", None, "GET")):
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    for answer in each(wires, lambda n: request("/v1/batches/nothing", None, "GET")):
        assert answer.status == 404 and answer["type"] == "/problems/not-found"
    for answer in each(wires, lambda n: request("/v1/batches/x", None, "DELETE")):
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    for answer in each(wires, lambda n: request("/version", None, "GET", Origin="http://elsewhere.example")):
        assert answer.status == 403
    for answer in each(wires, lambda n: request("/v1/pushers", None, "GET")):
        assert answer.status == 404  # admin's only


def test_who_asks_and_goes_does_no_harm(g, wires):
    for turn in range(10):
        for n, w in enumerate(wires):
            w.send(request(f"/v1/receipts/op-{n}", None, "GET"))
            w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            w.sock.close()
        wires[:] = [g.wire() for _ in range(CONNECTIONS)]
    assert {a.status for a in each(wires, lambda n: request("/version", None, "GET"))} == {200}
    wait_until(lambda: g.metrics()["headgate_connections"] <= CONNECTIONS + 1)


def test_waits_are_answered_on_every_connection(g, wires):
    answers = each(wires, lambda n: request("/v1/rows", rows(f"wait-{n}", 2), Prefer="wait=60"))
    for n, answer in enumerate(answers):
        assert answer.status == 200 and answer["uuid"] == f"wait-{n}" and answer["outcome"] == "delivered"
    lines = b"".join(dump(row(f"waits-{k}")) + b"\n" for k in range(3))
    for answer in each(wires, lambda n: request("/v1/rows", lines, Prefer="wait=60",
                                                Content_Type="application/x-ndjson")):
        assert answer.status == 200 and [r["uuid"] for r in answer.lines()] == ["waits-0", "waits-1", "waits-2"]


def test_keys_join_and_replay_across_loops(g, wires):
    for turn in range(10):
        key = {"Idempotency_Key": f"key-{turn}"}
        answers = each(wires, lambda n: request("/v1/rows", row(f"keyed-{turn}"), **key))
        assert {a.status for a in answers} == {202} and len({a["id"] for a in answers}) == 1
        assert sum("idempotency-replayed" not in a.headers for a in answers) == 1
        again = each(wires, lambda n: request("/v1/rows", row(f"keyed-{turn}"), **key))
        assert {a["id"] for a in again} == {answers[0]["id"]}
        assert all(a.headers["idempotency-replayed"] == "true" for a in again)
        other = each(wires, lambda n: request("/v1/rows", row("another"), **key))
        assert {a.status for a in other} == {422}
    found = g.wait_rows(10, where=lambda r: r["uuid"].startswith("keyed-"))
    assert sorted(r["uuid"] for r in found) == sorted(f"keyed-{turn}" for turn in range(10))


def test_one_body_under_two_uuids_of_one_key(g, wires):
    """Two different requests with one key at the same time: one is taken, never both."""
    for turn in range(10):
        answers = each(wires, lambda n: request("/v1/rows", row(f"rival-{turn}-{n % 2}"),
                                                Idempotency_Key=f"rival-{turn}"))
        taken = {a["uuid"] for a in answers if a.status == 202}
        assert {a.status for a in answers} == {202, 422} and len(taken) == 1


def test_refusals_of_all_loops_are_seen(g, wires):
    for answer in each(wires, lambda n: request("/v1/rows", {"uuid": f"refused-{n}", "row": {"data": 1}})):
        assert answer.status == 422
    def seen():
        found = json.dumps(g.get("/v1/refusals").json())
        return all(f'"refused-{n}"' in found for n in range(CONNECTIONS))
    wait_until(seen)  # another loop's are told to the first one


def test_a_reload_is_in_force_on_every_loop_at_once(g, wires):
    for limit in (2, 5, 1, 100):
        g.config.write_text(f"[http]\nmax_rows = {limit}\n")
        assert g.admin("POST", "/v1/reload").status == 200
        assert {a.status for a in each(wires, lambda n: request("/v1/rows", rows("limit", limit)))} == {202}
        assert {a.status for a in each(wires, lambda n: request("/v1/rows", rows("limit", limit + 1)))} == {413}
    g.config.write_text("[rows]\nkeys = any\n")
    assert g.admin("POST", "/v1/reload").status == 200
    assert {a.status for a in each(wires, lambda n: request("/v1/rows", row("keys", {"Any Key": 1})))} == {202}
    g.config.write_text("")
    assert g.admin("POST", "/v1/reload").status == 200
    assert {a.status for a in each(wires, lambda n: request("/v1/rows", row("keys", {"Any Key": 1})))} == {422}


def test_connections_are_counted_together():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS, "HEADGATE_HTTP_MAX_CONNECTIONS": 16}) as g:
        held = [g.wire() for _ in range(16)]
        assert {a.status for a in each(held, lambda n: request("/version", None, "GET"))} == {200}
        for _ in range(8):
            with g.wire() as more:
                assert more.answer().status == 503
        for w in held:
            w.sock.close()

        def room():
            with g.wire() as w:
                w.send(request("/version", None, "GET"))
                return w.answer().status == 200
        wait_until(room)


def test_an_address_is_not_shared_with_another_daemon(g):
    env = {"HEADGATE_HTTP_THREADS": THREADS, "HEADGATE_HTTP_LISTEN": g.address}
    other = Gateway(env, start=False, clean=False)
    other.start(wait=False)
    try:
        assert other.ended() == 78
        assert "listen.failed" in "\n".join(other.lines)
    finally:
        other.__exit__(None)


def test_unix_sockets_beside_them():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS}, start=False) as g:
        path = g.work / "rows.sock"
        g.start({"HEADGATE_HTTP_LISTEN": f"127.0.0.1:0,unix:{path}"})
        wait_until(lambda: path.exists())
        for n in range(8):
            with Wire(f"unix:{path}") as w:
                w.send(request("/v1/rows", row(f"unix-{n}")))
                assert w.answer().status == 202
            g.take(row(f"tcp-{n}"))
        assert len(g.wait_rows(16)) == 16


def test_a_stop_under_load_loses_nothing():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS}) as g:
        taken, lock = [], threading.Lock()
        flowing = threading.Semaphore(0)

        def post(n):
            mine = []
            with g.wire() as w:
                for k in range(100000):
                    try:
                        w.send(request("/v1/rows", row(f"stop-{n}-{k}")))
                        answer = w.answer()
                    except OSError:
                        break
                    if answer is None or answer.status != 202:
                        break
                    mine.append(f"stop-{n}-{k}")
                    if k == 5:
                        flowing.release()
            with lock:
                taken.extend(mine)

        threads = [threading.Thread(target=post, args=(n,)) for n in range(24)]
        for t in threads:
            t.start()
        for _ in threads:
            flowing.acquire()
        assert g.term() == 0
        for t in threads:
            t.join()
        g.start()
        found = g.wait_rows(len(taken), where=lambda r: r["uuid"].startswith("stop-"))
        wait_until(lambda: g.pusher("file")["lag"]["rows"] == 0)
        found = [r["uuid"] for r in g.file_rows() if r["uuid"].startswith("stop-")]
        assert len(found) == len(set(found)) and set(taken) <= set(found)


def test_who_waits_is_answered_at_a_stop():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS}, plugins=["chaos"]) as g:
        g.admin("POST", "/v1/pushers/chaos/pause")
        wires = [g.wire() for _ in range(32)]
        for n, w in enumerate(wires):
            w.send(request("/v1/rows", row(f"patient-{n}"), Prefer="wait=250"))
        wait_until(lambda: g.pusher("chaos")["lag"]["rows"] == 32)
        g.signal(signal.SIGTERM)
        for w in wires:
            assert w.answer().status == 202
            w.sock.close()
        assert g.ended() == 0


def test_draining_on_every_loop():
    with Gateway({"HEADGATE_HTTP_THREADS": THREADS}) as g:
        wires = [g.wire() for _ in range(32)]
        assert {a.status for a in each(wires, lambda n: request("/v1/rows", row("u")))} == {202}
        assert g.admin("POST", "/v1/drain").status == 200
        for w in wires:
            w.send(request("/v1/rows", row("u")))
        for answer in (w.answer() for w in wires):
            assert answer.status == 503 and answer["type"] == "/problems/draining"
