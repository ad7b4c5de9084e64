"""Tokens of an identity provider: what is taken and what is not, keys that change, and an issuer that is away."""
import base64
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization
from gateway import SLOW, Gateway, ask, command, row, wait_until
from issuer import Issuer, Key, b64, compact, hmac_signed
from test_access import bearer, key

ALL = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512"


def settings(issuer, **more):
    return {"HEADGATE_HTTP_AUTH": "oidc", "HEADGATE_OIDC_ISSUER": issuer.url, "HEADGATE_OIDC_AUDIENCE": "gateway",
            **{f"HEADGATE_{k.upper()}": v for k, v in more.items()}}


def status(g, token):
    return g.post(row("u"), headers=bearer(token)).status


@pytest.fixture(scope="module")
def issuer():
    with Issuer(Key("one"), Key("p256", "P-256"), Key("p384", "P-384"), Key("p521", "P-521")) as i:
        i.extra = [Key("enc").jwk(use="enc", alg="RSA-OAEP"), Key("one-more").jwk(alg="RS512")]
        yield i


@pytest.fixture(scope="module", params=[1, 2], ids=["one loop", "two loops"])
def g(request, issuer):
    with Gateway(settings(issuer, oidc_algorithms=ALL, http_auth="oidc, keys", admin_auth="oidc", http_threads=request.param),
                 start=False) as g:
        g.start()
        g.wait_event("access.issuer")
        yield g


# contract: http.auth.oidc admin.auth.oidc
def test_a_good_token(g, issuer):
    assert status(g, issuer.token()) == 202
    assert status(g, issuer.token(aud=["other", "gateway"])) == 202
    assert status(g, issuer.token(roles="offline ingest")) == 202
    assert status(g, issuer.token(roles=["unknown"])) == 403
    assert status(g, issuer.token(roles=None)) == 403
    assert status(g, issuer.token(roles={"ingest": True})) == 403
    assert g.get("/v1/pushers", headers=bearer(issuer.token())).status == 403
    assert g.get("/v1/pushers", headers=bearer(issuer.token(roles=["read"]))).status == 200
    assert ask(g.admin_address, "POST", "/v1/reload", headers=bearer(issuer.token(roles=["admin"]))).status == 200
    token, _ = key(g, "ingest")  # a key beside it
    wait_until(lambda: status(g, token) == 202)
    assert g.get("/v1/pushers", headers=bearer(token)).status == 401  # but only where keys are asked for


@pytest.mark.parametrize("alg, name", [*((f"{f}S{n}", "one") for f in "RP" for n in (256, 384, 512)),
                                       ("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521")])
def test_algorithms(g, issuer, alg, name):
    signer = next(k for k in issuer.keys if k.kid == name)
    good = issuer.token(signer, alg)
    assert status(g, good) == 202
    head, body, signature = good.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    for at in (0, len(raw) // 2, len(raw) - 1):
        bent = bytearray(raw)
        bent[at] ^= 1
        assert status(g, f"{head}.{body}.{b64(bytes(bent))}") == 401
    assert status(g, f"{head}.{body}.{b64(bytes(raw[:-1]))}") == 401
    assert status(g, f"{head}.{body}.{b64(bytes(raw) + bytes(1))}") == 401


def test_what_is_signed_counts(g, issuer):
    head, body, signature = issuer.token().split(".")
    other = b64(issuer.claims(roles=["admin"]))
    assert status(g, f"{head}.{other}.{signature}") == 401
    assert status(g, f"{b64({'alg': 'RS256', 'kid': 'one', 'x': 1})}.{body}.{signature}") == 401
    for token in (f"{head}.{body}.", f"{head}.{body}", f".{body}.{signature}", f"{head}..{signature}", "..", "a.b.c.d.e",
                  f"{head}.{body}.{signature}.x", f"{head}.{body}.{signature}=", f"{head}.{body}.{signature}==",
                  f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}", f"{head}.{body}.{signature[:-1]}+",
                  b64("text") + f".{body}.{signature}", b64([1]) + f".{body}.{signature}", f"{head}.{b64([1])}.{signature}",
                  b64(b"\xff\xfe") + f".{body}.{signature}", b64(b"[" * 3000) + f".{body}.{signature}"):
        assert status(g, token) == 401, token
    assert status(g, issuer.token(pad="x" * 9000)) in (401, 431)


