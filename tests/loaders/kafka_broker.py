"""A broker (librdkafka's mock cluster) and a producer: prints the address, then sends each line of stdin."""

import sys

from confluent_kafka import Producer

producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
for line in sys.stdin:
    topic, _, message = line.rstrip("\n").partition(" ")
    producer.produce(topic, message)
    producer.flush(10)
    print("sent", flush=True)
