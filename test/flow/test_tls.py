"""TLS on every listener, certificates that are renewed, certificates of clients, and the command over https."""
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest
from certs import Authority
from gateway import SLOW, Gateway, Wire, ask, command, dump, row, rows, wait_until
from test_access import bearer, key
from tools import venv


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp("certs"))
    a.make("server")
    a.make("reader", names="DNS:reader-3.lab.example")
    a.make("operator", names="")
    a.make("stranger", names="")
    Authority(a.folder, "other").make("foreign", cn="operator", names="")
    return a


def settings(authority, **more):
    return {"HEADGATE_TLS_CERTIFICATE": authority.folder / "server.pem", "HEADGATE_TLS_KEY": authority.folder / "server.key",
            **{f"HEADGATE_{k.upper()}": v for k, v in more.items()}}


def gateway(authority, start=True, client=None, clean=True, **more):
    g = Gateway(settings(authority, **more), start=False, clean=clean)
    g.tls = authority.context(client)
    return g.start() if start else g


@pytest.fixture(scope="module", params=[1, 2], ids=["one loop", "two loops"])
def g(request, authority):
    with gateway(authority, http_threads=request.param, probes_listen="127.0.0.1:0") as g:
        yield g


# contract: tls.listeners
def test_every_listener(g):
    assert g.post(row("u")).status == 202
    assert g.get("/v1/pushers").status == 200
    assert g.get("/livez", "probes").status == 200
    for listener in ("rows", "admin", "probes"):
        with g.wire(listener) as w:  # somebody who does not speak it
            w.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = w.answer()
            assert answer.status == 400 and "https://" in answer["detail"]
            assert w.closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(g, authority, version):
    context = authority.context()
    context.minimum_version = context.maximum_version = version
    assert ask(g.address, "POST", "/v1/rows", dump(row("u")), tls=context).status == 202


def test_large_and_many(g, authority):
    """Bodies of every size around a record's, on one connection, and from several at once."""
    def load(n):
        host, port = g.address.rsplit(":", 1)
        c = http.client.HTTPSConnection(host, int(port), context=authority.context(), timeout=60)
        for count in (1, 100, 160, 170, 400, 20000):
            c.request("POST", "/v1/rows", dump(rows(f"many-{n}", count, pad="x" * 80)))
            answer = c.getresponse()
            assert answer.status == 202 and json.loads(answer.read())["rows"] == count
        c.close()
    failed = []

    def guarded(n):
        try:
            load(n)
        except BaseException as e:
            failed.append(e)
    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    assert g.get("/v1/receipts/many-0").status == 200


def test_no_encryption_on_a_unix_socket(authority):
    with gateway(authority, start=False) as g:
        g.env["HEADGATE_HTTP_LISTEN"] = f"127.0.0.1:0,unix:{g.work}/s"
        g.start()
        assert ask(f"unix:{g.work}/s", "POST", "/v1/rows", dump(row("u"))).status == 202
        assert g.post(row("u")).status == 202


def test_one_listener_without(authority):
    with gateway(authority, admin_tls="no", start=False) as g:
        g.start(ready=False)
        assert ask(g.admin_address, "GET", "/livez").status == 200
        assert g.post(row("u")).status == 202


