"""Fixtures of the end-to-end tests.

HAVN_BINARY names the binary; build/havn otherwise. AMQP_UNDER_TEST=amqp://… points the tests of AMQP
clients (test_pika_*.py, test_celery.py, test_bad_amqp.py) at another broker: to calibrate them on RabbitMQ.
"""

import contextlib
import os
import signal
import uuid
from pathlib import Path

import pika
import pytest

from harness import Platform, free_port, havn_binary, running


@pytest.fixture(scope="session")
def havn():
    """The release binary under test."""
    binary = havn_binary()
    if not os.access(binary, os.X_OK):
        pytest.fail(f"no binary at {binary}: run `./dev build`, or name one with HAVN_BINARY", pytrace=False)
    return binary


@pytest.fixture
def platform(havn, request):
    """A platform not yet started, in a temporary folder. Ended and checked for leftovers after the test."""
    platform = Platform(havn)
    yield platform
    if getattr(request.node, "failed", False):
        print(f"\n=== logs of {platform.folder}\n{platform.logs()}")
    platform.close()


@pytest.fixture
def port():
    return free_port()


# --- a broker for the tests of clients

class BrokerUnderTest:
    """Where the broker is, and a way to see that it has not crashed."""

    def __init__(self, url, platform=None):
        self.url, self.platform = url, platform
        self.pid = platform.pid_of("broker") if platform else None

    def assert_alive(self):
        if self.pid and not os.path.exists(f"/proc/{self.pid}"):
            dead, self.pid = self.pid, self.platform.pid_of("broker")
            pytest.fail(f"the broker (pid {dead}) died during this test\n{self.platform.logs()}")


@pytest.fixture(scope="session")
def shared_broker(request):
    if url := os.environ.get("AMQP_UNDER_TEST"):
        yield BrokerUnderTest(url)
    else:
        with running(request.getfixturevalue("havn"), "") as platform:
            yield BrokerUnderTest(platform.amqp_url, platform)


@pytest.fixture
def amqp(shared_broker):
    """One broker for all tests of clients; a test that kills it fails."""
    yield shared_broker
    shared_broker.assert_alive()


@pytest.fixture
def connect(amqp):
    """connect(heartbeat=…, …) opens another pika connection, closed after the test."""
    opened = []

    def open_connection(**overrides):
        parameters = pika.URLParameters(amqp.url)
        parameters.socket_timeout = parameters.stack_timeout = 15
        for name, value in overrides.items():
            setattr(parameters, name, value)
        connection = pika.BlockingConnection(parameters)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        with contextlib.suppress(Exception):
            connection.close()


@pytest.fixture
def connection(connect):
    return connect()


@pytest.fixture
def channel(connection):
    return connection.channel()


@pytest.fixture
def name():
    """A name nobody else uses."""
    return f"test.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def queue(channel, name):
    """An empty queue, which goes with the connection of `channel`'s test."""
    channel.queue_declare(name, exclusive=True)
    return name


# --- every test

SANITIZER_REPORTS = Path("/tmp/havn-sanitizer")  # tests/sanitizer_options.cc


@pytest.fixture(autouse=True)
def no_sanitizer_report():
    """What a sanitized binary reports fails the test that ends next: the one in which it was, or one beside it. What is
    left at the end ./dev sees."""
    yield
    texts = []
    for report in sorted(SANITIZER_REPORTS.glob("report.*")):
        claimed = report.with_name(f"claimed-by-{os.getpid()}-{report.name}")
        with contextlib.suppress(FileNotFoundError):   # a test beside this one was faster
            report.rename(claimed)
            texts.append(claimed.read_text(errors="replace")[:6000])
    if texts:
        pytest.fail("\n".join(texts), pytrace=False)


@pytest.fixture(autouse=True)
def no_test_hangs(request):
    """A client that waits for an answer that never comes fails the test instead of stopping the run."""
    marker = request.node.get_closest_marker("time_limit")
    seconds = marker.args[0] if marker else 60

    def too_late(*_):
        pytest.fail(f"the test still ran after {seconds} s")  # not an Exception: no client swallows it

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 15)  # again, should the tearing down hang as well
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def pytest_collection_modifyitems(items):
    if os.environ.get("HAVN_SANITIZED"):
        for item in items:
            if marker := item.get_closest_marker("not_sanitized"):
                item.add_marker(pytest.mark.skip(reason=marker.args[0]))


def pytest_configure(config):
    config.addinivalue_line("markers", "not_sanitized(reason): means nothing with a sanitized binary")
    config.addinivalue_line("markers", "time_limit(seconds): how long the test may take, 60 unless told")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    item.failed = getattr(item, "failed", False) or report.failed
