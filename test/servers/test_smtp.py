"""The `smtp` pusher and a real mail server: every row set arrives at least once, whatever is killed, cut or refused."""
import json
from decimal import Decimal
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime

import pytest
from faults import probe, storm
from proxy import Proxy
from trial import Sent, compare, count, dead_letters, document, drained, gateway, post, real_sets

from gateway import wait_until
from kit import free_port, server


@pytest.fixture(scope="module")
def standing():
    with server("smtp")(tls="IP:127.0.0.1") as s:
        yield s


@pytest.fixture
def mail(standing):
    """With no mail in it."""
    standing.empty()
    yield standing
    standing.answer(None)


def options(server, port=None, **more):
    return {"HOST": "127.0.0.1", "PORT": port or server.port, "SENDER": "gateway@lab.test", "TO": "data@lab.test", "USER": "hgtest",
            "PASSWORD": "hgtest-secret", "CA": server.cert, **more}


def rows(mail):
    found = [json.loads(line, parse_float=Decimal) for _, _, _, lines in mail.mails() for line in lines]
    return [(r["uuid"], r["index"], r["data"]) for r in found]


def told(g, words):
    return wait_until(lambda: words in json.dumps(g.pusher("smtp")) or any(words in line for line in g.lines), 60,
                      lambda: g.pusher("smtp"))


@pytest.mark.parametrize("send", ["set", "digest"])
def test_all_rows_arrive(mail, send):
    sent = Sent()
    more = {"SUBJECT": "rows of the day %Y"} if send == "digest" else {}
    with gateway("smtp", options(mail, SEND=send, **more)) as g:
        post(g, real_sets(count(100_000, 10_000)), sent)
        drained(g, "smtp")
        assert not g.dead()
    compare(sent, rows(mail))
    mails, sets = mail.mails(), count(500, 50)
    assert len(mails) == sets if send == "set" else len(mails) < sets
    assert len({m["Message-ID"] for _, _, m, _ in mails}) == len(mails)
    for _, _, m, lines in mails:
        assert [json.loads(line)["index"] for line in lines][:200] == list(range(200))
        assert int(m["X-Headgate-Rows"]) == len(lines)


ODD = {"big": 9223372036854775807, "decimal": Decimal("1.50"), "text": "\U0001f9ea \u00fc\n.\r\n.\n\"", "nothing": None, "yes": True,
       "nested": {"b": [1, {"c": "d"}]}, "empty": "", "long": "x" * 100_000}


def test_a_mail(mail):
    bad = "a\r\nBcc: evil@x, <b>"
    with gateway("smtp", options(mail, TO="one@lab.test, {who}@lab.test", SUBJECT="Gr\u00fc\u00dfe {uuid} {who}", FORM="attachment")) as g:
        body = json.loads(document("u", [{}]).decode())
        body["uuid"], body["tags"] = "plate 7\u00fc: <x@y>", {"who": bad}
        text = json.dumps(body).replace('"data": {}', '"data": ' + document("u", [ODD]).decode().split('"data":', 1)[1].rsplit("}]}", 1)[0])
        assert g.post(text.encode()).status == 202
        drained(g, "smtp")
        assert not g.dead(), g.dead()
    [(sender, to, m, [line])] = mail.mails()
    tagged = "a%0D%0ABcc%3A%20evil%40x%2C%20%3Cb%3E"
    assert (sender, to) == ("gateway@lab.test", ["one@lab.test", f"{tagged}@lab.test"])
    assert m["Bcc"] is None and m["From"] == "gateway@lab.test" and m.get_content_type() == "application/x-ndjson"
    assert str(make_header(decode_header(m["Subject"]))) == f"Gr\u00fc\u00dfe plate%207%C3%BC%3A%20%3Cx%40y%3E {tagged}"
    assert m.get_filename().endswith(".ndjson") and m["Message-ID"].endswith("@lab.test>")
    assert parsedate_to_datetime(m["Date"]).year >= 2024
    assert json.loads(line, parse_float=Decimal)["data"] == ODD


