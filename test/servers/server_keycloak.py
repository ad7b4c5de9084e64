"""Keycloak, from Maven: an identity provider with a realm `gw` and three clients that have accounts of their own. Its data
lie in memory where the system has such a folder: its first start writes a database, with a sync for each step."""
import json
import os
import shutil
import tempfile
import urllib.parse
import zipfile
from pathlib import Path

import kit
from gateway import ask

ACCOUNT = {"account": ["view-profile"]}  # makes `aud` name Keycloak's own `account` as well
CLIENTS = {  # name: (has `gateway` in its audience, realm roles, roles of clients)
    "ingest": (True, ["headgate-ingest"], ACCOUNT),
    "reader": (True, ["headgate-read"], {}),
    "elsewhere": (False, ["headgate-ingest"], ACCOUNT),
}
AUDIENCE = {"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "gateway", "access.token.claim": "true"}}
REALM = {
    "realm": "gw", "enabled": True, "sslRequired": "none",
    "roles": {"realm": [{"name": "headgate-ingest"}, {"name": "headgate-read"}]},
    "clients": [{"clientId": name, "secret": "s3cret", "enabled": True, "protocol": "openid-connect", "publicClient": False,
                 "serviceAccountsEnabled": True, "standardFlowEnabled": False, "directAccessGrantsEnabled": False,
                 "protocolMappers": [AUDIENCE] if audience else []} for name, (audience, _, _) in CLIENTS.items()],
    "users": [{"username": f"service-account-{name}", "enabled": True, "serviceAccountClientId": name, "realmRoles": roles,
               "clientRoles": more} for name, (_, roles, more) in CLIENTS.items()],
}


class Keycloak(kit.Server):
    """`issuer`; `token(client)`; `active(token)`; `rotate()` makes a new key, which signs from then on."""

    name, version = "keycloak", "25.0.6"
    user = "root"
    start_seconds = 480

    @classmethod
    def fetch(cls, folder):
        packed = kit.maven(folder, "org.keycloak:keycloak-quarkus-dist", cls.version, "zip")
        with zipfile.ZipFile(packed) as z:
            z.extractall(folder)
        packed.unlink()
        program = cls.program_dir() / "bin/kc.sh"
        program.chmod(0o755)
        kit.run([program, "build", "--db=dev-file", "--health-enabled=true"])

    @classmethod
    def program_dir(cls):
        return cls.home() / f"keycloak-{cls.version}"

    def new_ports(self):
        self.port, self.health = kit.free_port(), kit.free_port()

    def prepare(self):
        for part in self.program_dir().iterdir():  # its data lie beside its programs
            if part.name == "bin":
                shutil.copytree(part, self.dir / "bin")
            elif part.name != "data":
                (self.dir / part.name).symlink_to(part)
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.data = Path(tempfile.mkdtemp(prefix="headgate-keycloak-", dir=memory))
        (self.dir / "data").symlink_to(self.data)
        (self.data / "import").mkdir()
        (self.data / "import/gw-realm.json").write_text(json.dumps(REALM))

    def __exit__(self, *why):
        super().__exit__(*why)
        shutil.rmtree(self.data, ignore_errors=True)

    def environment(self):
        return {**super().environment(), "KEYCLOAK_ADMIN": "admin", "KEYCLOAK_ADMIN_PASSWORD": "admin",
                "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}

    def command(self):
        return [self.dir / "bin/kc.sh", "start", "--optimized", "--import-realm", "--http-enabled=true", "--hostname-strict=false",
                "--http-host=127.0.0.1", f"--http-port={self.port}", f"--http-management-port={self.health}", "--cache=local",
                "--log-level=WARN"]

    def ready(self):
        try:
            return ask(f"127.0.0.1:{self.health}", "GET", "/health/ready", timeout=5).status == 200
        except OSError:
            return False

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self.port}/realms/gw"

    def request(self, method, path, form=None, document=None, token=None):
        headers, body = {"Authorization": f"Bearer {token}"} if token else {}, None
        if form is not None:
            body, headers["Content-Type"] = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
        if document is not None:
            body, headers["Content-Type"] = json.dumps(document), "application/json"
        answer = ask(f"127.0.0.1:{self.port}", method, path, body, headers, timeout=60)
        assert answer.status // 100 == 2, answer
        return answer

    def token(self, client):
        return self.request("POST", "/realms/gw/protocol/openid-connect/token", {
            "grant_type": "client_credentials", "client_id": client, "client_secret": "s3cret"})["access_token"]

    def active(self, token):
        """What Keycloak itself says of it."""
        return self.request("POST", "/realms/gw/protocol/openid-connect/token/introspect", {
            "client_id": "reader", "client_secret": "s3cret", "token": token})["active"]

    def rotate(self):
        admin = self.request("POST", "/realms/master/protocol/openid-connect/token", {
            "grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"})["access_token"]
        realm = self.request("GET", "/admin/realms/gw", token=admin)["id"]
        self.request("POST", "/admin/realms/gw/components", token=admin, document={
            "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm,
            "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "keySize": ["2048"], "algorithm": ["RS256"]}})
