"""How operands are put together."""

import keras.ops as ops
import numpy as np
import pytest

from nengo_dl.runtime import backends
from nengo_dl.runtime.step.assembler import sum_of_rows


@pytest.mark.core
@pytest.mark.parametrize(
    "batch, rows, width", [(1, 3, 2000), (2, 9, 1500), (2, 20, 1500), (1, 4, 5)]
)
@pytest.mark.parametrize("in_slices", [None, True, False])
def test_sum_of_rows(batch, rows, width, in_slices):
    chosen = backends.active().adds_slices if in_slices is None else lambda *shape: in_slices
    values = np.random.RandomState(0).normal(size=(batch, rows * width)).astype("float32")
    result = ops.convert_to_numpy(sum_of_rows(ops.convert_to_tensor(values), rows, chosen))
    expected = values.astype("float64").reshape(batch, rows, width).sum(axis=1)
    np.testing.assert_allclose(result, expected, atol=1e-5)
