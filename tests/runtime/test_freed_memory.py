"""Memory that JAX frees is used again."""

import os
import subprocess
import sys

import keras
import pytest

SCRIPT = """
import resource
import numpy as np
import nengo_dl.runtime.backends.jax
import jax

double = jax.jit(lambda x: 2 * x)
x = jax.numpy.ones((2048, 2048))  # 16 MiB, 4,096 pages
for _ in range(3):
    double(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    double(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**variables: str) -> int:
    """In ten calls of a function with a result of 4,096 pages."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**env, "KERAS_BACKEND": "jax", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.core
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about glibc")
def test_memory_is_kept_unless_the_environment_says_otherwise():
    if keras.backend.backend() != "jax":
        pytest.skip("about JAX")
    assert page_faults() < 10_000
    assert page_faults(MALLOC_TRIM_THRESHOLD_="131072") > 35_000
