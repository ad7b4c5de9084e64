"""Redis, from the distribution."""
import kit


class Redis(kit.Server):
    """`client()`: a connection without a password of its own; user `hgtest` with a password is there. Every write is on
    disk before its answer. `tls_port`: the same with TLS, `ca` is the certificate to trust."""

    name, version, packages, user = "redis", "7", True, "redis"

    def new_ports(self):
        self.port, self.tls_port = kit.free_port(), kit.free_port()

    @property
    def ca(self):
        return self.dir / "tls.crt"

    def prepare(self):
        kit.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                 "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                 "-keyout", self.dir / "tls.key", "-out", self.ca])
        self.give(self.ca)
        self.give(self.dir / "tls.key")

    def command(self):
        return ["redis-server", "--port", self.port, "--tls-port", self.tls_port, "--tls-cert-file", self.ca,
                "--tls-key-file", self.dir / "tls.key", "--tls-ca-cert-file", self.ca,
                "--tls-auth-clients", "yes" if self.mutual else "no", "--bind", "127.0.0.1", "--dir", self.dir,
                "--unixsocket", self.dir / "redis.sock", "--unixsocketperm", "777",
                "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--aclfile", self.acl]

    @property
    def acl(self):
        path = self.dir / "users.acl"
        if not path.exists():
            path.write_text("user default on nopass ~* &* +@all\nuser hgtest on >hgtest-secret ~* &* +@all\n")
            self.give(path)
        return path

    def client(self, **more):
        import redis

        return redis.Redis("127.0.0.1", self.port, decode_responses=True, **more)

    def different_rows(self):
        return self.client().xlen("rows")  # none may be there twice

    def ready(self):
        import redis

        try:
            return self.client().ping()
        except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            return False
