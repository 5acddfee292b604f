"""The conversion of a network trained on MNIST, at full length."""

import os

import pytest


@pytest.mark.slow
def test_spikes_cost_half_a_percent_at_most_and_calibrated_ones_a_tenth():
    path = os.environ.get("NENGO_DL_MNIST")
    if path is None:
        pytest.skip("NENGO_DL_MNIST does not name an mnist.npz")
    from nengo_dl.benchmarks import converted_mnist

    in_keras, naive, auto, calibrated = converted_mnist.run(
        path, epochs=4, n_steps=60, synapse=0.01, n_test=10000
    ).values()
    assert in_keras >= 0.98
    assert auto >= in_keras - 0.005
    assert calibrated >= in_keras - 0.001
    assert naive < 0.5
