"""Long sequences: memory of the backward pass, and truncated backpropagation."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime.backends import active
from nengo_dl.runtime.step.scan import fitting_segments, segmented_scan

N_NEURONS, BATCH = 200, 4


def network(neuron_type=None, **settings):
    """A recurrent ensemble, so that a gradient goes from each step to all before it."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        net.inp = nengo.Node(np.zeros(2))
        ens = nengo.Ensemble(N_NEURONS, 2, neuron_type=neuron_type or nengo.LIFRate())
        nengo.Connection(net.inp, ens, synapse=None)
        nengo.Connection(ens, ens, synapse=0.05)
        net.probe = nengo.Probe(ens)
    return net


def bytes_of_update(n_steps, segments):
    """Memory that the compiled update of a minibatch needs besides arguments and results."""
    import jax

    net = network(nengo.LIF(), surrogate="arctan", checkpoint_segments=segments)
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        x, y = (np.zeros((BATCH, n_steps, 2), dtype=np.float32) for _ in range(2))
        sim.train_on_batch({net.inp: x}, {net.probe: y})
        model = sim.keras_model
        state = tuple(
            [v.value for v in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        )
        data = (
            dict.fromkeys(model.network_inputs, x),
            dict.fromkeys(model.network_outputs, y),
        )
        compiled = jax.jit(model.train_step).lower(state, data).compile()
        return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.core
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow does not tell its memory")
def test_memory_grows_with_the_square_root_of_the_number_of_steps():
    lengths = (256, 1024)
    short, long = (bytes_of_update(n, None) for n in lengths)
    assert 3.5 < long / short < 4.5
    short, checkpointed = (bytes_of_update(n, True) for n in lengths)
    assert checkpointed / short < 2.5
    assert checkpointed < long / 5


@pytest.mark.parametrize(
    ("n_steps", "free", "expected"),
    [(100, 1e9, 2), (100, 5_200, 2), (100, 3_000, 4), (100, 50, 33), (2, 0, 2), (1, 0, 1)],
)
def test_the_fewest_segments_that_fit(n_steps, free, expected):
    """Of 100 bytes a step and 10 a state: two take 50 steps and two states, 33 the least of all."""
    assert fitting_segments(n_steps, 100, 10, free) == expected


def losses_with_memory(monkeypatch, free, n_steps=8):
    """Losses of updates where the device tells how much memory is left, and the segments."""
    backend, segments = active(), []

    def counted(*args):
        segments.append(args[6])
        return segmented_scan(*args)

    monkeypatch.setattr(backend, "free_memory", lambda: free)
    monkeypatch.setattr("nengo_dl.runtime.sequences.runner.segmented_scan", counted)
    settings = {"surrogate": "arctan", "checkpoint_segments": "auto"}
    net = network(nengo.LIF(), dtype="float64", **settings)
    x = np.random.RandomState(0).uniform(-1, 1, size=(BATCH, n_steps, 2))
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        losses = sim.fit(x, x, epochs=2, verbose=0).history["loss"]
    return losses, segments[-1] if segments else 1


@pytest.mark.core
def test_segments_by_need(monkeypatch):
    """None where the device does not tell; where it has not enough, as many as fit."""
    step = 8 * BATCH * N_NEURONS  # bytes
    expected, segments = losses_with_memory(monkeypatch, None)
    assert segments == 1
    losses, segments = losses_with_memory(monkeypatch, 15 * step)
    assert 2 <= segments < 8
    np.testing.assert_allclose(losses, expected, rtol=1e-9)


@pytest.mark.core
def test_stateful_chunks_truncate_backpropagation():
    """Chunk after chunk goes on from the state, but the gradient ends where the chunk begins."""
    n_steps, n_chunks = 6, 3
    rng = np.random.RandomState(0)
    x = rng.uniform(-1, 1, size=(n_chunks, 1, n_steps, 2))
    y = rng.uniform(-1, 1, size=(n_chunks, 1, n_steps, 2))

    def loss(sim, net, i, stateful):
        return sim.evaluate({net.inp: x[i]}, {net.probe: y[i]}, stateful=stateful, verbose=0)[
            "loss"
        ]

    net = network(dtype="float64")
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        # with a learning rate of zero the parameters stay, and the chunks are one long sequence
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        chunks = [
            sim.train_on_batch({net.inp: x[i]}, {net.probe: y[i]}, stateful=True)["loss"]
            for i in range(n_chunks)
        ]
        assert sim.n_steps == n_chunks * n_steps
        sim.reset()
        whole = sim.evaluate(
            {net.inp: x.reshape(1, -1, 2)}, {net.probe: y.reshape(1, -1, 2)}, verbose=0
        )["loss"]
        assert np.mean(chunks) == pytest.approx(whole, rel=1e-6)
        from_zero = loss(sim, net, 1, stateful=False)
        assert abs(from_zero - chunks[1]) > 1e-4  # the state does matter

        # an update of the second chunk moves downhill for the chunk from its first state
        sim.compile(keras.optimizers.SGD(1e-3), loss="mse")
        assert loss(sim, net, 0, stateful=True) == pytest.approx(chunks[0], rel=1e-6)
        before = sim.train_on_batch({net.inp: x[1]}, {net.probe: y[1]}, stateful=False)["loss"]
        assert before == pytest.approx(chunks[1], rel=1e-6)
        assert loss(sim, net, 1, stateful=False) < before


def test_calls_with_different_numbers_of_steps():
    """Each number of steps has its own compiled function; batches of a generator have one."""
    net = network()

    def batches(n_steps):
        for _ in range(2):
            yield {"node": np.zeros((1, n_steps, 2))}, {"probe": np.zeros((1, n_steps, 2))}

    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        for n_steps in (2, 3, 2):
            x, y = (np.zeros((1, n_steps, 2)) for _ in range(2))
            sim.fit(x, y, validation_data=(x[:, :1], y[:, :1]), verbose=0)
            sim.train_on_batch(x, y)
            assert sim.evaluate(x, y, verbose=0)["loss"] >= 0
            sim.fit(batches(n_steps), n_steps=n_steps, steps_per_epoch=2, verbose=0)
