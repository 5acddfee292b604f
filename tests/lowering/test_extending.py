"""The examples of docs/extending.md."""

import re
from pathlib import Path

import numpy as np
import pytest
from nengo.builder import Builder

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def examples():
    """The names that each code block of the page leaves, one after the other."""
    namespace = {}
    after_each = []
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), namespace)
        after_each.append(dict(namespace))
    yield after_each
    del Builder.builders[namespace["Decay"]]


@pytest.mark.core
def test_examples(examples):
    in_python, registered, operator = examples
    probe = in_python["probe"]
    python, native = in_python["sim"].data[probe], registered["sim"].data[probe]
    assert np.max(python) > 10
    np.testing.assert_allclose(python, native, rtol=1e-5, atol=1e-5)
    decayed = operator["after"] / operator["before"]
    # the last change takes effect in the next step
    np.testing.assert_allclose(decayed, (1 - 0.5 * 0.001) ** 49, rtol=1e-4)
