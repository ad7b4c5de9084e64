"""CERT and KEY of the pushers that speak TLS with a library of their own, or with libcurl before anything of the protocol is said: a
server that asks its clients for a certificate lets them in, and without one nobody. (For elasticsearch see its own tests; what speaks
HTTP has the same options, which are tried in test/unit/test_plugin_http.c.)"""
import pytest
from faults import probe
from kit import client_certificate, server
from trial import Sent, drained, gateway, post, real_sets

USER = {"USER": "hgtest", "PASSWORD": "hgtest-secret"}
SQL = {"USER": "hgtest", "PASSWORD": "hgtest", "DATABASE": "hgtest"}


def only_with(plugin, options, mine, secret):
    """(What is said without one differs: with TLS 1.3 it comes when the client takes itself for connected.)"""
    code, text = probe(plugin, **options, CERT=mine, KEY=secret)
    assert code == 0, text
    code, text = probe(plugin, **options)
    assert code != 0 and "the far end does not answer" in text, text


@pytest.mark.parametrize("plugin,name,options", [
    ("postgres", "postgres", SQL), ("mysql", "mariadb", SQL), ("redis", "redis", USER), ("nats", "nats", {**USER, "SUBJECT": "rows.all"}),
    ("mqtt", "mosquitto", {**USER, "TOPIC": "open/rows"}), ("amqp", "rabbitmq", {**USER, "ROUTING_KEY": "rows"})])
def test_only_with_a_certificate(plugin, name, options, tmp_path):
    kind = type("Mutual", (server(name),), {"mutual": True})
    with kind(tls="IP:127.0.0.1") as far:
        ca, ca_key = (far.ca, far.dir / "tls.key") if name == "redis" else (far.cert, far.key)
        mine, secret = client_certificate(tmp_path, ca, ca_key)
        options = {"HOST": "127.0.0.1", "PORT": getattr(far, "tls_port", far.port), "TLS": "yes", "CA": ca, **options}
        only_with(plugin, options, mine, secret)


@pytest.mark.parametrize("way", ["starttls", "smtps"])
def test_mails_only_with_a_certificate(way, tmp_path):
    kind = type("Mutual", (server("smtp"),), {"mutual": True, "way": way})
    with kind(tls="IP:127.0.0.1") as far:
        options = {"HOST": "127.0.0.1", "PORT": far.port, "TLS": way, "CA": far.cert, "SENDER": "gateway@lab.test", "TO": "data@lab.test",
                   **USER}
        mine = client_certificate(tmp_path, far.cert, far.key)
        only_with("smtp", options, *mine)
        sent = Sent()
        with gateway("smtp", {**options, "CERT": mine[0], "KEY": mine[1]}) as g:
            post(g, real_sets(400), sent)
            drained(g, "smtp")
            assert not g.dead() and len(far.mails()) == 2


@pytest.mark.parametrize("way", ["explicit", "implicit"])
def test_files_only_with_a_certificate(way, tmp_path):
    """Asked for by every connection for data, too."""
    kind = type("Mutual", (server("pyftpd"),), {"mutual": True, "way": way})
    with kind(tls="IP:127.0.0.1") as far:
        options = {"URL": far.url(), **far.options()}
        mine = client_certificate(tmp_path, far.cert, far.key)
        only_with("ftp", options, *mine)
        sent = Sent()
        with gateway("ftp", {**options, "CERT": mine[0], "KEY": mine[1]}) as g:
            post(g, real_sets(400), sent)
            drained(g, "ftp")
            assert not g.dead()
        assert sum(len((far.files / name).read_bytes().splitlines()) for name in far.names()) == 400
