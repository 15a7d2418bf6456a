"""Soaks: what Havn promises under attack or failure, shown at full size on this machine.

    ./dev soak              # all of them, some minutes each
    ./dev soak NAME         # tests/soak/soak_NAME.py

Each soak runs the release binary with real clients and peers, measures, asserts the promise, prints its figures as one line
of JSON and leaves them in build/soak/NAME.json. The harnesses are those of tests/e2e; what soaks have in common beside
them is in soaks.py (figures, clients beside) and load.py (the process that sends requests).

They are no part of `./dev test`: they take minutes and the whole machine, and unlike tests they assert times. `./dev test`
holds a short form of each promise that does not depend on the time.
"""

import importlib.util
import sys
from pathlib import Path

E2E = Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))   # harness, gateway_harness, …

# Its conftest has the same name as this one: taken under another, and its fixtures and hooks with it.
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e_conftest)

havn, platform = e2e_conftest.havn, e2e_conftest.platform
no_test_hangs = e2e_conftest.no_test_hangs
pytest_configure = e2e_conftest.pytest_configure
pytest_runtest_makereport = e2e_conftest.pytest_runtest_makereport
