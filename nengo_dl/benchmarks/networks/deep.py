"""Networks from deep learning."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.neurons import NeuronType

from .parts import seeded_network


def mnist(
    use_tensor_layer: bool = True,
    neuron_type: NeuronType = nengo.LIF(amplitude=0.01),  # noqa: B008 (neuron types are frozen)
    image_size: int = 28,
    filters: tuple[int, ...] = (32, 64, 128),
) -> nengo.Network:
    """Classify images with convolutional layers of neurons, and a dense layer.

    Parameters
    ----------
    use_tensor_layer
        Whether the weights are Keras layers (`nengo_dl.Layer`), or Nengo's convolutions, which
        `nengo.Simulator` runs, too.
    neuron_type
        Neuron type of all layers.
    image_size
        Height and width of the images.
    filters
        Filters of each layer; from the second layer on the stride is two.
    """
    with seeded_network(neuron_type) as net:
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([100])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([1])
        net.config[nengo.Connection].synapse = None
        pixels = np.random.RandomState(0).uniform(size=image_size**2)
        x, shape = nengo.Node(pixels), (image_size, image_size, 1)
        for i, n_filters in enumerate(filters):
            convolve = _keras_convolution if use_tensor_layer else _nengo_convolution
            x, shape = convolve(x, shape, n_filters, 1 if i == 0 else 2)
            ensemble = nengo.Ensemble(x.size_out, 1)
            nengo.Connection(x, ensemble.neurons)
            x = ensemble.neurons
        classes = nengo.Node(size_in=10)
        weights = np.random.RandomState(1).normal(size=(10, x.size_out)) / np.sqrt(x.size_out)
        nengo.Connection(x, classes, transform=weights)
        net.p = nengo.Probe(classes, synapse=0.1)
    return net


def _nengo_convolution(x, shape, n_filters, strides):
    transform = nengo.Convolution(n_filters, shape, strides=(strides, strides))
    result = nengo.Node(size_in=transform.size_out)
    nengo.Connection(x, result, transform=transform)
    return result, transform.output_shape.shape


def _keras_convolution(x, shape, n_filters, strides):
    import keras

    import nengo_dl

    layer = keras.layers.Conv2D(n_filters, kernel_size=3, strides=strides)
    result = nengo_dl.Layer(layer)(x, shape_in=shape)
    size = (shape[0] - 3) // strides + 1
    return result, (size, size, n_filters)


def lmu(
    theta: int = 784,
    input_d: int = 1,
    order: int = 256,
    n_hidden: int = 212,
    neuron_type: NeuronType = nengo.Tanh(),  # noqa: B008 (neuron types are frozen)
) -> nengo.Network:
    """Remember a window of a signal with a Legendre memory, and read it by a recurrent layer.

    The Legendre memory unit of Voelker, Kajić and Eliasmith (2019), "Legendre memory units:
    continuous-time representation in recurrent neural networks", NeurIPS.

    Parameters
    ----------
    theta
        Length of the window, in steps.
    input_d
        Dimensions of the signal.
    order
        Polynomials for each dimension.
    n_hidden
        Neurons of the recurrent layer.
    neuron_type
        Neuron type of the recurrent layer.
    """
    a, b = _legendre(order, theta)
    rng = np.random.RandomState(0)
    with seeded_network(neuron_type) as net:
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
        signal = nengo.Node(nengo.processes.WhiteSignal(1.0, high=20, rms=0.5), size_out=input_d)
        summed = nengo.Node(size_in=input_d)
        memory = nengo.Node(size_in=order * input_d)
        hidden = nengo.Ensemble(n_hidden, 1)
        nengo.Connection(signal, summed)
        nengo.Connection(summed, memory, transform=np.kron(np.eye(input_d), b))
        # a synapse of no time constant is a delay of one step
        nengo.Connection(memory, memory, transform=np.kron(np.eye(input_d), a), synapse=0)
        nengo.Connection(signal, hidden.neurons, transform=_weights(rng, n_hidden, input_d))
        nengo.Connection(memory, hidden.neurons, transform=_weights(rng, n_hidden, order * input_d))
        nengo.Connection(
            hidden.neurons, hidden.neurons, transform=_weights(rng, n_hidden, n_hidden), synapse=0
        )
        net.p = nengo.Probe(hidden.neurons)
    return net


def _weights(rng: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    return rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)


def _legendre(order: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of the memory for steps of one (equations 1 and 2, held over the step)."""
    i = np.arange(order)[:, None]
    j = i.T
    scale = (2 * i + 1) / theta
    a = np.where(i < j, -1.0, np.where((i - j) % 2, 1.0, -1.0)) * scale
    b = np.where(i % 2, -1.0, 1.0) * scale
    held = _exponential(np.block([[a, b], [np.zeros((1, order + 1))]]))
    return held[:order, :order], held[:order, order:]


def _exponential(matrix: np.ndarray) -> np.ndarray:
    """Exponential of a matrix, by its Taylor series after scaling, and squaring.

    SciPy is not in every interpreter that loads this module, and the copy of its function in Nengo
    4.1 fails for large matrices with NumPy 2.4 or later.
    """
    squarings = max(0, int(np.ceil(np.log2(np.linalg.norm(matrix, 1)))) + 1)
    scaled = matrix / 2**squarings  # of norm 1/2 at most, so that 16 terms are enough
    term = result = np.eye(len(matrix))
    for k in range(1, 17):
        term = term @ scaled / k
        result = result + term
    for _ in range(squarings):
        result = result @ result
    return result
