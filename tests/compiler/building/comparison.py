"""A model built by us against one built by Nengo.

``python tests/compiler/building/comparison.py 500`` compares the random networks of so many seeds.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from nengo.builder import Model

from nengo_dl.compiler.frontend import build_model

#: largest difference of decoders, relative to the largest of them
TOLERANCE = 1e-10


def assert_built_alike(
    net, how: str = "fast", tolerance: float = TOLERANCE, threads: int = 2
) -> float:
    """Check the operators and parameters of a network, and return the largest difference of its
    weights, relative to the largest weight of their connection.
    """
    expected = Model(dt=0.001)
    expected.build(net)
    model = build_model(net, 0.001, None, how=how, threads=threads)
    assert [str(op) for op in model.operators] == [str(op) for op in expected.operators]
    assert [str(obj) for obj in model.params] == [str(obj) for obj in expected.params]
    for op, same in zip(model.operators, expected.operators, strict=True):
        for signal, other in zip(op.all_signals, same.all_signals, strict=True):
            assert signal.readonly == other.readonly and signal.is_view == other.is_view
            assert signal.dtype == other.dtype and signal.offset == other.offset
    worst = 0.0
    for built, same in zip(model.params.values(), expected.params.values(), strict=True):
        for name in set(getattr(built, "_fields", ())) - {"transform"}:
            difference = _difference(name, getattr(built, name), getattr(same, name))
            assert difference <= tolerance, (built, name, difference)
            worst = max(worst, difference)
    return worst


def _difference(name: str, value, expected) -> float:
    """Zero for what has to be the same to the last bit, if it is."""
    if name == "solver_info" and expected is not None:
        assert set(value) == set(expected)
        if "rmses" not in expected:
            return 0.0
        return _relative(value["rmses"], expected["rmses"])
    if name == "weights" and isinstance(expected, np.ndarray):
        return _relative(value, expected)
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(value, expected, name)
    return 0.0


def _relative(value: np.ndarray, expected: np.ndarray) -> float:
    assert value.shape == expected.shape
    largest = np.max(np.abs(expected), initial=0)
    return float(np.max(np.abs(value - expected), initial=0) / largest) if largest else 0.0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    warnings.simplefilter("ignore")
    from random_networks import random_network

    differences = [assert_built_alike(random_network(seed)) for seed in range(int(sys.argv[1]))]
    print(f"{len(differences)} networks, largest difference {max(differences):.1e}")
