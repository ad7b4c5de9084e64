"""Tokens of a real Keycloak: roles, audience, its two kinds of keys, a new key, and Keycloak being away. And those that the
`http` pusher draws for itself."""
import base64
import json

import pytest
from gateway import Gateway, ask, row, wait_until
from kit import server
from trial import FULL
from webhook import Webhook


def status(g, token):
    return g.post(row("u"), headers={"Authorization": f"Bearer {token}"}).status


def part(token, number):
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def bearer(request):
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def pusher_with_tokens(k):
    """The far end asks Keycloak about each token, as a resource server may. It goes on when Keycloak is away, until it wants
    another one."""
    good, revoked = set(), set()

    def judge(request):
        token = bearer(request)
        if token not in good | revoked and k.active(token):
            good.add(token)
        return 200 if token in good - revoked else 401

    env = {"PLUGIN_HTTP_OAUTH_URL": f"{k.issuer}/protocol/openid-connect/token", "PLUGIN_HTTP_OAUTH_CLIENT": "ingest",
           "PLUGIN_HTTP_OAUTH_SECRET": "s3cret", "PLUGIN_HTTP_RETRY_MIN": "50ms", "PLUGIN_HTTP_RETRY_MAX": "200ms"}
    with Webhook(judge) as hook, Gateway({**env, "PLUGIN_HTTP_URL": hook.url}) as g:
        for n in range(3):
            g.take(row(f"a{n}"))
            hook.wait_documents(n + 1)
        assert {bearer(r) for r in hook.requests} == good and len(good) == 1
        revoked.update(good)
        g.take(row("b"))
        hook.wait_documents(4)
        assert len(hook.requests) == 5 and len(good) == 2  # refused once, drawn anew at once
        k.stop()
        g.take(row("c"))
        hook.wait_documents(5)
        revoked.update(good)
        g.take(row("d"))
        assert "identity provider" in g.wait_state("http", "retrying")["error"]
        k.start()
        hook.wait_documents(6, 60)
        assert not g.dead()
        wrong = {"PLUGIN_HTTP_OAUTH_SECRET": "wrong"}
        g.restart(wrong)
        g.take(row("e"))
        wait_until(lambda: "unauthorized_client" in str(g.pusher("http")), what=lambda: g.pusher("http"))
        assert not g.dead()
        g.restart({"PLUGIN_HTTP_OAUTH_SECRET": "s3cret", "PLUGIN_HTTP_OAUTH_FORM": "body"})
        hook.wait_documents(7)


@pytest.mark.skipif(not FULL, reason="not here: with `make test-servers`: OpenSearch is the one from Maven of `make test`")
def test_keycloak():
    with server("keycloak")() as k:
        pusher_with_tokens(k)
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
