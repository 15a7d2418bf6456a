"""One job at a time from a durable queue with pika: acknowledged when done, back in the queue when we die."""

import os
import signal
import time

import pika
import pika.exceptions


class Rejected(Exception):
    """Raised for a message that no retry can help: it leaves the queue."""


class Consumer:
    """Calls `work(channel, properties, body)` for each message until SIGTERM; the current one is finished."""

    def __init__(self, queue, work):
        self.queue, self.work, self.stopping = queue, work, False
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def stop(self, *_):
        self.stopping = True

    def run(self):
        while not self.stopping:
            try:
                self.consume()
            except pika.exceptions.AMQPConnectionError as error:
                print(f"no broker ({error!r}); trying again", flush=True)
                time.sleep(0.5)
            except pika.exceptions.AMQPChannelError as error:
                print(f"the broker refused: {error!r}; trying again", flush=True)
                time.sleep(2)
        print("stopped", flush=True)

    def consume(self):
        connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
        try:
            channel = connection.channel()
            channel.queue_declare(self.queue, durable=True)
            channel.basic_qos(prefetch_count=1)
            channel.confirm_delivery()
            print(f"waiting for {self.queue}", flush=True)
            for method, properties, body in channel.consume(self.queue, inactivity_timeout=0.2):
                if method:
                    self.handle(channel, method, properties, body)
                if self.stopping:
                    break
            channel.cancel()
        finally:
            if connection.is_open:
                connection.close()

    def handle(self, channel, method, properties, body):
        try:
            self.work(channel, properties, body)
        except Rejected as reason:
            print(f"rejected {properties.message_id}: {reason}", flush=True)
            channel.basic_reject(method.delivery_tag, requeue=False)
        except OSError as error:  # a service that is away for a moment: later is better
            print(f"put back {properties.message_id}: {error}", flush=True)
            time.sleep(0.5)
            channel.basic_nack(method.delivery_tag, requeue=True)
        else:
            channel.basic_ack(method.delivery_tag)