def test_algorithms_that_are_none(g, issuer):
    public = issuer.keys[0].private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = issuer.claims(roles=["admin"])
    for alg in ("none", "None", "nOnE", "", "HS256", "hs256", "RS1", "ES256K", "EdDSA", "dir", None, 256, ["RS256"]):
        header = {"alg": alg, "kid": "one"}
        tokens = [f"{b64(header)}.{b64(claims)}.", compact(header, claims, lambda _: b"x"),
                  *(hmac_signed(header, claims, secret) for secret in (pem, der, pem.strip(), b""))]
        for token in tokens:
            assert status(g, token) == 401, alg
    # one that is good, under the name of another
    for alg in ("RS512", "PS256", "ES256"):
        head, body, signature = issuer.token().split(".")
        assert status(g, f"{b64({'alg': alg, 'kid': 'one'})}.{body}.{signature}") == 401


def test_keys_that_a_token_brings_are_not_looked_at(g, issuer):
    mine = Key("mine")
    before = len(issuer.asked)
    for header in ({"jwk": mine.jwk()}, {"jku": issuer.url + "/evil"}, {"x5u": issuer.url + "/evil"}, {"x5c": ["MIIB"]},
                   {"kid": "one"}, {"kid": "../../etc/passwd"}, {"kid": "x' UNION SELECT 'k"}):
        assert status(g, issuer.token(mine, header=header)) in (401, 503), header
    assert not [p for p in issuer.asked[before:] if "evil" in p]
    for header in ({"kid": "enc"}, {"kid": "one-more"}):  # for encryption; for another algorithm
        assert status(g, issuer.token(mine, header=header)) == 401
    for header in ({"kid": ""}, {"kid": 1}, {"kid": "k" * 300}, {"crit": ["exp"]}, {"crit": []}, {"typ": "logout+jwt"}):
        assert status(g, issuer.token(header=header)) == 401, header
    assert status(g, issuer.token(header={"typ": None})) == 202
    assert status(g, issuer.token(header={"typ": "at+jwt"})) == 202


NOW = "seconds from now"  # {"exp": (NOW, -10)}
CLAIMS = [
    ({"iss": "https://evil.example"}, 401), ({"iss": None}, 401), ({"iss": ["x"]}, 401),
    ({"aud": "other"}, 401), ({"aud": None}, 401), ({"aud": []}, 401), ({"aud": ["a", "gatewayx"]}, 401),
    ({"aud": {"gateway": 1}}, 401), ({"aud": "Gateway"}, 401),
    ({"exp": None}, 401), ({"exp": 1}, 401), ({"exp": "4102444800"}, 401), ({"exp": 1e400}, 401), ({"exp": 4102444800}, 202),
    ({"exp": 1e300}, 202), ({"exp": (NOW, -10)}, 202), ({"exp": (NOW, -60)}, 401), ({"exp": (NOW, 500.5)}, 202),
    ({"nbf": "now"}, 401), ({"nbf": 0}, 202), ({"nbf": (NOW, 10)}, 202), ({"nbf": (NOW, 600)}, 401),
]


@pytest.mark.parametrize("claims, wanted", CLAIMS, ids=[json.dumps(c) for c, _ in CLAIMS])
def test_claims(g, issuer, claims, wanted):
    claims = {k: time.time() + v[1] if isinstance(v, tuple) else v for k, v in claims.items()}
    answer = g.post(row("u"), headers=bearer(issuer.token(**claims)))
    assert answer.status == wanted
    if wanted == 401:
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_issuer_of_the_claims_is_exact(g, issuer):
    for wrong in (issuer.url + "/", issuer.url.upper(), issuer.url + "\0", issuer.url[:-1]):
        assert status(g, issuer.token(iss=wrong)) == 401


def test_a_claim_twice(g, issuer):
    signer = issuer.keys[0]
    text = json.dumps(issuer.claims())[:-1] + ', "roles": ["admin"]}'
    assert status(g, compact({"alg": "RS256", "kid": "one"}, text.encode(), lambda d: signer.sign("RS256", d))) == 401


