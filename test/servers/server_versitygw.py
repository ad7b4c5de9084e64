"""versitygw, built by Go: S3 in front of a folder."""
import kit
from s3_like import S3Like


class VersityGW(S3Like):
    name, version = "versitygw", "v1.8.0"

    @classmethod
    def fetch(cls, folder):
        kit.go_install(folder, f"github.com/versity/versitygw/cmd/versitygw@{cls.version}")

    def prepare(self):
        (self.dir / "data").mkdir()
        self.give(self.dir / "data")

    def command(self):
        return [self.home() / "versitygw", "--port", f"127.0.0.1:{self.port}", "--access", self.access, "--secret",
                self.secret, "--virtual-domain", f"localhost:{self.port}", "posix", self.dir / "data"]
