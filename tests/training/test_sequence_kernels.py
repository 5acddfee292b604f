"""All steps of a loop in one kernel: the numbers of the loop, and its gradients. The kernels are
interpreted here, and lowered for a GPU.
"""

from functools import partial

import keras
import nengo
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("about JAX", allow_module_level=True)

import jax
import jax.numpy as jnp

import nengo_dl
from nengo_dl import surrogates, tuning
from nengo_dl._private.jax import has_triton
from nengo_dl.lowering.context import StepContext, Variables
from nengo_dl.lowering.filters import alpha_coefficients, alpha_step
from nengo_dl.lowering.lif import fast_lif
from nengo_dl.lowering.neurons import NeuronKernel, lowering_of
from nengo_dl.runtime.backends import jax as backend
from nengo_dl.runtime.backends.jax_elementwise import elementwise_step
from nengo_dl.runtime.backends.jax_scan import recomputing_scan

if not has_triton():
    pytest.skip("this JAX has none of these kernels", allow_module_level=True)

from nengo_dl.runtime.backends import jax_kernels
from nengo_dl.runtime.backends import jax_sequence_kernels as kernels

pytestmark = pytest.mark.core

BATCH, N_STEPS, WIDTH = 2, 5, 11
#: kernels are compiled in less than half of the time
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    monkeypatch.setattr(jax_kernels, "interpreted", True)
    # several programs, of which one has elements that are not there
    monkeypatch.setattr(tuning, "KERNEL_ELEMENTS", 8)
    monkeypatch.setattr(tuning, "KERNEL_STEPS", 1)


def neurons(neuron_type, surrogate="fast_sigmoid", smoothing=None, form=None, scale=30.0):
    """A step of a layer with a bias that is trained; the inputs are from -scale/2 to scale."""
    context = StepContext(
        dt=0.001,
        dtype="float32",
        training=True,
        lif_smoothing=smoothing,
        step_index=None,
        host_call=None,
        host=None,
        variables=Variables((), ()),
        surrogate=surrogates.get(surrogate),
    )
    lowering = lowering_of(neuron_type)
    kernel = NeuronKernel(lowering)
    arguments = {name: getattr(neuron_type, name) for name in lowering.parameters}

    def step(bias, state, now, i):
        operands = scale * now[0] + bias, *state
        output, *state = kernel.run(form or lowering.step, context, operands, arguments)
        return state, [output, output * now[0]]

    return step, len(lowering.state)


def lowpass(bias, state, now, i):
    decay = jnp.exp(-1.0 / (5.0 + jnp.abs(bias)))  # trained, too
    gain = jnp.where(bias > 0.001, now[0], 0.5 * now[0]) + jnp.mean(bias)
    level = gain + decay * (state[0] - gain)
    return [level], [level, level - now[0]]


def alpha(bias, state, now, i):
    coefficients = alpha_coefficients(0.005 + 0.001 * jnp.abs(bias), 0.001)
    output, *state = alpha_step(coefficients, now[0], *state)
    return state, [output, output * (i + 1)]


CASES = {
    "LIF": neurons(nengo.LIF()),
    "fast LIF": neurons(nengo.LIF(tau_ref=0.0015), form=fast_lif),
    "rates of LIF": neurons(nengo.LIF(), surrogate=None, smoothing=0.1, scale=3.0),
    "spikes, gradients of rates": neurons(nengo.LIF(), "rate"),
    "AdaptiveLIF": neurons(nengo.AdaptiveLIF(tau_n=0.01, inc_n=0.1), "arctan"),
    "SpikingRectifiedLinear": neurons(nengo.SpikingRectifiedLinear(), "triangle", scale=1e3),
    "Izhikevich": neurons(nengo.Izhikevich(), scale=10.0),
    "RegularSpiking": neurons(nengo.RegularSpiking(nengo.LIFRate()), scale=900.0),
    "Lowpass": (lowpass, 1),
    "Alpha": (alpha, 2),
}


def arguments(n_states):
    """A parameter for each column, the first state, and rows."""
    rng = np.random.RandomState(3)
    shapes = [(1, WIDTH), *[(BATCH, WIDTH)] * n_states]
    bias, *state = (jnp.asarray(rng.uniform(0, 0.002, s), "float32") for s in shapes)
    return bias, state, [jnp.asarray(rng.uniform(-0.5, 1, (N_STEPS, BATCH, WIDTH)), "float32")]


def with_gradients(scan, given):
    """The last state and outputs (all steps of the first, the last of the second), and gradients of
    a sum of them with different weights.
    """
    kept = [True, False]

    def loss(given):
        results = scan(*given, N_STEPS, kept, None, "float32")
        rng = np.random.RandomState(5)
        leaves = jax.tree.leaves(results)
        return sum(jnp.sum(value * rng.uniform(-1, 1, value.shape)) for value in leaves), results

    return jax.value_and_grad(loss, has_aux=True)(given)


