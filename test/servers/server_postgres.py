"""PostgreSQL, from the distribution."""
from pathlib import Path

import kit


class Postgres(kit.Server):
    """`connect()`: a psycopg2 connection as the superuser `postgres`; user and database `hgtest` with a password are there.
    With `tls` that user can come in by TLS only."""

    name, version, packages, user = "postgres", "15", True, "postgres"

    @staticmethod
    def program(name):
        """The newest version's."""
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4]))
        assert found, f"{name} of PostgreSQL is not installed"
        return found[-1]

    def prepare(self):
        self.run_as_user([self.program("initdb"), "-D", self.dir / "data", "-A", "trust", "--no-sync", "-E", "UTF8",
                          "--locale=C.UTF-8"])
        # The superuser comes in freely (the tests' own look at it); everybody else needs his password.
        others = "hostssl" if self.tls else "host"
        (self.dir / "data/pg_hba.conf").write_text("host all postgres 127.0.0.1/32 trust\nlocal all all trust\n"
                                                   f"{others} all all 127.0.0.1/32 scram-sha-256"
                                                   f"{' clientcert=verify-ca' if self.mutual else ''}\n")

    def command(self):
        tls = ["-c", "ssl=on", "-c", f"ssl_cert_file={self.cert}", "-c", f"ssl_key_file={self.key}",
               "-c", f"ssl_ca_file={self.cert if self.mutual else ''}"] if self.tls else []
        return [self.program("postgres"), *tls, "-D", self.dir / "data", "-p", self.port, "-c", "listen_addresses=127.0.0.1",
                "-c", f"unix_socket_directories={self.dir}", "-c", "wal_level=logical", "-c", "max_connections=50"]

    def connect(self, user="postgres", database="hgtest", **more):
        import psycopg2

        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=user, dbname=database, **more)
        connection.autocommit = True
        return connection

    def ready(self):
        import psycopg2

        try:
            self.connect(database="postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def first(self):
        self.sql("CREATE USER hgtest PASSWORD 'hgtest'", database="postgres")
        self.sql("CREATE DATABASE hgtest OWNER hgtest", database="postgres")

    def different_rows(self):
        return self.sql("SELECT count(DISTINCT _id) FROM rows")[0][0]

    def sql(self, text, *values, database="hgtest"):
        """Runs it; the rows, where it gives any."""
        connection = self.connect(database=database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
