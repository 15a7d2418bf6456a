"""Fixtures of the end-to-end tests. HAVN_BINARY names the binary; build/havn otherwise."""

import os

import pytest

from harness import Platform, free_port, havn_binary


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
    platform = Platform(havn, request.node.name)
    yield platform
    outcome = getattr(request.node, "outcome_of_call", None)
    if outcome is not None and outcome.failed:
        print(f"\n=== logs of {platform.folder}\n{platform.logs()}")
    platform.close()


@pytest.fixture
def port():
    return free_port()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.outcome_of_call = report
