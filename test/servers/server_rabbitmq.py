"""RabbitMQ, from the distribution. Its tests look into it with pika."""
import contextlib
import socket

import kit


class RabbitMQ(kit.Server):
    """User `hgtest` may do everything; messages may have `largest` bytes. With `tls` it also listens on `tls_port`."""

    name, version, packages = "rabbitmq", "3", True
    user = "rabbitmq"
    start_seconds = 180
    largest = 500_000  # bytes of a message

    def new_ports(self):
        self.port, self.tls_port, self.inner, self.epmd = (kit.free_port() for _ in range(4))

    def prepare(self):
        for name in ("data", "logs"):
            (self.dir / name).mkdir()
            self.give(self.dir / name)

    def environment(self):
        return {**super().environment(), "RABBITMQ_NODENAME": f"hg{self.port}@localhost", "RABBITMQ_MNESIA_BASE": f"{self.dir}/data",
                "RABBITMQ_LOG_BASE": f"{self.dir}/logs", "RABBITMQ_CONFIG_FILE": f"{self.dir}/conf", "RABBITMQ_LOGS": "-",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.dir}/plugins", "RABBITMQ_DIST_PORT": str(self.inner),
                "ERL_EPMD_PORT": str(self.epmd), "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2"}

    def command(self):
        conf, plugins = self.dir / "conf.conf", self.dir / "plugins"
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "default_user = hgtest", "default_pass = hgtest-secret",
                 f"max_message_size = {self.largest}", "log.console.level = warning", "disk_free_limit.absolute = 1MB",
                 "vm_memory_high_watermark.absolute = 1GB"]
        if self.tls:
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}", f"ssl_options.cacertfile = {self.cert}",
                      f"ssl_options.certfile = {self.cert}", f"ssl_options.keyfile = {self.key}",
                      f"ssl_options.verify = verify_{'peer' if self.mutual else 'none'}",
                      f"ssl_options.fail_if_no_peer_cert = {'true' if self.mutual else 'false'}"]
        conf.write_text("\n".join(lines) + "\n")
        plugins.write_text("[].\n")
        for path in (conf, plugins):
            self.give(path)
        # The server would start a daemon of its own for names, which stays behind.
        return ["sh", "-c", f"epmd -port {self.epmd} -address 127.0.0.1 & exec /usr/lib/rabbitmq/bin/rabbitmq-server"]

    def ready(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as s:
            s.sendall(b"AMQP\0\0\x09\x01")
            return s.recv(1) == b"\x01"
        return False

    def ctl(self, *words):
        return self.run_as_user(["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", *words])

    def channel(self):
        return Channel(self)

    def stand(self):
        self.largest = 2000

    def first(self):
        if self.lasting:
            with self.channel() as c:
                c.queue()

    def different_rows(self):
        with self.channel() as c:
            return len({properties.message_id for _, properties, _ in c.take(keep=True)})


class Channel:
    """A connection of the test's own: `with broker.channel() as c:`, c.amqp is pika's channel."""

    def __init__(self, server):
        import pika

        self.connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", server.port, credentials=pika.PlainCredentials("hgtest", "hgtest-secret")))
        self.amqp = self.connection.channel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.connection.close()

    def queue(self, name="rows", **arguments):
        """Makes it anew, durable."""
        self.amqp.queue_delete(name)
        self.amqp.queue_declare(name, durable=True, arguments=arguments)

    def count(self, name="rows"):
        return self.amqp.queue_declare(name, passive=True).method.message_count

    def take(self, name="rows", keep=False):
        """[(delivery, properties, body)] of all that the queue has, which is empty then, unless they are to be kept: until
        the connection ends."""
        number = self.count(name)
        found = []
        if number:
            for message in self.amqp.consume(name, auto_ack=not keep):
                found.append(message)
                if len(found) == number:
                    break
            if not keep:
                self.amqp.cancel()
        return found

