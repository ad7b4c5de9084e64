"""What the servers that speak S3 have in common for the tests: a bucket, and a look into it."""
import csv
import io

import kit


class S3Like(kit.Server):
    """`client()`: boto3's. Keys `hgtest` / `hgtest-secret`; the bucket `rows` is there."""

    access, secret = "hgtest", "hgtest-secret"

    def client(self):
        import boto3
        from botocore.config import Config

        return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id=self.access,
                            aws_secret_access_key=self.secret, region_name="us-east-1",
                            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))

    def first(self):
        self.client().create_bucket(Bucket="rows")

    def names(self, bucket="rows", prefix=""):
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [o["Key"] for page in pages for o in page.get("Contents", ())]

    def get(self, name, bucket="rows"):
        return self.client().get_object(Bucket=bucket, Key=name)["Body"].read()

    def empty(self, bucket="rows"):
        for name in self.names(bucket):
            self.client().delete_object(Bucket=bucket, Key=name)

    def different_rows(self):
        """Of objects of CSV."""
        csv.field_size_limit(1 << 30)
        texts = (self.get(name).decode() for name in self.names())
        return len({row["_id"] for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))})
