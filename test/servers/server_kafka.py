"""Kafka, one broker that is its own controller, from Maven."""
import kit
from server_opensearch import java_home


class Kafka(kit.Server):
    """`create(topic)`, `messages(topic)`; no password, unless `password` is set (SASL PLAIN, user `hgtest`). The broker itself and who looks into it use the listener LOCAL, so
    that a proxy in front of the other one is in the way of the pusher alone."""

    name, version = "kafka", "4.1.1"
    start_seconds = 180
    password = None
    more = {}  # settings

    @classmethod
    def fetch(cls, folder):
        kit.maven_tree(folder, f"org.apache.kafka:kafka_2.13:{cls.version}", f"org.apache.kafka:kafka-tools:{cls.version}",
                       "org.slf4j:slf4j-nop:1.7.36")

    def new_ports(self):
        self.port, self.local, self.control = kit.free_port(), kit.free_port(), kit.free_port()

    def stand(self):
        """On the same ports as before."""
        self.password = "hgtest-secret"
        if (self.dir / "ports").exists():
            self.local, self.control = map(int, (self.dir / "ports").read_text().split())

    def settings(self):
        (self.dir / "data").mkdir(exist_ok=True)
        found = {"process.roles": "broker,controller", "node.id": 1,
                 "controller.quorum.voters": f"1@127.0.0.1:{self.control}",
                 "listeners": f"PLAINTEXT://127.0.0.1:{self.port},LOCAL://127.0.0.1:{self.local},"
                              f"CONTROLLER://127.0.0.1:{self.control}",
                 "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.advertised()},LOCAL://127.0.0.1:{self.local}",
                 "listener.security.protocol.map": "LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:" +
                                                   ("SASL_PLAINTEXT" if self.password else "PLAINTEXT"),
                 "sasl.enabled.mechanisms": "PLAIN", "listener.name.plaintext.plain.sasl.jaas.config":
                     "org.apache.kafka.common.security.plain.PlainLoginModule required "
                     f'user_hgtest="{self.password}";',
                 "inter.broker.listener.name": "LOCAL", "controller.listener.names": "CONTROLLER",
                 "log.dirs": self.dir / "data", "offsets.topic.replication.factor": 1,
                 "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
                 "group.initial.rebalance.delay.ms": 0, "num.partitions": 1, "auto.create.topics.enable": "false",
                 "offsets.topic.num.partitions": 1, "transaction.state.log.num.partitions": 1, **self.more}
        path = self.dir / "server.properties"
        path.write_text("".join(f"{k}={v}\n" for k, v in found.items()))
        for p in (path, self.dir / "data"):
            self.give(p)

    def advertised(self):
        """What clients are told to connect to: the port of a proxy, when a test has one."""
        return getattr(self, "proxy_port", None) or self.port

    def environment(self):
        return {**super().environment(), "CLASSPATH": f"{self.home()}/*"}

    def java(self, *arguments):
        return [java_home() / "bin/java", "-Xms256m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *arguments]

    def prepare(self):
        self.settings()
        (self.dir / "ports").write_text(f"{self.local} {self.control}")
        self.run_as_user(self.java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c",
                                   self.dir / "server.properties"))

    def command(self):
        self.settings()
        return self.java("kafka.Kafka", self.dir / "server.properties")

    def first(self):
        if self.lasting:
            self.create("rows")

    def different_rows(self):
        return len({dict(m.headers())["id"] for m in self.messages("rows")})

    def admin(self):
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": f"127.0.0.1:{self.local}", "socket.timeout.ms": 5000,
                            "log_level": 0})

    def ready(self):
        from confluent_kafka import KafkaException

        if not kit.answers(self.port):
            return False
        try:
            return bool(self.admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def create(self, topic, partitions=3, **config):
        from confluent_kafka.admin import NewTopic

        admin = self.admin()  # it has to live until the answer is there
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)

    def consumer(self, group):
        from confluent_kafka import Consumer

        return Consumer({"bootstrap.servers": f"127.0.0.1:{self.local}", "group.id": group, "isolation.level":
                         "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "log_level": 0})

    def remembers(self, group, topic):
        """An offset of the group for partition 0 of the topic."""
        from confluent_kafka import TopicPartition

        consumer = self.consumer(group)
        try:
            return consumer.committed([TopicPartition(topic, 0)], timeout=30)[0].offset >= 0
        finally:
            consumer.close()

    def transactions(self):
        """{transactional id: its state}, of those that the broker remembers."""
        told = self.run_as_user(self.java("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server",
                                          f"127.0.0.1:{self.local}", "list"))
        return {words[0]: words[3] for line in told.splitlines()[1:] if len(words := line.split()) > 3}

    def messages(self, topic):
        """All that is committed in the topic, partition by partition."""
        from confluent_kafka import TopicPartition

        consumer = self.consumer("looks")
        found = []
        try:
            for p in sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions):
                consumer.assign([TopicPartition(topic, p, 0)])
                while True:
                    for message in consumer.consume(10000, 1.0):
                        if message.error():
                            break
                        found.append(message)
                    else:
                        continue
                    break
        finally:
            consumer.close()
        return found