# contract: oidc.roles oidc.client
def test_roles_and_clients_from_other_claims():
    with Issuer() as issuer, Gateway(settings(issuer, oidc_roles_claim="resource_access.gateway.roles",
                                              oidc_roles_prefix="hg-", oidc_client_claim="azp")) as g:
        g.wait_event("access.issuer")

        def token(roles, **more):
            return issuer.token(roles=["hg-admin"], resource_access={"gateway": {"roles": roles}}, **more)
        assert status(g, token(["hg-ingest", "ingest"], azp="lab-a")) == 202
        assert status(g, token(["ingest"], azp="lab-a")) == 403
        assert status(g, token(["hg-ingest"])) == 403  # no client
        assert status(g, token(["hg-ingest"], azp="a b")) == 403
        assert status(g, token(["hg-ingest"], azp="")) == 403
        first = g.post(row("mine"), headers=bearer(token(["hg-ingest"], azp="lab-a")))
        g.take(row("mine"), headers=bearer(token(["hg-ingest"], azp="lab-b")))
        seen = ask(g.address, "GET", "/v1/receipts/mine", headers=bearer(token(["hg-read"], azp="lab-a")))
        assert [b["id"] for b in seen["batches"]] == [first["id"]]
        for odd in ({"resource_access": None}, {"resource_access": "x"}, {"resource_access": {"gateway": ["hg-ingest"]}}):
            assert status(g, issuer.token(azp="lab-a", **odd)) == 403
    with Issuer() as issuer, Gateway(settings(issuer, oidc_roles_claim="https://lab.example/roles")) as g:
        g.wait_event("access.issuer")
        assert status(g, issuer.token(roles=None, **{"https://lab.example/roles": ["ingest"]})) == 202
        assert status(g, issuer.token()) == 403


def test_only_the_pinned_algorithm():
    with Issuer(Key("one"), Key("p256", "P-256")) as issuer, Gateway(settings(issuer)) as g:
        g.wait_event("access.issuer")
        assert status(g, issuer.token()) == 202
        assert status(g, issuer.token(alg="RS512")) == 401 and status(g, issuer.token(alg="PS256")) == 401
        assert status(g, issuer.token(issuer.keys[1], "ES256")) == 401


def test_without_a_key_id():
    with Issuer() as issuer, Gateway(settings(issuer)) as g:
        g.wait_event("access.issuer")
        assert status(g, issuer.token(header={"kid": None})) == 202  # there is only one that it can be
    with Issuer(Key("one"), Key("two")) as issuer, Gateway(settings(issuer)) as g:
        g.wait_event("access.issuer")
        assert status(g, issuer.token(header={"kid": None})) == 401  # nor would other keys tell
        assert status(g, issuer.token(issuer.keys[1])) == 202


def test_keys_that_are_not_good_enough():
    small = Key("small", "RSA-1024")
    with Issuer() as issuer:
        issuer.extra = [small.jwk(), Key("ops").jwk(use=None, key_ops=["sign"]), Key("curve", "P-384").jwk(crv="P-256"),
                        {"kty": "oct", "k": b64(b"secret"), "kid": "oct", "alg": "HS256"}, {"kty": "RSA", "kid": "bare"}, 7]
        with Gateway(settings(issuer, oidc_algorithms="RS256, ES256")) as g:
            g.wait_event("access.issuer")
            assert status(g, issuer.token()) == 202
            assert status(g, issuer.token(small)) == 401
            assert status(g, hmac_signed({"alg": "HS256", "kid": "oct"}, issuer.claims(), b"secret")) == 401


# contract: oidc.rotation
def test_new_keys():
    """The issuer signs with a key that nobody has seen: the first token makes the gateway fetch it."""
    with Issuer() as issuer, Gateway(settings(issuer)) as g:
        g.wait_event("access.issuer")
        old = issuer.keys[0]
        for name in ("two", "three"):
            fresh = Key(name)
            issuer.keys = [fresh, issuer.keys[0]]
            asked = len(issuer.asked)

            def taken():
                answer = g.post(row("u"), headers=bearer(issuer.token(fresh)))
                assert answer.status in (202, 401, 503)
                if answer.status == 503:
                    assert answer.headers["retry-after"]
                return answer.status == 202
            wait_until(taken, 20)
            assert len(issuer.asked) - asked <= 4
        assert status(g, issuer.token(issuer.keys[1])) == 202  # the one before is still there
        assert status(g, issuer.token(old)) != 202  # the first is not
        # strangers cannot make it ask all the time
        asked, began = len(issuer.asked), time.monotonic()
        for n in range(300):
            assert status(g, issuer.token(old, header={"kid": f"made-up-{n}"})) in (401, 503)
        assert len(issuer.asked) - asked <= 2 * (2 + (time.monotonic() - began) / 5)
        for n in range(50):  # nor at all, if they do not even name the issuer
            assert status(g, issuer.token(old, iss="http://x", header={"kid": "nobody's"})) == 401


