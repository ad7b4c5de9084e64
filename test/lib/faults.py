"""The fault page (test/fault/fault.h) from the test's side: programs with libc's functions replaced, in a folder of their
own, and the page beside each."""
import errno
import mmap
import os
import struct
import subprocess

from gateway import BUILD

SHORT, KILL, KILL_HALF = -1, -2, -3
CHANGES, ALLOCS, DISK = 1, 2, 3
SITES, NAME, HEAD = 1024, 48, 16
FIELDS = ["key", "from", "times", "action", "clock_shift_s", "changes", "allocs", "fired", "spoiled", "spoiled_use"]
BYTES = HEAD * 8 + SITES * (16 + NAME)


class Page:
    def __init__(self, program):
        self.program = program
        path = f"{program}.faults"
        with open(path, "w+b") as f:
            f.truncate(BYTES)
            self.map = mmap.mmap(f.fileno(), BYTES)

    def get(self, field):
        return struct.unpack_from("<q", self.map, FIELDS.index(field) * 8)[0]

    def set(self, field, value):
        struct.pack_into("<q", self.map, FIELDS.index(field) * 8, value)

    def arm(self, key, first, action, times=1):
        """From the first-th call of that key (counted from the page's beginning) on. Not while armed otherwise."""
        self.disarm()
        for field, value in (("from", first), ("times", times), ("action", action), ("key", key)):
            self.set(field, value)

    def disarm(self):
        self.set("key", 0)

    def sites(self):
        """{key: (count, name)}"""
        found = {}
        for n in range(SITES):
            key, count, name = struct.unpack_from(f"<qq{NAME}s", self.map, HEAD * 8 + n * (16 + NAME))
            if key:
                found[key] = (count, name.split(b"\0")[0].decode())
        return found

    def where(self, name):
        """A site's name with the line of source, where it is the program's own."""
        call, place = name.split(" ", 1)
        if not place.startswith("headgate"):
            return name
        done = subprocess.run(["addr2line", "-s", "-f", "-e", self.program, hex(int(place.split("+")[1], 16) - 1)],
                              capture_output=True, text=True)
        return f"{call} in {' '.join(done.stdout.split())}"


def install(folder, build=BUILD):
    """The two programs in a folder, with an empty page each: (daemon's path, its page, the host's page)."""
    folder.mkdir()
    for name in ("headgate", "headgate-host"):
        os.link(build / "fault" / name, folder / name)
    return folder / "headgate", Page(folder / "headgate"), Page(folder / "headgate-host")


def action_name(action):
    return {SHORT: "short", KILL: "killed before", KILL_HALF: "killed in half"}.get(action) or errno.errorcode[action]
