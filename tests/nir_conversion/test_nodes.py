"""Every node of NIR, computed by its definition."""

import inspect

import numpy as np
import pytest

nir = pytest.importorskip("nir")

from nengo.exceptions import ValidationError  # noqa: E402

from nengo_dl.nir import from_nir, to_nir  # noqa: E402
from nir_conversion.simulate import DT, convolve, lowpass, neuron, record, rows, signal  # noqa: E402

RNG = np.random.RandomState(0)


def between(node, shape_in, shape_out):
    nodes = {
        "input": nir.Input(input_type={"input": np.array(shape_in)}),
        "node": node,
        "output": nir.Output(output_type={"output": np.array(shape_out)}),
    }
    edges = [("input", "node"), ("node", "output")]
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)


def pool(image, size, stride, padding, average):
    weight = np.ones((image.shape[0], 1, *size))
    weight = weight / np.prod(size) if average else weight
    return convolve(image, weight, stride=stride, padding=padding, groups=image.shape[0])


WEIGHT, BIAS = RNG.normal(size=(4, 3)), RNG.normal(size=4)
TAU = np.array([0.01, 0.03, 0.01])
LEAK, RESET, R = np.array([0.1, 0.0, -0.2]), np.array([-0.3, 0.0, 0.1]), np.array([1.5, 2.0, 3.0])
THRESHOLD = np.array([0.5, 0.4, 0.8])
KERNEL1, KERNEL2 = RNG.normal(size=(4, 1, 3)), RNG.normal(size=(4, 3, 2, 3))
BIAS2 = RNG.normal(size=4)


def each_step(function, shape):
    return lambda x: np.array([function(row.reshape(shape)).ravel() for row in x])


def cuba_li(x):
    return lowpass(lowpass(x, TAU, 2.0), TAU * 2, R, LEAK)


def integrate_and_fire(x):
    decay = 1.0
    v, spikes = np.zeros(3), []
    for row in x:
        v = v * decay + DT * 100 * R * row
        spikes.append(v > THRESHOLD)
        v = np.where(spikes[-1], RESET, v)
    return np.array(spikes, dtype=float)


def delayed(x):
    result = np.zeros_like(x)
    for i, n in enumerate([0, 1, 5]):
        result[n:, i] = x[: len(x) - n, i]
    return result


