"""A small identity provider: discovery document and keys over HTTP, and tokens signed with any of them, or badly."""
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": (ec.SECP256R1, 32), "P-384": (ec.SECP384R1, 48), "P-521": (ec.SECP521R1, 66)}


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, length=None):
    return b64(n.to_bytes(length or (n.bit_length() + 7) // 8, "big"))


class Key:
    """kind: RSA-<bits> or a curve."""

    def __init__(self, kid, kind="RSA-2048"):
        self.kid, self.kind = kid, kind
        if kind.startswith("RSA"):
            self.private = rsa.generate_private_key(65537, int(kind[4:]))
        else:
            self.private = ec.generate_private_key(CURVES[kind][0]())

    def jwk(self, **more):
        n = self.private.public_key().public_numbers()
        if self.kind.startswith("RSA"):
            mine = {"kty": "RSA", "n": number(n.n), "e": number(n.e)}
        else:
            size = CURVES[self.kind][1]
            mine = {"kty": "EC", "crv": self.kind, "x": number(n.x, size), "y": number(n.y, size)}
        return {k: v for k, v in {"kid": self.kid, "use": "sig", **mine, **more}.items() if v is not None}

    def sign(self, alg, data):
        digest = HASHES[alg[2:]]()
        if alg.startswith("RS"):
            return self.private.sign(data, padding.PKCS1v15(), digest)
        if alg.startswith("PS"):
            return self.private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
        size = CURVES[self.kind][1]
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def compact(header, claims, signature):
    """signature(signed bytes) -> bytes."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(signature(signed.encode()))}"


def hmac_signed(header, claims, secret):
    return compact(header, claims, lambda data: hmac.new(secret, data, hashlib.sha256).digest())


class Issuer:
    """`with Issuer() as i:` — i.url is the issuer; i.keys may be changed; i.down makes it answer nothing but errors."""

    def __init__(self, *keys, port=0, path=""):
        self.keys, self.down, self.slow = list(keys) or [Key("one")], False, 0
        self.extra, self.raw, self.discovery, self.asked = [], None, {}, []
        handler = type("Handler", (BaseHTTPRequestHandler,), {"do_GET": lambda h: self.answer(h), "log_message": lambda *_: None})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{path}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def jwks(self):
        return self.raw if self.raw is not None else json.dumps({"keys": self.extra + [k.jwk() for k in self.keys]})

    def answer(self, h):
        self.asked.append(h.path)
        documents = {
            "/.well-known/openid-configuration": lambda: json.dumps({"issuer": self.url, "jwks_uri": self.url + "/keys",
                                                                     **self.discovery}),
            "/keys": self.jwks,
        }
        path = self.url.split("/", 3)[3] if self.url.count("/") > 2 else ""
        document = documents.get(h.path[len(path) + 1 if path else 0:] if path else h.path)
        if self.slow:
            time.sleep(self.slow)
        h.send_response(503 if self.down else 200 if document else 404)
        body = b"" if self.down or not document else document().encode()
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def claims(self, **more):
        now = int(time.time())
        mine = {"iss": self.url, "aud": "gateway", "sub": "someone", "iat": now, "exp": now + 300, "roles": ["ingest"]}
        return {k: v for k, v in {**mine, **more}.items() if v is not None}

    def token(self, key=None, alg="RS256", header=None, **more):
        """With these claims over the usual ones (None takes one away), and these fields of the header."""
        key = key or self.keys[0]
        fields = {k: v for k, v in {"alg": alg, "typ": "JWT", "kid": key.kid, **(header or {})}.items() if v is not None}
        return compact(fields, self.claims(**more), lambda data: key.sign(alg, data))
