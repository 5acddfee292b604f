"""The command that runs Nengo's own suites; the suites themselves run as a step of the CI."""

import subprocess
import sys

import pytest

from nengo_dl.conformance.run import FAST, missing_plugins

pytestmark = pytest.mark.skipif(
    bool(missing_plugins()), reason="the suites need the extra conformance"
)


def conform(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from nengo_dl.cli import main; main()", "conform", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_few_of_nengos_tests():
    tests = "test_steps or test_time_steps or test_probe_cache or test_dtype"
    result = conform("--fast", "-q", "-k", tests)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout


def test_a_failing_suite_is_a_failure():
    result = conform("--fast", "-q", "-k", "no_such_test")
    assert result.returncode == 5  # pytest: nothing was collected


@pytest.mark.parametrize("suite", list(FAST))
def test_parts_are_of_the_suite(suite):
    assert all(part.startswith(suite) for part in FAST[suite])
