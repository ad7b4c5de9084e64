"""What every pusher to an SQL database must stand, whichever it is: `class TestIt(Suite)` in test_NAME.py says how this one
is reached and looked into, and all of this is run against its real server.

A destination (`far`) has: `options(proxy=None)` for the pusher, `rows(table)` as dictionaries by column name with the values as
the driver gives them, `sql(text)`, and for servers `server` (kit.Server).
"""
import json
import os
import random
import signal
import threading
from datetime import datetime
from decimal import Decimal

import pytest
from gateway import BUILD, command, wait_until
from proxy import Proxy
from trial import Sent, compare, count, dead_letters, drained, gateway, post, real_sets

METADATA = {"_id", "_uuid", "_index", "_received"}


def snake(key):
    """An own opinion on camelCase to snake_case, for the keys of the real rows."""
    out = ""
    for n, c in enumerate(key):
        follows = key[n + 1:n + 2]
        if c.isupper() and n and (not key[n - 1].isupper() or follows.islower()):
            out += "_"
        out += c.lower()
    return out


def same_value(sent, found):
    """Is what the column holds the value that was sent? A number in a column of texts stands there as it was written."""
    if sent is None or found is None:
        return sent is None and found is None
    if isinstance(sent, bool):
        return found in ((True, 1, "true", "1") if sent else (False, 0, "false", "0"))
    if isinstance(sent, (int, Decimal)):
        if isinstance(found, float):
            return Decimal(repr(found)) == sent
        return Decimal(found) == sent if not isinstance(found, str) else Decimal(found) == sent
    if isinstance(sent, (list, dict)):
        return (json.loads(found, parse_float=Decimal) if isinstance(found, str) else found) == sent
    return found == sent


def same_columns(data, row):
    values = {k: v for k, v in row.items() if k not in METADATA}
    named = {snake(k): v for k, v in data.items()}
    return (all(same_value(v, values.get(k)) for k, v in named.items())
            and all(v is None for k, v in values.items() if k not in named))


def same_json(data, row):
    found = row["data"]
    return (json.loads(found, parse_float=Decimal) if isinstance(found, str) else found) == data


class Posting:
    """Posts row sets from a thread of its own, whatever happens to the gateway meanwhile."""

    def __init__(self, g, sets):
        self.sent, self.fault = Sent(), None
        self.thread = threading.Thread(target=self.run, args=(g, sets), daemon=True)
        self.thread.start()

    def run(self, g, sets):
        try:
            post(g, sets, self.sent)
        except BaseException as e:  # told by finish()
            self.fault = e

    def finish(self):
        self.thread.join()
        if self.fault:
            raise self.fault
        return self.sent