# contract: tls.reload
def test_a_renewed_certificate_drops_no_connection(tmp_path):
    a = Authority(tmp_path)
    a.make("server")

    def serial():
        host, port = g.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as s, a.context().wrap_socket(s, server_hostname="localhost") as t:
            return t.getpeercert()["serialNumber"]
    with gateway(a) as g:
        first = serial()
        host, port = g.address.rsplit(":", 1)
        kept = http.client.HTTPSConnection(host, int(port), context=a.context())
        posted, stop, failed = [0], threading.Event(), []

        def load():
            c = http.client.HTTPSConnection(host, int(port), context=a.context())
            while not stop.is_set():
                try:
                    c.request("POST", "/v1/rows", dump(row("steady")))
                    answer = c.getresponse()
                    assert answer.status == 202 and answer.read() and answer.headers.get("Connection") != "close"
                except BaseException as e:
                    failed.append(e)
                    return
                posted[0] += 1
        loader = threading.Thread(target=load)
        loader.start()
        kept.request("POST", "/v1/rows", dump(row("u")))
        assert kept.getresponse().read()
        sock = kept.sock
        seen = {first}
        for _ in range(3):
            mark, before = len(g.events), posted[0]
            a.make("server")
            g.wait_event("tls.certificate", since=mark)
            seen.add(serial())
            wait_until(lambda: posted[0] > before + 5 or failed)
        stop.set()
        loader.join()
        assert not failed, failed
        assert len(seen) == 4
        kept.request("POST", "/v1/rows", dump(row("u")))
        assert kept.getresponse().status == 202 and kept.sock is sock
        mark = len(g.events)
        good = (tmp_path / "server.pem").read_bytes()
        (tmp_path / "server.pem").write_text("rubbish")
        g.wait_event("tls.not_read", since=mark)
        assert serial() in seen  # what was in force stays
        (tmp_path / "server.pem").write_bytes(good)
        assert g.metrics()["headgate_tls_expires_seconds"] > 8 * 86400


def test_a_bad_certificate_stops_the_start(authority, tmp_path):
    for certificate, secret in (("none", "server.key"), ("server.pem", "operator.key"), ("server.key", "server.key")):
        done = command("check", env={"HEADGATE_PLUGINS_NONE": "yes", "HEADGATE_DATA_DIR": tmp_path,
                                     "HEADGATE_TLS_CERTIFICATE": authority.folder / certificate,
                                     "HEADGATE_TLS_KEY": authority.folder / secret})
        assert done.returncode == 78 and "tls." in done.stdout, done.stdout + done.stderr
        with Gateway({"HEADGATE_TLS_CERTIFICATE": authority.folder / certificate,
                      "HEADGATE_TLS_KEY": authority.folder / secret}, start=False, clean=False) as g:
            g.start(wait=False)
            assert g.ended() == 78 and any("tls." in line for line in g.lines)


# contract: http.auth.mtls admin.auth.mtls
def test_certificates_of_clients(authority, tmp_path):
    roles = tmp_path / "roles"
    roles.write_text("# who may\ndns:reader-3.lab.example ingest lab-a\ncn:operator operate,ingest\n")
    with gateway(authority, client="operator", http_auth="mtls", admin_auth="mtls, keys",
                 tls_client_ca=authority.pem, tls_client_roles=roles, probes_listen="127.0.0.1:0") as g:
        def post(client, uuid="u", headers=None):
            return ask(g.address, "POST", "/v1/rows", dump(row(uuid)), headers, tls=authority.context(client))
        first = post("reader", "mine")
        assert first.status == 202
        assert post("operator", "mine").status == 202
        answer = post("stranger")
        assert answer.status == 403 and "client_roles" in answer["detail"] and answer["type"] == "/problems/role"
        assert post(None).status == 403
        assert post("reader", headers=bearer("x")).status == 401  # what is brought must be good

        def reach(client, path, method="GET", **more):
            return ask(g.admin_address, method, path, tls=authority.context(client), **more)
        assert reach("operator", "/v1/pushers").status == 200
        assert reach("operator", "/v1/reload", "POST").status == 403
        assert reach("reader", "/v1/pushers").status == 403
        assert reach(None, "/v1/pushers").status == 401
        assert reach(None, "/livez").status == 200
        assert ask(g.addresses["probes"], "GET", "/metrics", tls=authority.context()).status == 200
        seen = reach("reader", "/v1/receipts/mine")
        assert [b["id"] for b in seen["batches"]] == [first["id"]]
        assert len(reach("operator", "/v1/receipts/mine")["batches"]) == 2
        token, _ = key(g, "admin")
        wait_until(lambda: reach(None, "/v1/pushers", headers=bearer(token)).status == 200)
        assert reach("reader", "/v1/pushers", headers=bearer(token)).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):  # of another authority
            post("foreign")
        mark = len(g.events)
        roles.write_text("cn:stranger ingest\n")
        g.wait_event("access.certs", since=mark)
        assert post("stranger").status == 202 and post("reader").status == 403
        mark = len(g.events)
        roles.write_text("cn:operator root\n")
        g.wait_event("access.certs_not_read", since=mark)
        assert post("stranger").status == 202


