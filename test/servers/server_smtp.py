"""A mail server, aiosmtpd from the distribution: it takes mails from `hgtest` alone, over TLS (`way`: starttls, smtps,
none)."""
import email
import json
from pathlib import Path

import kit


class Mail(kit.Server):
    """`mails()` is what it keeps; `answer(text)` is what it says to every mail, `answer(None)`: it takes them again."""

    name, version, packages = "smtp", "1.4", True
    way = "starttls"

    def prepare(self):
        self.folder = self.dir / "mails"
        self.folder.mkdir()
        self.give(self.folder)

    def stand(self):
        self.folder, self.way = self.dir / "mails", "none"

    def different_rows(self):
        return len({json.loads(line)["id"] for _, _, _, lines in self.mails() for line in lines})

    def command(self):
        return ["/usr/bin/python3", Path(__file__).with_name("smtpd.py"), self.port, self.folder, "hgtest", "hgtest-secret",
                self.cert or "", self.key or "", self.way, *["mutual"] * self.mutual]

    def answer(self, text):
        path = self.folder / "answer"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)

    def mails(self):
        """[(from, [to…], the mail as Python reads it, its rows)]."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            kept = json.loads(path.read_text())
            mail = email.message_from_string(kept["mail"])
            found.append((kept["from"], kept["to"], mail, mail.get_payload(decode=True).decode("utf-8").splitlines()))
        return found

    def empty(self):
        for path in self.folder.glob("*.json"):
            path.unlink()
