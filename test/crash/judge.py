"""Compares what clients were told with what the `file` pusher wrote. Knows nothing of headgate's insides: it reads the
loader's own log and the file, nothing else."""
import json
from collections import Counter


class Judge:
    def __init__(self, log, output):
        self.log, self.output = log, output
        self.log_at = self.file_at = 0
        self.rest = b""
        self.sent = {}     # uuid -> (ns, rows)
        self.acked = {}    # batch id -> (ns, uuid)
        self.by_uuid = {}  # uuid -> batch id it was acknowledged with
        self.ended = {}    # uuid -> ns of what ended the last try: an answer, or none
        self.lines = {}    # batch id -> [row numbers in the order of the file]
        self.wrote = {}    # batch id -> (uuid, rows that its set has by its own word)
        self.open = set()  # batches that were acknowledged and were not complete in the file at the last look
        self.busy = set()  # uuids sent and not ended at the last look
        self.faults = []

    # --- the client's log

    def read_log(self):
        if not self.log.exists():
            return
        with open(self.log, "rb") as f:
            f.seek(self.log_at)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.log_at += len(whole)
        for line in whole.decode().splitlines():
            kind, ns, uuid, *rest = line.split()
            self.take_note(kind, int(ns), uuid, rest)

    def take_note(self, kind, ns, uuid, rest):
        if kind == "S":
            self.sent[uuid] = (ns, int(rest[0]))
            self.busy.add(uuid)
            return
        self.ended[uuid] = ns
        if kind != "A":
            return
        if rest[0] in self.acked:
            self.faults.append(f"id {rest[0]} was given to {self.acked[rest[0]][1]} and to {uuid}")
        self.acked[rest[0]] = (ns, uuid)
        self.open.add(rest[0])
        self.by_uuid[uuid] = rest[0]

    # --- the pusher's file

    def read_file(self):
        if not self.output.exists():
            return
        with open(self.output, "rb") as f:
            f.seek(self.file_at)
            data = f.read()
        # What stands behind the last newline is looked at again: a torn line is cut later, and written anew.
        whole = data[:data.rfind(b"\n") + 1]
        self.file_at += len(whole)
        for line in whole.splitlines():
            self.take_line(line)

    def take_line(self, line):
        try:
            row = json.loads(line)
            batch, number = row["id"][:-6], int(row["id"][-5:], 32)
            uuid, mine, of = row["uuid"], row["data"]["row"], row["data"]["of"]
        except (ValueError, KeyError, TypeError):
            self.faults.append(f"a line that is no row: {line[:120]!r}")
            return
        if mine != number or row.get("index") != mine:
            self.faults.append(f"{row['id']} holds row {mine} of {uuid}")
        self.lines.setdefault(batch, []).append(number)
        if self.wrote.setdefault(batch, (uuid, of)) != (uuid, of):
            self.faults.append(f"{batch} is {self.wrote[batch]} and {(uuid, of)}")

    # --- at a kill

    def unanswered(self, ns):
        """Requests that were under way at that time (which is later than at the last look)."""
        count = sum(1 for uuid in self.busy if self.sent[uuid][0] < ns <= self.ended.get(uuid, ns))
        self.busy = {uuid for uuid in self.busy if uuid not in self.by_uuid and self.ended.get(uuid, ns) >= ns}
        return count

    def left(self, batch):
        return self.sent[self.acked[batch][1]][1] - len(set(self.lines.get(batch, ())))

    def unsettled(self, ns):
        """Rows that were acknowledged before, and are not in the file now."""
        self.open = {batch for batch in self.open if self.left(batch) > 0}
        return sum(self.left(batch) for batch in self.open if self.acked[batch][0] < ns)

    # --- the verdict

    def missing(self):
        """How many rows that were acknowledged are not in the file."""
        return sum(max(self.left(batch), 0) for batch in self.acked)

    def verdict(self):
        """Every fault, in words; none is the promise kept."""
        faults = Counter()
        examples = {}

        def fault(kind, text):
            faults[kind] += 1
            examples.setdefault(kind, text)

        for text in self.faults:
            fault("odd", text)
        for batch, (_, uuid) in self.acked.items():
            numbers = self.lines.get(batch, [])
            if not numbers:
                fault("lost", f"{uuid} ({batch}) was acknowledged and is not in the file")
            elif self.wrote[batch][0] != uuid:
                fault("odd", f"{batch} was acknowledged for {uuid} and holds {self.wrote[batch][0]}")
        batches = {}
        for batch, numbers in self.lines.items():
            uuid, of = self.wrote[batch]
            if len(set(numbers)) != len(numbers):
                fault("repeated", f"rows of {uuid} ({batch}) twice: {numbers}")
            if set(numbers) != set(range(of)):
                fault("half", f"{uuid} ({batch}) has {len(set(numbers))} rows of {of}")
            elif len(set(numbers)) == len(numbers) and numbers != sorted(numbers):
                fault("order", f"{uuid} ({batch}): {numbers}")
            batches.setdefault(uuid, set()).add(batch)
        for uuid, ids in batches.items():
            if len(ids) > 1:
                fault("repeated", f"{uuid} was taken as {sorted(ids)}")
        return {kind: f"{count} times, such as: {examples[kind]}" for kind, count in faults.items()}
