"""OpenSearch 2, from Maven: the distribution that its own integration tests use, which is the server without plugins."""
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from decimal import Decimal
from pathlib import Path

import kit


def java_home():
    return Path(shutil.which("java")).resolve().parents[1]


class OpenSearch(kit.Server):
    """`ask(method, path, document)`: (status, answer). No password: the security plugin is not in this distribution."""

    name, version = "opensearch", "2.19.4"
    start_seconds, halts = 180, True
    artifact = "org.opensearch.distribution.integ-test-zip:opensearch"
    program, kind = "opensearch", "OPENSEARCH"
    more = {}  # settings

    @classmethod
    def fetch(cls, folder):
        packed = kit.maven(folder, cls.artifact, cls.version, "zip")
        with zipfile.ZipFile(packed) as z:
            z.extractall(folder)
        packed.unlink()
        for program in (cls.program_dir() / "bin").iterdir():
            program.chmod(0o755)

    @classmethod
    def program_dir(cls):
        return cls.home() / f"{cls.program}-{cls.version}"

    def new_ports(self):
        self.port, self.transport = kit.free_port(), kit.free_port()

    def settings(self):
        conf = self.dir / "conf"
        if not conf.exists():
            shutil.copytree(self.program_dir() / "config", conf)
            jvm = (conf / "jvm.options").read_text().splitlines()  # these three point into the installation
            keep = [line for line in jvm if not any(w in line for w in ("gc.log", "HeapDump", "ErrorFile"))]
            (conf / "jvm.options").write_text("\n".join(keep) + "\n")
        found = {"path.data": self.dir / "data", "path.logs": self.dir / "logs", "network.host": "127.0.0.1",
                 "http.port": self.port, "transport.port": self.transport, "discovery.type": "single-node",
                 "cluster.routing.allocation.disk.threshold_enabled": "false", "node.store.allow_mmap": "false", **self.more}
        (conf / f"{self.program}.yml").write_text("".join(f"{k}: {v}\n" for k, v in found.items()))
        (self.dir / "tmp").mkdir(exist_ok=True)
        for path in [conf, self.dir / "tmp", *conf.rglob("*")]:
            self.give(path)

    def environment(self):
        return {**super().environment(), f"{self.kind}_JAVA_HOME": str(java_home()), "JAVA_HOME": str(java_home()),
                f"{self.kind}_PATH_CONF": str(self.dir / "conf"), f"{self.kind}_TMPDIR": str(self.dir / "tmp"),
                f"{self.kind}_JAVA_OPTS": "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1"}

    def command(self):
        self.settings()
        return [self.program_dir() / "bin" / self.program]

    def ask(self, method, path, document=None, timeout=60):
        body = None if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"{}", parse_float=Decimal)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def different_rows(self):
        self.ask("POST", "/hgcheck/_refresh")
        return int(self.ask("GET", "/hgcheck/_count")[1].get("count", 0))

    def ready(self):
        try:
            return self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5)[0] == 200
        except (OSError, ValueError):
            return False

    def documents(self, index):
        """[(_id, _index, the document)] of an index, or of all that a pattern names. Numbers with a point are Decimal."""
        self.ask("POST", f"/{index}/_refresh")
        found, after = [], None
        while True:
            query = {"size": 5000, "sort": [{"id.keyword" if self.dynamic(index) else "id": "asc"}], "query": {"match_all": {}}}
            if after:
                query["search_after"] = after
            status, answer = self.ask("POST", f"/{index}/_search", query)
            assert status == 200, answer
            hits = answer["hits"]["hits"]
            if not hits:
                return found
            found += [(h["_id"], h["_index"], h["_source"]) for h in hits]
            after = hits[-1]["sort"]

    def dynamic(self, index):
        mappings = self.ask("GET", f"/{index}/_mapping")[1].values()
        return any(m["mappings"]["properties"]["id"]["type"] == "text" for m in mappings)