REFUSED = (ssl.SSLError, ConnectionError, http.client.HTTPException)


@pytest.fixture
def revoking(tmp_path):
    """An authority that takes certificates back, and settings for a gateway that looks at its list."""
    (tmp_path / "certs").mkdir()
    a = Authority(tmp_path / "certs")
    for name in ("server", "operator", "reader"):
        a.make(name, names="DNS:localhost,IP:127.0.0.1" if name == "server" else "")
    (tmp_path / "roles").write_text("cn:operator admin\ncn:reader admin\n")
    a.settings = {"admin_auth": "mtls", "http_auth": "mtls", "tls_client_ca": a.pem, "tls_client_roles": tmp_path / "roles",
                  "tls_client_crl": a.revoke()}
    return a


# contract: tls.client_crl
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_is_taken_back(revoking, version):
    a = revoking
    with gateway(a, client="operator", **a.settings) as g:
        def context(client):
            c = a.context(client)
            c.minimum_version = c.maximum_version = version
            return c

        def post(client):
            return ask(g.address, "POST", "/v1/rows", dump(row("u")), tls=context(client)).status
        assert post("operator") == 202 and post("reader") == 202
        kept = {}
        for name, address, path in (("rows", g.address, "/version"), ("admin", g.admin_address, "/v1/pushers")):
            host, port = address.rsplit(":", 1)
            kept[name] = http.client.HTTPSConnection(host, int(port), context=context("reader")), path
        mine = http.client.HTTPSConnection(*g.address.rsplit(":", 1), context=context("operator"))

        def again(c, path):
            c.request("GET", path)
            answer = c.getresponse()
            answer.read()
            return answer.status
        assert [again(c, path) for c, path in kept.values()] == [200, 200] and again(mine, "/version") == 200
        socks = [c.sock for c, _ in kept.values()]
        mark = len(g.events)
        a.revoke("reader")
        g.wait_event("tls.certificate", since=mark)
        assert [again(c, path) for c, path in kept.values()] == [403, 403]  # on connections that are there
        assert [c.sock for c, _ in kept.values()] == socks and again(mine, "/version") == 200
        with pytest.raises(REFUSED):
            post("reader")
        assert post("operator") == 202 and post(None) == 403
        assert g.metrics()["headgate_tls_crl_expires_seconds"] > 8 * 86400
        mark = len(g.events)
        (a.folder / "crl.pem").write_text("rubbish")
        assert "tls.client_crl" in g.wait_event("tls.not_read", since=mark)["text"]
        with pytest.raises(REFUSED):
            post("reader")  # the list that was in force stays
        assert post("operator") == 202
        for c in (mine, *(c for c, _ in kept.values())):
            c.close()


def test_a_list_that_is_out_of_date(revoking):
    """Nobody of that authority is known to be good then; who shows no certificate is let in as before."""
    a = revoking
    with gateway(a, client="operator", start=False, **a.settings) as g:
        g.env["HEADGATE_ADMIN_AUTH"] = "mtls, keys"
        token, _ = key(g, "admin")
        g.start()
        assert not [e for e in g.events if e.get("event") == "tls.crl_expired"]
        a.revoke(until="20200102000000Z")
        g.wait_event("tls.crl_expired")
        with pytest.raises(REFUSED):
            g.post(row("u"))

        def seconds():
            answer = ask(g.admin_address, "GET", "/metrics", headers=bearer(token), tls=a.context())
            return next(float(x.split()[1]) for x in answer.body.decode().splitlines()
                        if x.startswith("headgate_tls_crl_expires_seconds "))
        assert seconds() < 0
        mark = len(g.events)
        a.revoke()
        g.wait_event("tls.certificate", since=mark)
        assert g.post(row("u")).status == 202 and seconds() > 0
        mark = len(g.events)
        a.revoke(until="20200102000000Z")
        g.wait_event("tls.crl_expired", since=mark)  # a second time, as it had been good
        g.stop(check=False)
        g.start(ready=False)  # is no reason not to start
        g.wait_event("tls.crl_expired")


