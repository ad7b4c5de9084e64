"""Reloads by SIGHUP and by the API under full load, with random changes of settings, plugins and their files, some of them
wrong: no row is lost or doubled, no connection is dropped, no request is refused, and each reload says its generation and
what it changed, or why it changed nothing."""
import os
import random
import signal
import time

from counts import SEED, count
from crash import Crash
from gateway import BUILD, wait_until

RELOADS = count("RELOADS", 20, 1000)
FLOW_EVERY = 5  # reloads between two looks whether rows still flow

# What may be changed, with values that are all good. "restart": said to need a restart, and so not in force.
SETTINGS = {
    "http.max_rows": ["1000", "1001", "5000"], "http.max_memory": ["128MiB", "200MiB"], "http.body_timeout": ["30s", "40s"],
    "journal.keep": ["1h", "10s", "24h"], "journal.keep_bytes": ["8MiB", "1GiB"], "dead.max_bytes": ["1GiB", "2GiB"],
    "log.level": ["info", "debug"], "stop.timeout": ["20s", "10s"], "clients.rows_per_second": ["off", "1000"],
    "clients.undelivered_bytes": ["off", "1GiB"], "client lab.keep": ["1h", "2h"], "oidc.leeway": ["50s", "40s"],
}
RESTART = {"oidc.leeway"}
PLUGINS = {
    "plugin file.batch_rows": ["1000", "100", "7"], "plugin file.batch_wait": ["5ms", "1ms"], "plugin file.when": ["true"],
    "plugin file.process": ["pass"], "plugin pass.filter": [".data", ".data + {}"], "plugin null.enabled": ["yes", "no"],
    "plugin null.batch_rows": ["10", "1000"], "plugin chaos.enabled": ["yes", "no"], "plugin chaos.batch_rows": ["10", "100"],
    "plugin extra.use": ["null"], "plugin extra.enabled": ["yes", "no"],
}
DEFAULTS = {"http.max_rows": "100000", "http.max_memory": "128MiB", "http.body_timeout": "30s", "journal.keep": "24h",
            "journal.keep_bytes": "1GiB", "dead.max_bytes": "1GiB", "log.level": "info", "stop.timeout": "20s",
            "clients.rows_per_second": "off", "clients.undelivered_bytes": "off", "oidc.leeway": "30s",
            "plugin file.batch_rows": "1000", "plugin file.batch_wait": "5ms",
            "plugin null.batch_rows": "1000", "plugin pass.filter": ".data"}
FAULTS = {"http.max_rows": "none", "journal.keep": "7", "plugins.watch": "perhaps", "http.max_row": "5"}


def ini(choice):
    text, sections = "[plugin pass]\nuse = jq\n", {}
    for key, value in choice.items():
        section, name = key.rsplit(".", 1)
        sections.setdefault(section, []).append(f"{name} = {value}\n")
    text += "".join(sections.pop("plugin pass", ["filter = .data\n"]))
    return text + "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def in_force(key, choice):
    return choice.get(key, DEFAULTS.get(key, ""))


