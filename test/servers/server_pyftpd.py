"""pyftpdlib, from PyPI (the distribution's closes every data connection with TLS): FTP, with TLS on request (`way`: explicit
or implicit)."""
import csv
from pathlib import Path

import kit
from files_like import FilesLike


class PyFTPd(FilesLike):
    name, version, packages = "pyftpd", "2.2.0", False
    user_name, way = "hgtest", "explicit"

    @classmethod
    def fetch(cls, folder):
        kit.python_install(folder, f"pyftpdlib=={cls.version}", "pyopenssl")

    def url(self, port=None):
        return f"{'ftps' if self.tls and self.way == 'implicit' else 'ftp'}://127.0.0.1:{port or self.port}"

    def options(self):
        more = {"CA": self.cert} if self.tls else {}
        if self.tls and self.way == "explicit":
            more["TLS"] = "yes"
        return {"USER": self.user_name, "PASSWORD": self.secret, **more}

    def wrong(self):
        """A password that is none, and what is said then."""
        return {"PASSWORD": "wrong"}, "530"

    def different_rows(self):
        csv.field_size_limit(1 << 20)
        found = set()
        for name in self.names():
            with open(self.files / name, encoding="utf-8", newline="") as f:
                found |= {row["_id"] for row in csv.DictReader(f)}
        return len(found)

    def command(self):
        tls = [self.cert, self.key, self.way] + ["mutual"] * self.mutual if self.tls else []
        return [self.home() / "bin/python", Path(__file__).with_name("ftpd.py"), self.port, self.files, self.user_name,
                self.secret, *tls]