# contract: oidc.away
def test_an_issuer_that_is_away():
    with Issuer() as issuer:
        port = issuer.server.server_address[1]
        signer = issuer.keys[0]
        with Gateway(settings(issuer), start=False) as g:
            issuer.close()
            g.start()
            g.wait_event("access.issuer_not_reached")
            answer = g.post(row("u"), headers=bearer(issuer.token()))
            assert answer.status == 503 and answer.headers["retry-after"]  # not known yet is not wrong
            assert status(g, "x") == 401 and g.get("/readyz").status == 200
            with Issuer(signer, port=port) as back:
                wait_until(lambda: status(g, back.token()) == 202, 30)
                back.down = True
                assert status(g, back.token()) == 202
            assert status(g, issuer.token()) == 202  # away: what is known stays good
            began = time.monotonic()
            assert g.term() == 0 and time.monotonic() - began < 10 * SLOW


def test_a_hanging_issuer_keeps_nobody_waiting():
    with Issuer() as issuer:
        issuer.slow = 60
        with Gateway({**settings(issuer), "HEADGATE_HTTP_AUTH": "oidc, keys"}) as g:
            token, _ = key(g, "ingest")
            wait_until(lambda: status(g, token) == 202)
            began = time.monotonic()
            assert status(g, issuer.token()) == 503
            assert time.monotonic() - began < 5 * SLOW
            assert g.term() == 0  # also in the middle of a transfer
            assert time.monotonic() - began < 10 * SLOW


def test_documents_that_do_not_do():
    for raw in ("", "[]", "{}", '{"keys": {}}', '{"keys": []}', '{"keys": [1, null, {}]}', "[" * 5000, '{"keys": [' + "1," * 200000 + "1]}"):
        with Issuer() as issuer:
            issuer.raw = raw
            with Gateway(settings(issuer)) as g:
                g.wait_event("access.issuer_not_reached")
                assert status(g, issuer.token()) == 503
    for discovery in ({"issuer": "https://evil.example"}, {"issuer": None}, {"jwks_uri": None}, {"jwks_uri": "file:///etc/passwd"},
                      {"jwks_uri": "ftp://127.0.0.1/keys"}):
        with Issuer() as issuer:
            issuer.discovery = discovery
            with Gateway(settings(issuer)) as g:
                g.wait_event("access.issuer_not_reached")
                assert status(g, issuer.token()) == 503


def test_the_address_of_the_keys_given():
    with Issuer() as issuer:
        issuer.discovery = {"jwks_uri": None}
        with Gateway(settings(issuer, oidc_jwks_url=issuer.url + "/keys")) as g:
            g.wait_event("access.issuer")
            assert status(g, issuer.token()) == 202
            assert not [p for p in issuer.asked if "well-known" in p]


def test_settings_that_do_not_fit():
    def check(**more):
        env = {"HEADGATE_DATA_DIR": "/nonexistent", "HEADGATE_PLUGINS_NONE": "yes", "HEADGATE_HTTP_AUTH": "oidc",
               "HEADGATE_OIDC_ISSUER": "https://id.example", "HEADGATE_OIDC_AUDIENCE": "gateway",
               **{f"HEADGATE_{k.upper()}": v for k, v in more.items()}}
        done = command("check", env=env)
        return done.returncode, done.stdout + done.stderr
    assert check()[0] == 0
    for more in ({"oidc_issuer": ""}, {"oidc_audience": ""}, {"oidc_issuer": "http://id.example"}, {"oidc_issuer": "id.example"},
                 {"oidc_issuer": "http://127.0.0.1.evil.example"}, {"oidc_jwks_url": "http://id.example/keys"},
                 {"oidc_jwks_url": "file:///x"}, {"oidc_algorithms": "none"}, {"oidc_algorithms": "RS256, HS256"},
                 {"oidc_algorithms": "rs256"}, {"oidc_leeway": "1h"}, {"oidc_refresh": "1s"}):
        code, text = check(**more)
        assert code == 78 and "oidc" in text, (more, text)
    assert check(oidc_issuer="http://127.0.0.1:8080/realms/x")[0] == 0 and check(oidc_issuer="http://localhost")[0] == 0
