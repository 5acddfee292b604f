"""Training gives what Keras gives for the same model, and the same on each backend."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from training import loss_curve


@pytest.mark.core
@pytest.mark.parametrize(
    "make_optimizer",
    [lambda: keras.optimizers.SGD(0.1, momentum=0.5), lambda: keras.optimizers.Adam(0.01)],
    ids=["SGD", "Adam"],
)
def test_same_weights_as_keras(make_optimizer):
    """Dense layers of rate neurons for one step: 100 updates end at the same weights."""
    rng = np.random.RandomState(0)
    first, second = rng.normal(size=(16, 8)) / 3, rng.normal(size=(4, 16)) / 4
    x, y = rng.normal(size=(800, 1, 8)), rng.normal(size=(800, 1, 4))
    with nengo.Network(seed=0) as net:
        inp, out = nengo.Node(np.zeros(8)), nengo.Node(size_in=4)
        hidden = nengo.Ensemble(
            16, 1, neuron_type=nengo.RectifiedLinear(), gain=np.ones(16), bias=np.zeros(16)
        )
        to_hidden = nengo.Connection(inp, hidden.neurons, transform=first, synapse=None)
        to_out = nengo.Connection(hidden.neurons, out, transform=second, synapse=None)
        nengo.Probe(out)
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        sim.compile(make_optimizer(), loss="mse")
        history = sim.fit(x, y, shuffle=False).history
        weights = [sim.data[to_hidden].weights, sim.data[hidden].bias, sim.data[to_out].weights]
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(4, use_bias=False),
        ]
    )
    model.set_weights([first.T, np.zeros(16), second.T])
    model.compile(make_optimizer(), loss="mse")
    expected = model.fit(x[:, 0], y[:, 0], batch_size=8, shuffle=False, verbose=0).history
    for ours, theirs in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours.T, theirs, atol=1e-5)
    assert history["loss"][0] == pytest.approx(expected["loss"][0], rel=1e-5)


def test_same_losses_on_the_other_backend():
    backends = {"tensorflow": "jax", "jax": "tensorflow"}
    other = backends[keras.backend.backend()]
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(Path(loss_curve.__file__))],
        env={**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["backend"] == other
    losses = loss_curve.losses()
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(result["losses"], losses, rtol=1e-3)
