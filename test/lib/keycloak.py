"""A real Keycloak for tests: fetched once through Maven's own client, started on free loopback ports with a realm of its
own and data in a temporary folder. Needs Java 17, mvn and unzip."""
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from gateway import ask, wait_until
from tools import PREFIX

VERSION = "25.0.6"
REALM = {
    "realm": "gw", "enabled": True, "sslRequired": "none",
    "roles": {"realm": [{"name": "headgate-ingest"}, {"name": "headgate-read"}]},
    "clients": [{
        "clientId": name, "secret": "s3cret", "enabled": True, "protocol": "openid-connect", "publicClient": False,
        "serviceAccountsEnabled": True, "standardFlowEnabled": False, "directAccessGrantsEnabled": False,
        "protocolMappers": [{"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                             "config": {"included.custom.audience": "gateway", "access.token.claim": "true"}}]
        if name != "elsewhere" else [],
    } for name in ("ingest", "reader", "elsewhere")],
    "users": [{"username": f"service-account-{name}", "enabled": True, "serviceAccountClientId": name, "realmRoles": roles}
              for name, roles in (("ingest", ["headgate-ingest"]), ("reader", ["headgate-read"]), ("elsewhere", ["headgate-ingest"]))],
}


def run(command, **more):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def install():
    """The folder; instant when it is there."""
    home = PREFIX / f"keycloak-{VERSION}"
    PREFIX.mkdir(parents=True, exist_ok=True)
    with open(PREFIX / ".keycloak.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".made").exists():
            shutil.rmtree(home, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=PREFIX) as scratch:
                run(["mvn", "-q", "-B", "dependency:copy", f"-DoutputDirectory={scratch}", "-Dmdep.useBaseVersion=true",
                     f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"])
                run(["unzip", "-q", Path(scratch) / f"keycloak-quarkus-dist-{VERSION}.zip", "-d", scratch])
                os.rename(Path(scratch) / f"keycloak-{VERSION}", home)
            run([home / "bin/kc.sh", "build", "--db=dev-file", "--health-enabled=true"])
            (home / ".made").touch()
    return home


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Keycloak:
    """`with Keycloak() as k:` — k.issuer; k.token(client); k.rotate(); k.stop() and k.start() again with the same data."""

    def __init__(self):
        memory = Path("/dev/shm")  # its first start writes a database, with a sync for each step
        self.work = Path(tempfile.mkdtemp(prefix="headgate-keycloak-", dir=memory if memory.is_dir() else None))
        home = install()
        for part in home.iterdir():  # its data lie beside its programs
            if part.name == "bin":
                shutil.copytree(part, self.work / "bin")
            elif part.name != "data":
                (self.work / part.name).symlink_to(part)
        (self.work / "data/import").mkdir(parents=True)
        (self.work / "data/import/gw-realm.json").write_text(json.dumps(REALM))
        self.port, self.health = free_port(), free_port()
        self.process = None

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self.port}/realms/gw"

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def start(self):
        env = {**os.environ, "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
               "KEYCLOAK_ADMIN": "admin", "KEYCLOAK_ADMIN_PASSWORD": "admin"}
        with open(self.work / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.work / "bin/kc.sh", "start", "--optimized", "--import-realm", "--http-enabled=true",
                 "--hostname-strict=false", "--http-host=127.0.0.1", f"--http-port={self.port}",
                 f"--http-management-port={self.health}", "--cache=local", "--log-level=WARN"],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.work, start_new_session=True)

        def ready():
            assert self.process.poll() is None, (self.work / "log").read_text()[-3000:]
            try:
                return ask(f"127.0.0.1:{self.health}", "GET", "/health/ready", timeout=5).status == 200
            except OSError:
                return False
        wait_until(ready, 480, lambda: "Keycloak:\n" + (self.work / "log").read_text()[-3000:])
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)  # the script and Java, which it may not give its place to
            wait_until(lambda: self.process.poll() is not None and not self.group_lives(), 60, "the end of Keycloak")

    def group_lives(self):
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def request(self, method, path, form=None, document=None, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None
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

    def rotate(self):
        """A new key, which signs from now on; those before stay valid."""
        admin = self.request("POST", "/realms/master/protocol/openid-connect/token", {
            "grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"})["access_token"]
        realm = self.request("GET", "/admin/realms/gw", token=admin)["id"]
        self.request("POST", "/admin/realms/gw/components", token=admin, document={
            "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm,
            "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "keySize": ["2048"], "algorithm": ["RS256"]}})