# node, shape of its input, shape of its output, what it does to rows (n_steps, size)
EXAMPLES = {
    nir.Affine: (nir.Affine(weight=WEIGHT, bias=BIAS), (3,), (4,), lambda x: x @ WEIGHT.T + BIAS),
    nir.Linear: (nir.Linear(weight=WEIGHT), (3,), (4,), lambda x: x @ WEIGHT.T),
    nir.Scale: (nir.Scale(scale=R), (3,), (3,), lambda x: x * R),
    nir.Flatten: (
        nir.Flatten(input_type={"input": np.array([2, 3])}, start_dim=0),
        (2, 3),
        (6,),
        lambda x: x,
    ),
    nir.Conv1d: (
        nir.Conv1d(
            input_shape=9, weight=KERNEL1, stride=2, padding=1, dilation=2, groups=2, bias=BIAS2
        ),
        (2, 9),
        (4, 4),
        each_step(lambda i: convolve(i, KERNEL1, BIAS2, 2, 1, 2, 2), (2, 9)),
    ),
    nir.Conv2d: (
        nir.Conv2d(
            input_shape=(5, 6),
            weight=KERNEL2,
            stride=(2, 1),
            padding=(1, 2),
            dilation=(1, 2),
            groups=1,
            bias=BIAS2,
        ),
        (3, 5, 6),
        (4, 3, 6),
        each_step(lambda i: convolve(i, KERNEL2, BIAS2, (2, 1), (1, 2), (1, 2)), (3, 5, 6)),
    ),
    nir.SumPool2d: (
        nir.SumPool2d(
            kernel_size=np.array([2, 3]), stride=np.array([2, 1]), padding=np.array([0, 1])
        ),
        (2, 4, 5),
        (2, 2, 5),
        each_step(lambda i: pool(i, (2, 3), (2, 1), (0, 1), False), (2, 4, 5)),
    ),
    nir.AvgPool2d: (
        nir.AvgPool2d(
            kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])
        ),
        (2, 4, 5),
        (2, 2, 2),
        each_step(lambda i: pool(i, (2, 2), (2, 2), (0, 0), True), (2, 4, 5)),
    ),
    nir.LI: (nir.LI(tau=TAU, r=R, v_leak=LEAK), (3,), (3,), lambda x: lowpass(x, TAU, R, LEAK)),
    nir.I: (
        nir.I(r=R),
        (3,),
        (3,),
        lambda x: np.cumsum(np.r_[np.zeros((1, 3)), x[:-1]], 0) * DT * R,
    ),
    nir.LIF: (
        nir.LIF(tau=TAU, r=R, v_leak=LEAK, v_threshold=THRESHOLD, v_reset=RESET),
        (3,),
        (3,),
        lambda x: neuron(x, TAU, R, LEAK, THRESHOLD, RESET),
    ),
    nir.IF: (
        nir.IF(r=100 * R, v_threshold=THRESHOLD, v_reset=RESET),
        (3,),
        (3,),
        integrate_and_fire,
    ),
    nir.CubaLI: (
        nir.CubaLI(tau_syn=TAU, tau_mem=2 * TAU, r=R, v_leak=LEAK, w_in=np.full(3, 2.0)),
        (3,),
        (3,),
        cuba_li,
    ),
    nir.CubaLIF: (
        nir.CubaLIF(
            tau_syn=2 * TAU,
            tau_mem=TAU,
            r=R,
            v_leak=LEAK,
            v_threshold=THRESHOLD,
            v_reset=RESET,
            w_in=np.full(3, 2.0),
        ),
        (3,),
        (3,),
        lambda x: neuron(lowpass(x, 2 * TAU, 2.0), TAU, R, LEAK, THRESHOLD, RESET),
    ),
    nir.Threshold: (
        nir.Threshold(threshold=np.array([0.5, 0.0, -0.3])),
        (3,),
        (3,),
        lambda x: (x > [0.5, 0.0, -0.3]).astype(float),
    ),
    nir.Delay: (nir.Delay(delay=np.array([0, 1, 5]) * DT), (3,), (3,), delayed),
}
STRUCTURE = {nir.Input, nir.Output, nir.NIRGraph}  # what the examples are put into


def all_types():
    found = vars(nir).values()
    nodes = {t for t in found if inspect.isclass(t) and issubclass(t, nir.NIRNode)}
    return nodes - {nir.NIRNode}


def test_examples_are_of_every_type():
    assert set(EXAMPLES) | STRUCTURE == all_types()
    assert len(EXAMPLES) == 16


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_node(kind):
    """Read from NIR a node does what its definition says; written again, the same."""
    node, shape_in, shape_out, expected = EXAMPLES[kind]
    x = signal(int(np.prod(shape_in)), scale=2.0)
    net = from_nir(between(node, shape_in, shape_out), inputs={"input": x})
    assert net.shapes == {"input": shape_in, "output": shape_out}
    result = record(net)["output"]
    np.testing.assert_allclose(result, expected(rows(x)), atol=1e-8)
    assert np.ptp(result) > 0

    again = to_nir(net, keep_voltages=True)
    net = from_nir(again, inputs={"input": x})
    np.testing.assert_allclose(record(net)["output"], result, atol=1e-9)


def test_a_graph_inside_a_graph():
    inner = between(nir.Scale(scale=np.array([2.0, 3.0])), (2,), (2,))
    outer = between(inner, (2,), (2,))
    net = from_nir(between(outer, (2,), (2,)), inputs={"input": [1.0, 10.0]})
    np.testing.assert_allclose(record(net, 2)["output"], [[2, 30]] * 2)


def test_unknown_node_is_refused_by_name():
    class Resonator(nir.NIRNode):
        def __init__(self):
            self.input_type = {"input": np.array([2])}
            self.output_type = {"output": np.array([2])}
            self.metadata = {}

    with pytest.raises(ValidationError, match="'node' is a Resonator, which from_nir does not"):
        from_nir(between(Resonator(), (2,), (2,)))
