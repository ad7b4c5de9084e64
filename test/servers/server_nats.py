"""NATS with JetStream, from the distribution. Its protocol is lines of text, so the tests speak it themselves."""
import json
import socket
import ssl

import kit


class Nats(kit.Server):
    """User `hgtest` with a password may publish to `rows.>`; `admin` may do everything. `limits`: lines of its settings."""

    name, version, packages = "nats", "2", True

    def __init__(self, tls=None, limits=()):
        super().__init__(tls)
        self.limits, self.rights = limits, '["rows.>"]'

    def command(self):
        conf = self.dir / "conf"
        lines = [f'listen: "127.0.0.1:{self.port}"', f'jetstream {{ store_dir: "{self.dir}/data" }}', "authorization { users = [",
                 '{user: "admin", password: "admin-secret"}',
                 f'{{user: "hgtest", password: "hgtest-secret", permissions: {{publish: {self.rights}, '
                 'subscribe: ["_INBOX.>"]}}', "] }", *self.limits]
        if self.tls:
            clients = f', ca_file: "{self.cert}", verify: true' if self.mutual else ""
            lines.append(f'tls {{ cert_file: "{self.cert}", key_file: "{self.key}"{clients} }}')
        conf.write_text("\n".join(lines) + "\n")
        self.give(conf)
        return ["nats-server", "-c", conf]

    def stand(self):
        self.limits = ["max_payload: 2000"]

    def first(self):
        if self.lasting:
            with Client(self) as client:
                client.stream()

    def different_rows(self):
        with Client(self) as client:
            return len({headers["Nats-Msg-Id"] for _, headers, _ in client.all()})

    def ready(self):
        try:
            with Client(self) as client:
                return "error" not in client.ask("$JS.API.INFO")
        except (OSError, ValueError):
            return False


class Client:
    """`admin` over one connection."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.file = self.socket.makefile("rb")
        self.line()
        if server.tls:
            context = ssl.create_default_context(cafile=str(server.cert))
            context.check_hostname = False  # a test may have asked for another name
            if server.mutual:
                context.load_cert_chain(server.cert, server.key)
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
            self.file = self.socket.makefile("rb")
        self.say("CONNECT " + json.dumps({"user": "admin", "pass": "admin-secret", "verbose": False, "pedantic": False,
                                          "headers": True, "no_responders": True, "lang": "test", "version": "1"}))
        self.say("SUB answers.> 1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def line(self):
        found = self.file.readline()
        if not found:
            raise OSError("the connection ended")
        return found.decode().strip()

    def say(self, text, data=None):
        self.socket.sendall(text.encode() + b"\r\n" + (b"" if data is None else data + b"\r\n"))

    def message(self):
        """The next one: (subject, headers, data)."""
        while True:
            kind, *words = self.line().split(" ")
            if kind == "PING":
                self.say("PONG")
            elif kind == "-ERR":
                raise ValueError(" ".join(words))
            elif kind in ("MSG", "HMSG"):
                size = int(words[-1])
                head = int(words[-2]) if kind == "HMSG" else 0
                body = self.file.read(size + 2)[:-2]
                return words[0], dict(h.split(": ", 1) for h in body[:head].decode().split("\r\n") if ": " in h), body[head:]

    def ask(self, subject, question=None):
        data = json.dumps(question or {}).encode()
        self.say(f"PUB {subject} answers.one {len(data)}", data)
        return json.loads(self.message()[2])

    def stream(self, name="ROWS", subject="rows.>", window=600, **more):
        """Makes it anew."""
        self.ask(f"$JS.API.STREAM.DELETE.{name}")
        made = self.ask(f"$JS.API.STREAM.CREATE.{name}", {
            "name": name, "subjects": [subject], "storage": "file", "retention": "limits", "num_replicas": 1,
            "duplicate_window": int(window * 1e9), **more})
        assert "error" not in made, made

    def held(self, name="ROWS"):
        """How many messages the stream has."""
        return self.ask(f"$JS.API.STREAM.INFO.{name}")["state"]["messages"]

    def all(self, name="ROWS"):
        """[(subject, headers, data)] of the stream."""
        number = self.held(name)
        if number == 0:
            return []
        self.ask(f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.look",
                 {"stream_name": name, "config": {"durable_name": "look", "deliver_policy": "all", "ack_policy": "none"}})
        question = json.dumps({"batch": number}).encode()
        self.say(f"PUB $JS.API.CONSUMER.MSG.NEXT.{name}.look answers.next {len(question)}", question)
        found = [self.message() for _ in range(number)]
        self.ask(f"$JS.API.CONSUMER.DELETE.{name}.look")
        return found
