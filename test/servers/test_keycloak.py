"""Tokens of a real Keycloak: roles, audience, its two kinds of keys, a new key, and Keycloak being away."""
import base64
import json

import pytest
from gateway import Gateway, ask, row, wait_until
from kit import server
from trial import FULL


def status(g, token):
    return g.post(row("u"), headers={"Authorization": f"Bearer {token}"}).status


def part(token, number):
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.mark.skipif(not FULL, reason="not here: with `make test-servers`: OpenSearch is the one from Maven of `make test`")
def test_keycloak():
    with server("keycloak")() as k:
        settings = {"HEADGATE_HTTP_AUTH": "oidc", "HEADGATE_ADMIN_AUTH": "oidc", "HEADGATE_OIDC_ISSUER": k.issuer,
                    "HEADGATE_OIDC_AUDIENCE": "gateway", "HEADGATE_OIDC_ROLES_CLAIM": "realm_access.roles",
                    "HEADGATE_OIDC_ROLES_PREFIX": "headgate-", "HEADGATE_OIDC_CLIENT_CLAIM": "azp"}
        with Gateway(settings) as g:
            g.wait_event("access.issuer")
            first = k.token("ingest")
            assert isinstance(part(first, 1)["aud"], list) and part(first, 0)["alg"] == "RS256"
            answer = g.post(row("mine"), headers={"Authorization": f"Bearer {first}"})
            assert answer.status == 202
            assert status(g, k.token("reader")) == 403
            assert status(g, k.token("elsewhere")) == 401  # `aud` is a text there, and another one
            assert isinstance(part(k.token("elsewhere"), 1)["aud"], str)
            seen = ask(g.address, "GET", f"/v1/batches/{answer['id']}", headers={"Authorization": f"Bearer {first}"})
            assert seen.status == 200
            other = ask(g.address, "GET", f"/v1/batches/{answer['id']}", headers={"Authorization": f"Bearer {k.token('reader')}"})
            assert other.status == 404  # another client's

            k.rotate()
            second = k.token("ingest")
            assert part(first, 0)["kid"] != part(second, 0)["kid"]
            wait_until(lambda: status(g, second) == 202, 20)
            assert status(g, first) == 202  # the key before is still published

            k.stop()
            assert status(g, first) == 202 and status(g, second) == 202
            assert g.term() == 0
            g.start()
            assert status(g, second) == 503  # not known any more is not wrong
            k.start()
            wait_until(lambda: status(g, k.token("ingest")) == 202, 120)
