"""Mosquitto, a broker of MQTT 3.1.1 and 5, from the distribution."""
import json
import threading
import uuid

import kit


class Mosquitto(kit.Server):
    """User `hgtest` with a password may write everywhere but below `closed/`, `reader` may read. Without limits but those in
    `limits`, lines of its settings. It keeps its messages when it is stopped; kill -9 takes those of the last second."""

    name, version, packages = "mosquitto", "2", True

    def __init__(self, tls=None, limits=()):
        super().__init__(tls)
        self.limits = limits

    def prepare(self):
        users, rights = self.dir / "users", self.dir / "rights"
        for n, user in enumerate(("hgtest", "reader")):
            kit.run(["mosquitto_passwd", "-b", *(["-c"] if n == 0 else []), users, user, user + "-secret"])
        rights.write_text("user hgtest\ntopic write open/#\n\nuser reader\ntopic read #\n")
        for path in (users, rights):
            self.give(path)

    def command(self):
        conf = self.dir / "conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous false", f"password_file {self.dir}/users",
                 f"acl_file {self.dir}/rights", f"persistence_location {self.dir}/", "persistence true", "autosave_interval 1",
                 "max_queued_messages 0", "max_inflight_messages 1000", *self.limits]
        if self.tls:
            lines += [f"certfile {self.cert}", f"keyfile {self.key}"]
        if self.mutual:
            lines += [f"cafile {self.cert}", "require_certificate true"]
        conf.write_text("\n".join(lines) + "\n")
        self.give(conf)
        return ["mosquitto", "-c", conf]

    def stand(self):
        self.limits = ["max_packet_size 2000"]

    def first(self):
        if self.lasting:  # from now on the broker keeps what comes for it
            with Listener(self, qos=1, name="standing"):
                pass

    def different_rows(self):
        """What was published stands in the listener's session before the word that is published now."""
        from paho.mqtt import publish

        word = uuid.uuid4().hex
        known = self.dir / "known"
        with Listener(self, qos=1, name="standing") as listener:
            publish.single("open/word", word, qos=1, port=self.port, auth={"username": "hgtest", "password": "hgtest-secret"})
            kit.wait_until(lambda: any(m.payload == word.encode() for m in listener.messages), 20, "the word to arrive")
            rows = [json.loads(m.payload)["id"] for m in listener.messages if m.topic == "open/rows"]
        ids = {*rows, *(known.read_text().split() if known.exists() else [])}
        known.write_text("\n".join(ids))
        return len(ids)


class Listener:
    """Takes everything that is published, through restarts of the broker: `messages`, as paho has them. With qos=0 only what is
    published while it is connected, but however fast: of a subscriber with more than 65,535 messages waiting at 1 or 2,
    Mosquitto 2.0 confuses those whose ids are the same, and paho is slow enough at 2 to get there."""

    def __init__(self, server, qos=2, name=None):
        import paho.mqtt.client as paho
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        self.messages, self.subscribed = [], threading.Event()
        self.client = paho.Client(name or "listener-" + uuid.uuid4().hex, clean_session=None, protocol=paho.MQTTv5)
        self.client.username_pw_set("reader", "reader-secret")
        self.client.reconnect_delay_set(0.1, 1)
        if server.tls:
            self.client.tls_set(str(server.cert))
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=qos)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.messages.append(message)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", server.port, clean_start=False, properties=properties)

    def __enter__(self):
        self.client.loop_start()
        assert self.subscribed.wait(20)
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()
