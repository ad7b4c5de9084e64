"""A control tower and a Riffyn as the `riffyn` pusher knows them, in Python: it knows every trigger, keeps each document as a file
under its Idempotency-Key, and refuses one with a key `badWell` in it."""
from pathlib import Path

import kit


class Riffyn(kit.Server):
    name, version, packages = "riffyn", "1", True

    def prepare(self):
        self.folder = self.dir / "documents"
        self.folder.mkdir()
        self.give(self.folder)

    def stand(self):
        self.folder = self.dir / "documents"

    def command(self):
        return ["/usr/bin/python3", "-B", Path(__file__).with_name("riffynd.py"), self.port, self.folder]

    def different_rows(self):
        return sum(int(path.read_text()) for path in self.folder.glob("*.rows"))
