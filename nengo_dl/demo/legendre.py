"""A Legendre memory unit three ways: of Nengo objects, as a Keras cell in a `nengo_dl.Layer`, and
with the layer of ``keras_lmu`` where that is installed.

The equations are those of Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units:
Continuous-time representation in recurrent neural networks", NeurIPS 32. Each unit learns to give
back its input as it was some steps ago. ``python -m nengo_dl.demo.legendre`` runs it;
`nengo_dl.layers` has a Legendre memory with all its options.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import keras
import nengo
import numpy as np
from keras import ops
from scipy.linalg import expm

import nengo_dl

DELAY = 8  # steps after which the input has to be given back
N_STEPS = 24  # of a sequence


@dataclass(frozen=True)
class Size:
    """Of a Legendre memory unit.

    Attributes
    ----------
    order
        Number of Legendre polynomials.
    theta
        Length of the window that the memory holds, in steps.
    units
        Number of hidden neurons.
    """

    order: int = 6
    theta: float = 10.0
    units: int = 16


def memory_matrices(order: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """A, (order, order), and B, (order, 1), of ``m[t] = A m[t - 1] + B u[t]``.

    From ``theta dm/dt = A m + B u`` (equation 2 of the paper), whose input is held for a step
    (zero-order hold); ``theta`` is in steps.
    """
    i, j = np.mgrid[:order, :order]
    a = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = (2 * i[:, :1] + 1) * (-1.0) ** i[:, :1]
    both = np.zeros((order + 1, order + 1))
    both[:order] = np.hstack([a, b]) / theta
    both = expm(both)
    return both[:order, :order], both[:order, order:]


class LegendreCell(keras.layers.Layer):
    """A Legendre memory unit as a recurrent cell of Keras.

    With input x, memory m and hidden neurons h (equations 6 and 7 of the paper)::

        u[t] = e_x x[t] + e_h h[t - 1] + e_m m[t - 1]
        m[t] = A m[t - 1] + B u[t]
        h[t] = tanh(W_x x[t] + W_h h[t - 1] + W_m m[t])
    """

    def __init__(self, size: Size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.state_size = [size.units, size.order]
        a, b = memory_matrices(size.order, size.theta)
        self.a, self.b = a.T.astype(np.float32), b.T.astype(np.float32)

    def build(self, input_shape):
        """Make the weights."""
        units, order, n = self.size.units, self.size.order, input_shape[-1]
        shapes = {"e_x": (n, 1), "e_h": (units, 1), "e_m": (order, 1)}
        shapes |= {"w_x": (n, units), "w_h": (units, units), "w_m": (order, units)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, name=name))

    def call(self, inputs, states):
        """One step."""
        h, m = states
        u = inputs @ self.e_x + h @ self.e_h + m @ self.e_m
        m = m @ self.a + u @ self.b
        h = ops.tanh(inputs @ self.w_x + h @ self.w_h + m @ self.w_m)
        return h, [h, m]


def of_nengo_objects(x: nengo.Node, size: Size) -> nengo.ensemble.Neurons:
    """The same of Nodes, neurons and connections; returns the hidden neurons.

    ``synapse=0`` delays by one step, ``synapse=None`` does not.
    """
    a, b = memory_matrices(size.order, size.theta)
    u = nengo.Node(size_in=1, label="u")
    m = nengo.Node(size_in=size.order, label="m")
    h = nengo.Ensemble(
        size.units,
        1,
        neuron_type=nengo.Tanh(tau_ref=1),
        gain=np.ones(size.units),
        bias=np.zeros(size.units),
        label="h",
    ).neurons
    fixed = [
        nengo.Connection(u, m, transform=b, synapse=None),
        nengo.Connection(m, m, transform=a, synapse=0),
    ]
    network = nengo.Network.context[-1]
    for conn in fixed:
        network.config[conn].trainable = False
    network.config[h.ensemble].trainable = False
    glorot = nengo_dl.dists.Glorot()
    for pre, post, synapse, label in [
        (x, u, None, "e_x"),
        (h, u, 0, "e_h"),
        (m, u, 0, "e_m"),
        (x, h, None, "w_x"),
        (h, h, 0, "w_h"),
        (m, h, None, "w_m"),
    ]:
        nengo.Connection(pre, post, transform=glorot, synapse=synapse, label=label)
    return h


def of_keras_lmu(x: nengo.Node, size: Size) -> nengo_dl.TensorNode:
    """With the cell of ``keras_lmu``."""
    import keras_lmu

    cell = keras_lmu.LMUCell(
        memory_d=1,
        order=size.order,
        theta=size.theta,
        hidden_cell=keras.layers.SimpleRNNCell(size.units),
        hidden_to_memory=True,
        memory_to_memory=True,
        input_to_hidden=True,
    )
    return nengo_dl.Layer(cell)(x)


UNITS = {
    "Nengo objects": of_nengo_objects,
    "Keras cell": lambda x, size: nengo_dl.Layer(LegendreCell(size))(x),
}
if importlib.util.find_spec("keras_lmu") is not None:
    UNITS["keras_lmu"] = of_keras_lmu


def make_network(unit: str, size: Size | None = None, seed: int = 0) -> nengo.Network:
    """An input, a Legendre memory unit, and a trained output; ``unit`` is a key of `UNITS`."""
    keras.utils.set_random_seed(seed)
    with nengo.Network(seed=seed) as network:
        nengo_dl.configure_settings(trainable=None)
        x = nengo.Node([0.0], label="x")
        hidden = UNITS[unit](x, Size() if size is None else size)
        nengo.Probe(nengo_dl.Layer(keras.layers.Dense(1))(hidden), label="y")
    return network


def examples(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random sequences, (n, N_STEPS, 1), and the same `DELAY` steps later."""
    x = np.random.RandomState(seed).uniform(-1, 1, size=(n, N_STEPS, 1))
    x = np.stack([np.convolve(row[:, 0], np.ones(3) / 3, "same") for row in x])[..., None]
    y = np.zeros_like(x)
    y[:, DELAY:] = x[:, :-DELAY]
    return x, y


def train(unit: str, epochs: int = 10, n: int = 800) -> list[float]:
    """Train a network; the mean squared error on new sequences before training, and after it, both
    as fractions of that of an output of zero.
    """
    network = make_network(unit)
    x, y = examples(n)
    test_x, test_y = examples(200, seed=1)
    with nengo_dl.Simulator(network, minibatch_size=50, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.01), loss="mse")
        losses = [sim.evaluate(test_x, test_y, verbose=0)["loss"]]
        sim.fit(x, y, epochs=epochs, verbose=0)
        losses.append(sim.evaluate(test_x, test_y, verbose=0)["loss"])
    return [float(loss / np.mean(test_y**2)) for loss in losses]


if __name__ == "__main__":
    for name in UNITS:
        before, after = train(name)
        print(f"{name}: error {before:.2f} before training, {after:.3f} after it")
