"""The examples of docs/extending.md give what the text says."""

import numpy as np
import pytest
from nengo.builder import Builder

from documentation.pages import PAGES, run


@pytest.mark.core
def test_examples(monkeypatch):
    monkeypatch.setattr(Builder, "builders", dict(Builder.builders))
    in_python, registered, operator, _, _ = (
        names for _, _, names in run(PAGES["docs/extending.md"])
    )
    probe = in_python["probe"]
    python, native = in_python["sim"].data[probe], registered["sim"].data[probe]
    assert np.max(python) > 10
    np.testing.assert_allclose(python, native, rtol=1e-5, atol=1e-5)
    decayed = operator["after"] / operator["before"]
    # the last change takes effect in the next step
    np.testing.assert_allclose(decayed, (1 - 0.5 * 0.001) ** 49, rtol=1e-4)