class Changes:
    """The settings file, changed step by step, and what each reload has to say of it."""

    def __init__(self, c, chance):
        self.c, self.chance, self.now, self.generation, self.failed = c, chance, {}, 1, 0

    def write(self, choice):
        scratch = self.c.work / "fresh.ini"
        scratch.write_text(ini(choice))
        os.rename(scratch, self.c.config)

    def next(self):
        choice = dict(self.now)
        for key in self.chance.sample(sorted({**SETTINGS, **PLUGINS}), self.chance.randint(0, 4)):
            values = [*{**SETTINGS, **PLUGINS}[key], None]
            value = self.chance.choice([v for v in values if v != choice.get(key)])
            choice.pop(key, None)
            if value is not None:
                choice[key] = value
        if "plugin extra.use" not in choice:
            choice.pop("plugin extra.enabled", None)
        return choice

    def reload(self, by_signal, good):
        """What it says: status, and the answer or the log's line, which may come after an answer."""
        c = self.c
        self.generation += good
        self.failed += not good
        if not by_signal:
            answer = c.admin("POST", "/v1/reload")
            return answer.status, answer.json()
        c.signal(signal.SIGHUP)
        if not good:
            event = wait_until(lambda: [e for e in c.events if e.get("event") == "reload.failed"][self.failed - 1:], 30)[0]
            return 422, {"faults": event["faults"].splitlines(), "generation": self.generation}
        event = c.wait_event("reload.done", 30, generation=self.generation)
        return 200, {k: event[k].split("\n")[:-1] for k in ("changed", "restart")} | {"generation": event["generation"]}

    def good(self, by_signal):
        before, self.now = self.now, self.next()
        self.write(self.now)
        status, said = self.reload(by_signal, True)
        assert status == 200 and said["generation"] == self.generation, said
        differ = {k for k in {*before, *self.now} if in_force(k, before) != in_force(k, self.now)}
        words = {"client" if k.startswith("client ") else k for k in differ if not k.startswith("plugin ")}
        told = {w for w in said["changed"] if "." in w or w == "client"}
        if any(w.startswith("clients.") for w in words):
            told, words = told - {"client"}, words - {"client"}  # a section has what it does not say from all clients'
        assert told == words - RESTART, (said, before, self.now)
        assert set(said["restart"]) == words & RESTART, (said, before, self.now)
        ours = {k.split()[1].split(".")[0] for k in differ if k.startswith("plugin ")} - {"pass", "extra", "chaos"}  # no pusher; may be gone
        assert ours <= set(said["changed"]), (said, before, self.now)

    def bad(self, by_signal):
        key, value = self.chance.choice(sorted(FAULTS.items()))
        self.write({**self.now, key: value})
        status, said = self.reload(by_signal, False)
        assert status == 422 and said["generation"] == self.generation, said
        assert any(key.split(".")[1] in fault for fault in said["faults"]), said
        self.write(self.now)


def files(c, chance):
    """A plugin's file comes, is replaced, or goes."""
    target = c.own_plugins / "chaos.so"
    if target.exists() and chance.random() < 0.3:
        target.unlink()
    else:
        c.add_plugin(BUILD / "fixture/chaos.so")


def test_reloads_under_load(capsys):
    chance = random.Random(SEED)
    with Crash(SEED, {"PLUGIN_CHAOS_RETRY_MAX": "200ms", "HEADGATE_HTTP_IDLE_TIMEOUT": "1h"}, plugins=["chaos"]) as c:
        c.config.write_text(ini({}))
        c.start()
        c.start_load()
        c.wait_flow()
        changes, began, refused = Changes(c, chance), time.monotonic(), 0
        wire = c.wire("admin")
        wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.answer().status == 200  # and rests from now on
        for n in range(RELOADS):
            by_signal = chance.random() < 0.4
            if chance.random() < 0.15:
                files(c, chance)
            if chance.random() < 0.15:
                changes.bad(by_signal)
                refused += 1
            else:
                changes.good(by_signal)
            if n % FLOW_EVERY == 0:
                c.wait_flow()
        spent = time.monotonic() - began
        assert wire.quiet(0.01), "an idle connection was ended"
        wire.sock.close()
        changes.write({})
        assert c.admin("POST", "/v1/reload").status == 200
        verdict = c.settle()
        kinds = [line.split()[0] for line in c.judge.log.read_text().splitlines()]
        with capsys.disabled():
            print(f"\nseed {SEED}: {RELOADS} reloads under load in {spent:.0f} s, {refused} of them refused; "
                  f"{len(c.judge.acked)} row sets acknowledged, {kinds.count('U')} connections broken, "
                  f"{kinds.count('R')} requests refused")
        assert not verdict, verdict
        assert kinds.count("U") == 0 and kinds.count("R") == 0