def assert_close(ours, loop, rounding=2e-6):
    """Up to rounding, as a share of the largest number."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(loop), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=rounding * np.abs(b).max())


def compared(case):
    """Results and gradients of a kernel and of the loop."""
    step, n_states = CASES[case]
    given = arguments(n_states)

    def run(scan):
        function = jax.jit(partial(with_gradients, partial(scan, step)), compiler_options=QUICKLY)
        (_, results), gradients = function(given)
        return results, gradients

    assert kernels.sequence_kernel(partial(step, given[0]), *given[1:], N_STEPS, [True, False])
    return run(kernels.fused_scan), run(recomputing_scan)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_loop(case):
    ours, loop = compared(case)
    assert_close(ours, loop)
    _, (of_bias, _, (of_rows,)) = loop
    assert np.any(of_bias != 0) and np.any(of_rows != 0)


def test_several_steps_read_ahead(monkeypatch):
    """Two turns, and a step that is left over."""
    monkeypatch.setattr(tuning, "KERNEL_STEPS", 2)
    assert_close(*compared("Lowpass"))


def test_lowers_for_a_gpu(monkeypatch):
    """Without one: Triton's code, forward and backward, of all cases side by side."""
    monkeypatch.setattr(jax_kernels, "interpreted", False)
    steps, counts = zip(*CASES.values(), strict=True)
    ends = np.cumsum(counts)

    def step(bias, state, now, i):
        parts = np.split(np.arange(len(state)), ends[:-1])
        results = [
            one(bias, [state[k] for k in part], now, i)
            for one, part in zip(steps, parts, strict=True)
        ]
        total = sum(outputs[0] for _, outputs in results)
        return [value for own, _ in results for value in own], [total, total]

    function = jax.jit(partial(with_gradients, partial(kernels.fused_scan, step)))
    lowered = function.trace(arguments(ends[-1])).lower(lowering_platforms=("cuda",))
    text = lowered.as_text()
    assert text.count("custom_call @__gpu$xla.gpu.triton") == 2
    assert "nengo_dl_forward" in text and "nengo_dl_backward" in text


NOT_ELEMENTWISE = {
    "product": lambda state, now, i: ([state[0] @ jnp.ones((WIDTH, WIDTH))], [now[0]]),
    "another column": lambda state, now, i: ([jnp.roll(state[0], 1, axis=1)], [now[0]]),
    "sum of items": lambda state, now, i: ([state[0] - state[0].sum(0, keepdims=True)], [now[0]]),
    "transposition": lambda state, now, i: (
        [state[0].reshape(WIDTH, BATCH).reshape(BATCH, WIDTH)],
        [now[0]],
    ),
    "another width": lambda state, now, i: (state, [now[0][:, :3]]),
}


@pytest.mark.parametrize("case", NOT_ELEMENTWISE)
def test_other_steps_have_no_kernel(case):
    _, state, rows = arguments(1)
    assert elementwise_step(NOT_ELEMENTWISE[case], state, rows) is None


def test_double_precision_has_no_kernel():
    with backend.precision("float64"):
        _, state, rows = jax.tree.map(lambda x: x.astype("float64"), arguments(1))
        assert elementwise_step(partial(lowpass, 0.0), state, rows) is None


def test_no_kernels_on_a_processor():
    assert backend.fused_scan() is None


def network(sequence_kernels):
    """Two layers of neurons, which a synapse separates, and filters of both."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(
            surrogate="fast_sigmoid", sequence_kernels=sequence_kernels, keep_history=True
        )
        net.inp = nengo.Node(np.zeros(6))
        a = nengo.Ensemble(7, 1, neuron_type=nengo.LIF(), gain=[20.0] * 7, bias=[1.0] * 7)
        b = nengo.Ensemble(3, 1, neuron_type=nengo.LIF(), gain=[9.0] * 3, bias=[1.1] * 3)
        nengo.Connection(net.inp, a.neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(a.neurons, b.neurons, transform=nengo_dl.dists.He(), synapse=0.005)
        net.hidden = nengo.Probe(a.neurons, synapse=0.02)
        net.probe = nengo.Probe(b.neurons, synapse=0.01)
    return net


def test_training(monkeypatch):
    found, make = [], kernels.sequence_kernel

    def observed(*given):
        found.append(make(*given))
        return found[-1]

    monkeypatch.setattr(kernels, "sequence_kernel", observed)
    monkeypatch.setattr(backend, "fused_scan", lambda: kernels.fused_scan)
    rng = np.random.RandomState(0)
    x, rates = rng.uniform(0, 1, (2, 7, 6)), rng.uniform(0, 100, (2, 7, 7))

    def train(sequence_kernels):
        """The loss, and by how much one update changes the weights."""
        net = network(sequence_kernels)
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            variables = sim.keras_model.trainable_weights
            first = [keras.ops.convert_to_numpy(v.value) for v in variables]
            sim.compile(keras.optimizers.SGD(1.0), loss="mse")
            y = {net.probe: rates[:, :, :3], net.hidden: rates}
            loss = sim.fit({net.inp: x}, y, verbose=0).history["loss"][0]
            last = [keras.ops.convert_to_numpy(v.value) for v in variables]
            return loss, [b - a for a, b in zip(first, last, strict=True)]

    loss, changes = train(None)
    assert not found and all(np.any(change != 0) for change in changes)
    fused_loss, fused_changes = train(True)
    assert found and all(found)
    assert fused_loss == pytest.approx(loss, rel=1e-5)
    # each of them is 6e-5 away from what double precision gives
    assert_close(fused_changes, changes, rounding=5e-5)