class Suite:
    plugin = None     # name of the pusher

    def far(self):
        """A context manager that gives a destination."""
        raise NotImplementedError

    def gateway(self, far, proxy=None, **options):
        more = {k: options.pop(k) for k in ("env",) if k in options}
        g = gateway(self.plugin, {**far.options(proxy), **options})
        g.env.update(more.get("env", {}))
        return g

    def check(self, far, sent, same=same_columns, table="rows"):
        compare(sent, [(r["_uuid"], r["_index"], r) for r in far.rows(table)], same)

    def wait_some(self, far, g, more_than, timeout=60):
        """Until the pusher has delivered more than that, or all of it."""
        def some():
            p = g.pusher(self.plugin)
            return p and (p["delivered"] + p["duplicate"] > more_than or p["lag"]["rows"] == 0)
        wait_until(some, timeout, lambda: f"{g.pusher(self.plugin)}")

    # --- arrival

    @pytest.mark.parametrize("mode,same", [("columns", same_columns), ("json", same_json)])
    def test_real_rows(self, mode, same):
        total = count(100_000, 12_000)
        with self.far() as far, self.gateway(far, MODE=mode) as g:
            sent = Sent()
            post(g, real_sets(total), sent)
            drained(g, self.plugin)
            self.check(far, sent, same)
            assert len(sent.rows) == total and not g.dead()
            p = g.pusher(self.plugin)
            assert p["delivered"] == total and p["duplicate"] == 0

    def test_values(self):
        """Everything that JSON can hold arrives as it left; what a column cannot take makes it wider."""
        first = {"whole": 1, "big": 9007199254740993, "least": -9223372036854775808, "real": Decimal("0.1"),
                 "digits": Decimal("123456789.123456789123456789"), "tiny": Decimal("5e-324"), "flag": True, "no": None,
                 "text": "\U0001f600 \u00fc'\"\\\t\r\nx", "quote": "'); DROP TABLE rows; --", "nested": {"a": [1, {"b": "\u20ac"}]},
                 "list": [1, "2", None, True], "empty": "", "null": "\\N", "date": "2026-01-31", "group": "a keyword"}
        second = {**first, "whole": Decimal("0.30000000000000004"), "real": Decimal("0.1000000000000000055511151231257827"),
                  "flag": "yes", "nested": [1], "no": 5, "big": "text now"}
        third = {**second, "whole": "a text", "no": None, "newKey": 1}
        with self.far() as far, self.gateway(far) as g:
            sent = Sent()
            for n, data in enumerate((first, second, third)):  # each must find the table as the last left it
                post(g, [(f"set-{n}", [data])], sent)
                drained(g, self.plugin)
            self.check(far, sent)
            assert not g.dead()

    def test_killed(self):
        """kill -9 of the daemon, of its hosts, of both, while a backlog is pushed in small pieces."""
        total, kills = count(100_000, 12_000), count(20, 6)
        chance, busy = random.Random(7), 0
        with self.far() as far, self.gateway(far, BATCH_ROWS=10) as g:
            g.wait_state(self.plugin, "running")
            assert g.cli("pause", self.plugin).returncode == 0
            sent = Sent()
            post(g, real_sets(total, 1000), sent)
            assert g.cli("resume", self.plugin).returncode == 0
            for n in range(kills):
                p = g.pusher(self.plugin)
                self.wait_some(far, g, p["delivered"] + p["duplicate"] + chance.randrange(total // kills // 2))
                busy += g.pusher(self.plugin)["lag"]["rows"] > 0
                if n % 3 == 2:
                    os.kill(g.host(self.plugin), signal.SIGKILL)
                else:
                    g.kill9(hosts=n % 3 == 1)
                    g.start()
            drained(g, self.plugin)
            self.check(far, sent)
            assert len(sent.rows) == total and not g.dead() and busy * 2 > kills

    # --- rows that are to blame

    def test_one_in_a_thousand_is_bad(self):
        """Exactly those become dead letters, with the server's reason; their neighbours arrive."""
        total = count(100_000, 10_000)

        def change(n, data):
            bad = n % 1000 == 417
            return {"title": "x" * 300 if bad and n % 2000 < 1000 else f"t{n}", "amount": 5 if not bad or n % 2000 < 1000 else -5,
                    "n": n}
        with self.far() as far:
            far.make_strict_table()
            with self.gateway(far, TABLE="strict", ALTER="no") as g:
                sent = Sent()
                post(g, real_sets(total, change=change), sent)
                dead = dead_letters(g, self.plugin, total // 1000)
                bad = {k for k, d in sent.rows.items() if len(d["title"]) > 200 or d["amount"] < 0}
                assert len(bad) == total // 1000
                assert {(d["uuid"], d["row"]["index"] if "row" in d else d["index"]) for d in dead} == bad
                assert all(far.strict_reason(d["reason"]) for d in dead), {d["reason"] for d in dead}
                for key in bad:
                    del sent.rows[key]
                self.check(far, sent, table="strict")

    def test_names(self):
        """A collision, a name that is too long, a name of ours: refused, saying so; others of the same set arrive."""
        long = "a" * 64
        cases = {"collide": ({"abC": 1, "ab_c": 2}, "two keys"), "long": ({long: 1}, "63 bytes"),
                 "ours": ({"_uuid": "x"}, "_uuid"), "longAfterAll": ({"aB" * 32: 1}, "63 bytes"),
                 "unicode": ({"\u00e9" * 32: 1}, "63 bytes")}
        with self.far() as far, self.gateway(far, env={"HEADGATE_ROWS_KEYS": "any"}) as g:
            g.stop()
            g.start()
            sent = Sent()
            fine = [{"a" * 63: 1}, {"sp ace": 1, "quo\"te": 2, "back`tick": 3, "semi;colon": 4, "\u00fcber": 5, "perc%nt": 6}]
            bad = Sent()
            post(g, [("fine", fine)], sent)
            post(g, [(name, [data]) for name, (data, _) in cases.items()], bad)
            told = {d["uuid"]: d["reason"] for d in dead_letters(g, self.plugin, len(cases))}
            assert set(told) == set(cases)
            for name, (_, words) in cases.items():
                assert words in told[name], told[name]
            self.check(far, sent)

    def test_not_allowed(self):
        """CREATE=no waits for the table; ALTER=no refuses what does not fit, and never loses a digit silently."""
        with self.far() as far, self.gateway(far, CREATE="no", ALTER="no") as g:
            sent = Sent()
            post(g, [("one", [{"n": 1, "t": "x"}])], sent)
            wait_until(lambda: "no table" in g.pusher(self.plugin)["error"], 30, lambda: g.pusher(self.plugin))
            far.make_plain_table()
            drained(g, self.plugin)
            post(g, [("odd", [{"n": "text"}, {"n": Decimal("1.5")}, {"other": 1}, {"n": Decimal("123456789012345678901234567890.5")}])], Sent())
            found = dead_letters(g, self.plugin, 4)
            assert len(found) == 4, found
            post(g, [("two", [{"n": 2, "t": 5}])], sent)
            drained(g, self.plugin)
            self.check(far, sent)

    # --- probe

    def test_probe(self):
        with self.far() as far:
            env = {f"PLUGIN_{self.plugin.upper()}_{k}": str(v) for k, v in far.options().items()}
            assert self.probe(env).returncode == 0
            for key, value, words in far.wrong():
                done = self.probe({**env, f"PLUGIN_{self.plugin.upper()}_{key}": value})
                assert done.returncode == 78, done.stdout
                assert words in done.stdout, done.stdout

    def probe(self, env):
        return command("check", "--probe", "--plugins", BUILD / "plugins", env={**env, "HEADGATE_CONFIG": "/dev/null"})


class ServerSuite(Suite):
    """For those that are reached over a network."""

    def test_workers_alter_at_the_same_time(self):
        """Four workers, each of which meets new columns and values that do not fit, one table that is not there yet."""
        odd = [1, 12345678901234567, Decimal("1.5"), "text", Decimal("0.1234567890123456789"), True, [1], None]

        def change(n, data):
            return {**data, f"key{n % 37}": odd[n % 8 if n > 200 else 0], "shared": odd[(n // 700) % 5]}
        with self.far() as far, self.gateway(far, PARALLEL=4, BATCH_ROWS=50) as g:
            sent = Sent()
            post(g, real_sets(count(20_000, 4_000), 20, change=change), sent)
            drained(g, self.plugin)
            self.check(far, sent)
            assert not g.dead()

    @pytest.mark.parametrize("pushes", ["as they come", "one"])
    def test_times(self, pushes):
        """Keys that are times: the same instant comes back; what is no time is refused, also in the push that makes the column."""
        good = {"a": ("2026-01-31T13:00:00.25+01:00", datetime(2026, 1, 31, 12, 0, 0, 250000)),
                "b": ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59)), "c": (None, None)}
        with self.far() as far, self.gateway(far, TIMES="takenAt, other") as g:
            if pushes == "one":
                g.admin("POST", f"/v1/pushers/{self.plugin}/pause")
                g.wait_state(self.plugin, "paused")
            post(g, [(u, [{"takenAt": text}]) for u, (text, _) in good.items()], Sent())
            post(g, [("x", [{"takenAt": "half past ten"}]), ("y", [{"takenAt": 1769860800}])], Sent())
            if pushes == "one":
                g.admin("POST", f"/v1/pushers/{self.plugin}/resume")
            dead = dead_letters(g, self.plugin, 2)
            assert {d["uuid"] for d in dead} == {"x", "y"}, dead
            found = {r["_uuid"]: r["taken_at"] for r in far.rows("rows")}
            assert {k: v and v.replace(tzinfo=None) for k, v in found.items()} == {u: t for u, (_, t) in good.items()}

    @pytest.mark.parametrize("name", ["IP:127.0.0.1", "DNS:elsewhere"])
    def test_tls(self, name):
        """Only to the server that the certificate names, unless VERIFY=no; never in the clear when the server forbids it."""
        with self.far(tls=name) as far:
            prefix = f"PLUGIN_{self.plugin.upper()}_"
            env = {prefix + k: str(v) for k, v in far.options().items()}
            right = name.startswith("IP")
            for options, works in (({"CA": far.server.cert}, right), ({"TLS": "yes", "CA": far.server.cert}, right),
                                   ({"TLS": "yes"}, False), ({"TLS": "yes", "VERIFY": "no"}, True), ({"TLS": "no"}, False),
                                   ({}, True)):
                done = self.probe({**env, **{prefix + k: str(v) for k, v in options.items()}})
                assert (done.returncode == 0) == works, (options, done.stdout)
            with self.gateway(far, TLS="yes", **({"CA": far.server.cert} if right else {"VERIFY": "no"})) as g:
                sent = Sent()
                post(g, real_sets(400), sent)
                drained(g, self.plugin)
                self.check(far, sent)

    # --- faults

    def test_server_stops_and_starts(self):
        total = count(100_000, 12_000)
        with self.far() as far, self.gateway(far, BATCH_ROWS=100) as g:
            posting = Posting(g, real_sets(total, 100))
            for n in range(count(8, 4)):
                self.wait_some(far, g, g.pusher(self.plugin)["delivered"] + 200)
                far.server.restart(kill=n % 2 == 1)
            sent = posting.finish()
            drained(g, self.plugin)
            self.check(far, sent)
            assert len(sent.rows) == total and not g.dead()

    @pytest.mark.parametrize("fault", ["cut", "lose", "both"])
    def test_answers_cut_and_lost(self, fault):
        """Connections end in the middle of an answer, or with none, at random."""
        total = count(100_000, 10_000)
        with self.far() as far, Proxy(far.server.port, seed=3) as proxy:
            with self.gateway(far, proxy, BATCH_ROWS=100) as g:
                self.wait_some(far, g, -1)
                if fault != "lose":
                    proxy.cut = 0.05
                if fault != "cut":
                    proxy.lose = 0.05
                sent = Posting(g, real_sets(total, 100)).finish()
                wait_until(lambda: proxy.cuts + proxy.losses >= 10 or g.pusher(self.plugin)["lag"]["rows"] == 0, 120)
                drained(g, self.plugin)
                assert proxy.cuts + proxy.losses >= 3, "hardly a fault happened"
                proxy.calm()
                self.check(far, sent)
                assert len(sent.rows) == total and not g.dead()

    def test_black_hole(self):
        """Nothing comes back and nothing is closed; what hangs at the server must not stand in the way of the repeat."""
        with self.far() as far, Proxy(far.server.port) as proxy:
            with self.gateway(far, proxy, BATCH_ROWS=100, REQUEST_TIMEOUT="1s", CONNECT_TIMEOUT="1s") as g:
                sent = Sent()
                post(g, real_sets(400, 100, "before"), sent)
                drained(g, self.plugin)
                proxy.hole = True
                post(g, real_sets(400, 100, "while"), sent)
                wait_until(lambda: g.pusher(self.plugin)["state"] == "retrying", 60)
                proxy.calm()
                drained(g, self.plugin)
                self.check(far, sent)
                assert not g.dead()

    def test_wrong_password(self):
        """Twenty tries, no dead letter; with the right one everything arrives."""
        with self.far() as far:
            far.set_password("another")
            with self.gateway(far, RETRY_MAX="100ms") as g:
                sent = Sent()
                post(g, real_sets(500), sent)
                told = wait_until(lambda: self.refusals(g) >= 20 and self.refusals(g), 120,
                                  lambda: f"20 tries: {self.refusals(g)} {g.pusher(self.plugin)}")
                assert told >= 20 and not g.dead() and g.pusher(self.plugin)["lag"]["rows"] == 500
                far.set_password("hgtest")
                drained(g, self.plugin)
                self.check(far, sent)
                assert not g.dead()

    def refusals(self, g):
        """How often it was told that the password is wrong."""
        p = g.pusher(self.plugin)
        return p["retries"] + p["restarts"]