def test_an_authority_without_a_list_lets_nobody_in(revoking):
    a = revoking
    other = Authority(a.folder, "other")
    other.make("foreign", cn="operator", names="")
    both = a.folder / "both.pem"
    both.write_text(a.pem.read_text() + other.pem.read_text())
    with gateway(a, client="operator", **{**a.settings, "tls_client_ca": both}) as g:
        def post(client):
            return ask(g.address, "POST", "/v1/rows", dump(row("u")), tls=a.context(client)).status
        assert post("operator") == 202
        with pytest.raises(REFUSED):
            post("foreign")
        mark = len(g.events)
        lists = (a.folder / "crl.pem").read_text() + other.revoke(file="other-crl.pem").read_text()
        (a.folder / "next.pem").write_text(lists)
        (a.folder / "next.pem").rename(a.folder / "crl.pem")
        g.wait_event("tls.certificate", since=mark)
        assert post("operator") == 202 and post("foreign") == 202


def test_a_list_that_cannot_be_read_stops_the_start(revoking, tmp_path):
    a = revoking
    whole = (a.folder / "crl.pem").read_text()
    for text in (None, "", "rubbish", a.pem.read_text(), whole + whole[:len(whole) // 2]):
        (a.folder / "crl.pem").unlink()
        if text is not None:
            (a.folder / "crl.pem").write_text(text)
        with gateway(a, start=False, clean=False, **a.settings) as g:
            g.start(wait=False)
            assert g.ended() == 78 and any("tls.client_crl" in line for line in g.lines)
            done = g.cli("check", "--config", g.config, admin=False, env=g.environment())
            assert done.returncode == 78 and "tls.client_crl" in done.stdout + done.stderr
        (a.folder / "crl.pem").write_text("")


def test_nobody_without_a_certificate(authority):
    with gateway(authority, client="operator", tls_client_ca=authority.pem, tls_client_required="yes") as g:
        assert g.post(row("u")).status == 202
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            ask(g.address, "POST", "/v1/rows", dump(row("u")), tls=authority.context())


# contract: cli.ca
def test_the_command_over_https(authority):
    with gateway(authority, client="operator", tls_client_ca=authority.pem) as g:
        where = ("--admin", f"https://{g.admin_address}")

        def verb(*arguments, env=None):
            return command(*arguments, env=env, cwd=g.work)
        assert verb("status", *where, "--ca", authority.pem).returncode == 0
        assert verb("status", *where, env={"HEADGATE_CA": authority.pem}).returncode == 0
        done = verb("status", *where)  # nobody we know has signed it
        assert done.returncode == 69 and "certificate" in done.stderr
        assert verb("status", *where, "--ca", authority.folder / "other.pem").returncode == 69
        assert verb("status", *where, "--ca", authority.folder / "none.pem").returncode == 64
        # the address of the settings is reached as they say
        env = {"HEADGATE_ADMIN_LISTEN": g.admin_address, "HEADGATE_TLS_CERTIFICATE": g.env["HEADGATE_TLS_CERTIFICATE"],
               "HEADGATE_TLS_KEY": g.env["HEADGATE_TLS_KEY"], "HEADGATE_CA": authority.pem}
        assert verb("status", env=env).returncode == 0
        data = g.work / "rows.ndjson"
        data.write_text("".join(f'{{"n": {n}}}\n' for n in range(5000)))
        done = verb("send", "--to", f"https://{g.address}", "--ca", authority.pem, data)
        assert done.returncode == 0, done.stderr
        g.wait_rows(5000)
        done = verb("status", "--admin", g.admin_address)  # plain, where TLS is spoken
        assert done.returncode == 65 and "https://" in done.stderr


def test_the_command_shows_its_certificate(authority, tmp_path):
    roles = tmp_path / "roles"
    roles.write_text("cn:operator read\n")
    with gateway(authority, client="operator", admin_auth="mtls", tls_client_ca=authority.pem, tls_client_roles=roles) as g:
        env = {"HEADGATE_CA": authority.pem, "HEADGATE_CERT": authority.folder / "operator.pem",
               "HEADGATE_CERT_KEY": authority.folder / "operator.key"}
        where = ("--admin", f"https://{g.admin_address}")
        assert command("status", *where, env=env).returncode == 0
        assert command("reload", *where, env=env).returncode == 78
        del env["HEADGATE_CERT"], env["HEADGATE_CERT_KEY"]
        assert command("status", *where, env=env).returncode == 78


def test_handshakes_are_bounded(authority):
    """Those that do not happen end in the time of a head, and leave room for others."""
    with gateway(authority, http_header_timeout=f"{2 * SLOW:.0f}s", http_max_connections="20") as g:
        silent = [Wire(g.address) for _ in range(15)]
        for w in silent[5:]:
            w.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert g.post(row("u")).status == 202
        for w in silent:
            assert w.closed()
            w.sock.close()
        many = [Wire(g.address) for _ in range(20)]
        answer = g.post(row("u"))  # one too many is told so, through TLS
        assert answer.status == 503
        for w in many:
            w.sock.close()
        wait_until(lambda: g.post(row("u")).status == 202)


@pytest.mark.parametrize("section", ["http", "admin"])
def test_settings_that_do_not_fit(authority, section):
    def check(**more):
        done = command("check", env={"HEADGATE_DATA_DIR": "/nonexistent", "HEADGATE_PLUGINS_NONE": "yes",
                                     **{f"HEADGATE_{k.upper()}": v for k, v in more.items()}})
        return done.returncode, done.stdout + done.stderr
    pem, secret = authority.folder / "server.pem", authority.folder / "server.key"
    for more in ({"tls_certificate": pem}, {"tls_key": secret}, {"tls_client_ca": pem},
                 {f"{section}_auth": "mtls"}, {f"{section}_auth": "mtls", "tls_certificate": pem, "tls_key": secret},
                 {f"{section}_auth": "mtls", "tls_certificate": pem, "tls_key": secret, "tls_client_ca": pem,
                  "tls_client_roles": pem, f"{section}_tls": "no"},
                 {"tls_certificate": pem, "tls_key": secret, "tls_client_required": "yes"},
                 {"tls_certificate": pem, "tls_key": secret, "tls_client_crl": pem}):
        status, text = check(**more)
        assert status == 78 and "tls." in text, (more, text)
    assert "readable" in check(**{f"{section}_auth": "keys", f"{section}_listen": "0.0.0.0:0"})[1]
    assert "readable" not in check(**{f"{section}_auth": "keys", f"{section}_listen": "0.0.0.0:0", "tls_certificate": pem,
                                      "tls_key": secret})[1]


# contract: tls.sslyze
@pytest.mark.parametrize("clients", [False, True], ids=["server only", "with clients' certificates"])
def test_sslyze_finds_nothing(authority, clients, tmp_path):
    """Old versions, weak suites and curves, compression, renegotiation, Heartbleed, ROBOT, CCS, downgrade: against
    Mozilla's intermediate configuration. That nobody knows our authority is all it may say."""
    sslyze = venv("sslyze", "6.3.1") / "sslyze"
    more = {"tls_client_ca": authority.pem} if clients else {}
    with gateway(authority, **more) as g:
        done = subprocess.run([sslyze, "--mozilla_config", "intermediate", "--json_out", tmp_path / "out.json", g.address],
                              capture_output=True, text=True, timeout=300, env={"PATH": os.environ["PATH"]})
        found = [line.strip() for line in done.stdout.splitlines() if line.startswith("        * ")]
        assert [f for f in found if "certificate_path_validation" not in f] == [], done.stdout[-6000:]
        results = json.loads((tmp_path / "out.json").read_text())["server_scan_results"]
        assert len(results) == 1 and results[0]["scan_status"] == "COMPLETED"
        scans = results[0]["scan_result"]

        def suites(name):
            return [s["cipher_suite"]["name"] for s in scans[name]["result"]["accepted_cipher_suites"]]
        for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
            assert suites(f"{old}_cipher_suites") == []
        assert suites("tls_1_2_cipher_suites") and suites("tls_1_3_cipher_suites")
        assert all("ECDHE" in s and ("GCM" in s or "POLY1305" in s) for s in suites("tls_1_2_cipher_suites"))
        assert not scans["heartbleed"]["result"]["is_vulnerable_to_heartbleed"]
        assert not scans["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"]
        assert not scans["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"]
        assert not scans["tls_compression"]["result"]["supports_compression"]
        assert g.post(row("u")).status == 202
