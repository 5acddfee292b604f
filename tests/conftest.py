"""What all tests share.

The environment is set before anything imports TensorFlow, JAX or matplotlib.
"""

import os
import random
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NENGO_DL_VERIFY", "1")
# what is compiled is compiled here, and nothing is left in the user's folders
os.environ.setdefault("NENGO_DL_COMPILATION_CACHE", "0")

import nengo  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# the same in each test, whatever the user has configured; and no decoders are written to disk
nengo.rc.reload_rc(filenames=[])
nengo.rc.set("decoder_cache", "enabled", "False")
nengo.rc.set("exceptions", "simplified", "False")
nengo.rc.set("nengo.Simulator", "fail_fast", "True")
nengo.rc.set("progress", "progress_bar", "False")

settings.register_profile(
    "ci",
    deadline=None,  # the first example compiles
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def simulator_backend() -> str:
    """Name of the Keras backend that runs the simulations: "tensorflow" or "jax"."""
    import keras

    return keras.backend.backend()


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Global random numbers, which shuffle training data, do not depend on the tests before."""
    random.seed(2026)
    np.random.seed(2026)


@pytest.fixture(autouse=True)
def close_figures():
    """No test sees the figures of another, which may have run before it in the same process."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def nothing_compiled():
    """No test finds what was compiled for another."""
    from nengo_dl.runtime.backends.shared_functions import chunk_functions

    chunk_functions.clear()
    yield
    chunk_functions.clear()


@pytest.fixture
def interruptible():
    """Ctrl-C has its effect, which processes that a shell starts in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