def test_at_least_once_through_everything(mail):
    sent = Sent()
    with Proxy(mail.port, seed=7) as proxy, \
            gateway("smtp", options(mail, proxy.port, BATCH_ROWS=500, PARALLEL=2, REQUEST_TIMEOUT="5s"), clean=False) as g:
        storm(g, "smtp", real_sets(count(50_000, 10_000), size=100), sent, proxy, mail, rounds=1, chance=0.02)
        drained(g, "smtp")
        compare(sent, rows(mail), once=False)
        assert not g.dead()
    ids = {}
    for _, _, m, lines in mail.mails():
        assert ids.setdefault(m["Message-ID"], lines) == lines, "a repeat is the same mail"


def test_one_in_a_thousand_is_refused(mail):
    """For what is in it, or for its size. Its neighbours arrive."""
    sent, good, total = Sent(), Sent(), count(20_000, 3_000)

    def change(n, data):
        return {**data, "pad": "poison" if n % 2000 == 500 else "x" * 1_000_000} if n % 1000 == 500 else data
    with gateway("smtp", options(mail)) as g:
        post(g, real_sets(total, change=change), sent)
        dead = dead_letters(g, "smtp", total // 1000)
        good.rows = {k: d for k, d in sent.rows.items() if "pad" not in d}
        compare(good, rows(mail))
        reasons = [d["reason"] for d in dead]
        assert len(dead) == total // 1000 and all("not to our taste" in r or "552" in r for r in reasons), reasons


def test_recipients(mail):
    """A recipient of the row's own that is unknown is the row's fault; one that all rows have is not. Nor is a busy one, or a
    policy of the server's."""
    def take(g, who):
        body = {"uuid": who, "tags": {"who": who}, "rows": [{"index": 0, "data": {"n": 1}}]}
        assert g.post(json.dumps(body).encode()).status == 202
    with gateway("smtp", options(mail, TO="{who}@lab.test")) as g:
        for who in ("nobody", "ada"):
            take(g, who)
        [dead] = dead_letters(g, "smtp", 1)
        assert "5.1.1 no such user" in dead["reason"] and dead["uuid"] == "nobody"
        assert rows(mail) == [("ada", 0, {"n": 1})]
        for who, words in (("relay", "relay access denied"), ("later", "mailbox busy")):
            g.restart({"PLUGIN_SMTP_TO": "{who}@lab.test"})
            take(g, who)
            told(g, words)
            g.restart({"PLUGIN_SMTP_TO": "data@lab.test"})
            drained(g, "smtp")
        g.restart({"PLUGIN_SMTP_TO": "nobody@lab.test"})
        take(g, "all")
        told(g, "no such user")
        assert len(g.dead()) == 1


def test_a_wrong_password_is_never_a_dead_letter(mail):
    sent = Sent()
    with gateway("smtp", options(mail, PASSWORD="wrong")) as g:
        before = mail.log.read_text().count("login refused")
        post(g, real_sets(200), sent)
        wait_until(lambda: mail.log.read_text().count("login refused") >= before + 20, 60, lambda: g.pusher("smtp"))
        assert not g.dead() and not rows(mail)
        mail.answer("451 4.3.1 disk full")
        g.restart({"PLUGIN_SMTP_PASSWORD": "hgtest-secret"})
        told(g, "disk full")
        mail.answer("554 5.7.1 your address is on a list")
        told(g, "on a list")
        assert not g.dead()
        mail.answer(None)
        drained(g, "smtp")
        compare(sent, rows(mail))


def test_tls_and_probe(mail):
    class Safe(server("smtp")):
        name, way = "smtp", "smtps"

    sent = Sent()
    with Safe(tls="IP:127.0.0.1") as safe:
        with gateway("smtp", options(safe, TLS="smtps")) as g:
            post(g, real_sets(400), sent)
            drained(g, "smtp")
        compare(sent, rows(safe))
        assert probe("smtp", **options(safe, TLS="smtps"))[0] == 0
    assert probe("smtp", **options(mail))[0] == 0
    other = {**options(mail), "HOST": "localhost"}
    none = {k: v for k, v in options(mail).items() if k != "CA"}
    for wrong, words in ((options(mail, PASSWORD="no"), "535"), (options(mail, free_port()), "onnect"), (other, "localhost"),
                         (none, "certificate"), (options(mail, TLS="smtps"), "SSL")):
        code, text = probe("smtp", **wrong)
        assert code != 0 and words in text, text
