"""CERT and KEY of the pushers that speak TLS with a library of their own: a server that asks its clients for a certificate lets them
in, and without one nobody. (All others go through libcurl, whose options test/unit/test_plugin_http.c has.)"""
import pytest
from faults import probe
from kit import client_certificate, server

USER = {"USER": "hgtest", "PASSWORD": "hgtest-secret"}
SQL = {"USER": "hgtest", "PASSWORD": "hgtest", "DATABASE": "hgtest"}


@pytest.mark.parametrize("plugin,name,options", [
    ("postgres", "postgres", SQL), ("mysql", "mariadb", SQL), ("redis", "redis", USER), ("nats", "nats", {**USER, "SUBJECT": "rows.all"}),
    ("mqtt", "mosquitto", {**USER, "TOPIC": "open/rows"}), ("amqp", "rabbitmq", {**USER, "ROUTING_KEY": "rows"})])
def test_only_with_a_certificate(plugin, name, options, tmp_path):
    kind = type("Mutual", (server(name),), {"mutual": True})
    with kind(tls="IP:127.0.0.1") as far:
        ca, ca_key = (far.ca, far.dir / "tls.key") if name == "redis" else (far.cert, far.key)
        mine, secret = client_certificate(tmp_path, ca, ca_key)
        options = {"HOST": "127.0.0.1", "PORT": getattr(far, "tls_port", far.port), "TLS": "yes", "CA": ca, **options}
        code, text = probe(plugin, **options, CERT=mine, KEY=secret)
        assert code == 0, text
        code, text = probe(plugin, **options)
        assert code != 0, text
