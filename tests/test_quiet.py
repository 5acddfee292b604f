"""What is written to stderr while TensorFlow is loaded."""

import os
import subprocess
import sys

import pytest

from nengo_dl import quiet

WRITTEN = [
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    b"I0000 00:00:1.0 1 cudart_stub.cc:31] Could not find cuda drivers on your machine",
    b"E0000 00:00:1.0 1 cuda_platform.cc:52] failed call to cuInit: INTERNAL",
    b"E0000 00:00:1.0 1 other.cc:1] wrong",
    b"W0000 00:00:1.0 1 other.cc:1] odd",
    b"",
    b"Illegal instruction",
]


@pytest.mark.parametrize("driver", [False, True])
def test_noise_is_dropped_and_all_else_is_passed_on(driver, capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(quiet, "DRIVER", str(tmp_path if driver else tmp_path / "none"))
    with quiet.without_noise():
        os.write(2, b"\n".join(WRITTEN) + b"\n")
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'of a child')"], check=True)
    os.write(2, b", later")
    expected = [line.decode() for line in WRITTEN[2 if driver else 3 :]]
    assert capfd.readouterr().err == "\n".join([*expected, "of a child\n, later"])


def test_an_error_leaves_stderr_as_it_was(capfd):
    with pytest.raises(ZeroDivisionError), quiet.without_noise():
        print("before", file=sys.stderr)
        raise ZeroDivisionError
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "before\nafter\n"
