"""Kafka: beside the broker's own producer-perf-test, in transactions of 50 ms, with records of a row's middle length."""
import re
import subprocess

from server_kafka import Kafka
from sqlbench import delivered
from storebench import records


def perf(server, total):
    sizes = sorted(len(r[3]) for r in records(5000))
    command = server.java("org.apache.kafka.tools.ProducerPerformance", "--topic", "best", "--num-records", str(total),
                          "--record-size", str(sizes[len(sizes) // 2]), "--throughput", "-1", "--transactional-id", "best",
                          "--transaction-duration-ms", "50", "--producer-props",
                          f"bootstrap.servers=127.0.0.1:{server.port}")
    told = subprocess.run(list(map(str, command)), env=server.environment(), check=True, capture_output=True, text=True).stdout
    return float(re.findall(r"records sent, ([0-9.]+) records/sec", told)[-1])


def bench(total):
    with Kafka() as server:
        for topic in ("rows", "best"):
            server.create(topic, 1)
        mine = delivered("kafka", {"BROKERS": f"127.0.0.1:{server.port}", "TOPIC": "rows"}, total)
        return [("records", mine, "kafka-producer-perf-test, 50 ms", perf(server, total))]
