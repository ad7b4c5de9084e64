"""The probe of a pusher that runs and has a connection, which nobody reads from while there are no rows: it says what is so now,
whatever became of that connection. (amqp's is in its own tests.)"""
import json

import pytest
from kit import server
from server_nats import Client
from trial import drained, gateway

USER = {"USER": "hgtest", "PASSWORD": "hgtest-secret"}
SQL = {"USER": "hgtest", "PASSWORD": "hgtest", "DATABASE": "hgtest", "TABLE": "probed"}


@pytest.mark.parametrize("plugin,name,options", [
    ("postgres", "postgres", SQL), ("mysql", "mariadb", SQL), ("redis", "redis", USER), ("nats", "nats", {**USER, "SUBJECT": "rows.all"}),
    ("mqtt", "mosquitto", {**USER, "TOPIC": "open/rows"})])
def test_it_says_what_is_so_now(plugin, name, options):
    def reachable():
        answer = g.admin("POST", f"/v1/pushers/{plugin}/probe").json()
        assert answer["reachable"] or answer["text"], answer
        return answer["reachable"]

    def deliver():
        assert g.post(json.dumps({"uuid": "u", "row": {"data": {"n": 1}}}).encode()).status == 202
        drained(g, plugin, 60)

    with server(name)() as far, gateway(plugin, {"HOST": "127.0.0.1", "PORT": far.port, **options}) as g:
        if name == "nats":
            with Client(far) as client:
                client.stream()
        deliver()
        assert reachable()
        deliver()
        far.restart()
        assert reachable()
        far.stop()
        assert not reachable()
        far.start()
        assert reachable()
        deliver()
