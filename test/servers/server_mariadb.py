"""MariaDB, from the distribution. It stands in for MySQL as well."""
import kit


class MariaDB(kit.Server):
    """`connect()`: a pymysql connection as root on the socket; user and database `hgtest` with a password are there.
    With `tls` that user can come in by TLS only."""

    name, version, packages, user = "mariadb", "10.11", True, "mysql"

    @property
    def socket(self):
        return self.dir / "my.sock"

    def prepare(self):
        self.run_as_user(["mariadb-install-db", "--no-defaults", f"--datadir={self.dir / 'data'}",
                          "--auth-root-authentication-method=normal", "--skip-test-db"])

    def command(self):
        tls = [f"--ssl-cert={self.cert}", f"--ssl-key={self.key}"] if self.tls else []
        tls += [f"--ssl-ca={self.cert}"] if self.mutual else []
        return ["mariadbd", "--no-defaults", *tls, f"--datadir={self.dir / 'data'}", f"--socket={self.socket}",
                f"--pid-file={self.dir / 'my.pid'}", "--bind-address=127.0.0.1", f"--port={self.port}", "--server-id=1",
                "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL", "--binlog-row-metadata=FULL",
                "--gtid-strict-mode=1", "--innodb-buffer-pool-size=64M", "--character-set-server=utf8mb4"]

    def environment(self):
        found = super().environment()
        return {**found, "PATH": found["PATH"] + ":/usr/sbin:/sbin"}

    def connect(self, database="hgtest"):
        import pymysql

        return pymysql.connect(unix_socket=str(self.socket), user="root", database=database, charset="utf8mb4",
                               autocommit=True)

    def ready(self):
        import pymysql

        try:
            self.connect(None).close()
            return True
        except pymysql.err.OperationalError:
            return False

    def first(self):
        self.sql("CREATE DATABASE hgtest CHARACTER SET utf8mb4", database=None)
        self.sql("CREATE USER hgtest@'127.0.0.1' IDENTIFIED BY 'hgtest'"
                 + (" REQUIRE X509" if self.mutual else " REQUIRE SSL" if self.tls else ""), database=None)
        self.sql("GRANT ALL ON hgtest.* TO hgtest@'127.0.0.1'", database=None)

    def different_rows(self):
        return self.sql("SELECT count(DISTINCT _id) FROM `rows`")[0][0]

    def sql(self, text, *values, database="hgtest"):
        """Runs it; the rows, where it gives any."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, values or None)
                return cursor.fetchall()
        finally:
            connection.close()
