"""MinIO, built by Go (which takes minutes: only `make test-servers` asks for it)."""
import kit
from s3_like import S3Like


class MinIO(S3Like):
    name, version = "minio", "v0.0.0-20260212201848-7aac2a2c5b7c"

    @classmethod
    def fetch(cls, folder):
        kit.go_install(folder, f"github.com/minio/minio@{cls.version}")

    def environment(self):
        return {**super().environment(), "MINIO_ROOT_USER": self.access, "MINIO_ROOT_PASSWORD": self.secret,
                "MINIO_BROWSER": "off", "MINIO_DOMAIN": "localhost"}

    def prepare(self):
        (self.dir / "data").mkdir()
        self.give(self.dir / "data")

    def command(self):
        return [self.home() / "minio", "server", "--address", f"127.0.0.1:{self.port}", self.dir / "data"]

    def ready(self):
        import urllib.request

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/minio/health/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    @classmethod
    def keys_that_end(cls, port):
        """For an hour, as options of the pusher."""
        import boto3

        client = boto3.client("sts", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=cls.access,
                              aws_secret_access_key=cls.secret, region_name="us-east-1")
        found = client.assume_role(RoleArn="arn:aws:iam::0:role/any", RoleSessionName="check")["Credentials"]
        return {"ACCESS_KEY": found["AccessKeyId"], "SECRET_KEY": found["SecretAccessKey"], "SESSION_TOKEN": found["SessionToken"]}
