"""Batches that go to the compiled function in blocks."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime.sequences.blocks import Blocks
from nengo_dl.runtime.sequences.convolutions import convolves


def seen(blocks, n_calls):
    """The batches of some calls."""
    batches = []
    for _ in range(n_calls):
        for block, count in blocks.next_call():
            batches.extend(block["x"][:count])
    return batches


def test_each_epoch_has_every_example_once_in_another_order():
    x = np.arange(24.0)[:, None]
    blocks = Blocks({"x": x, "y": x}, batch_size=3, batches_per_call=3)
    assert blocks.n_batches == 8
    epochs = [np.concatenate(seen(blocks, 3)).ravel() for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(24))
        assert not np.array_equal(epoch, np.arange(24))
    assert not np.array_equal(*epochs)


def test_orders():
    x = np.arange(12.0)[:, None]
    in_order = Blocks({"x": x}, 4, 2, shuffle=False)
    assert np.array_equal(np.concatenate(seen(in_order, 2))[:, 0], np.arange(12))
    within = np.stack(seen(Blocks({"x": x}, 4, 3, shuffle="batch"), 1))[..., 0]
    assert not np.array_equal(within, np.arange(12).reshape(3, 4))
    assert np.array_equal(np.sort(within), np.arange(12).reshape(3, 4))


def test_blocks_have_one_shape_and_a_bounded_size(monkeypatch):
    monkeypatch.setattr(tuning, "BLOCK_BYTES", 2 * 4 * 8)  # of two batches
    blocks = Blocks({"x": np.arange(28.0)[:, None]}, batch_size=4, batches_per_call=5)
    calls = [list(blocks.next_call()) for _ in range(2)]
    assert [[int(count) for _, count in call] for call in calls] == [[2, 2, 1], [2]]
    assert {block["x"].shape for call in calls for block, _ in call} == {(2, 4, 1)}


@pytest.mark.core
def test_same_losses_as_batches_one_by_one():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(3))
        ens = nengo.Ensemble(20, 2, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(node[:2], ens)
        probe = nengo.Probe(ens)
    rng = np.random.RandomState(1)
    x, y = rng.uniform(-1, 1, size=(28, 5, 3)), rng.uniform(-1, 1, size=(28, 5, 2))

    def batches():
        for _ in range(3):
            for i in range(0, 28, 4):
                yield {"node": x[i : i + 4]}, {"probe": y[i : i + 4]}

    losses = []
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        for data, kwargs, per_call in (
            # three calls an epoch, the last one of a single batch
            (dict(x=x, y=y), dict(shuffle=False), 3),
            (dict(x=batches()), dict(steps_per_epoch=7), 1),
        ):
            sim.reset()
            sim.compile(
                keras.optimizers.Adam(0.01), loss={probe: "mse"}, steps_per_execution=per_call
            )
            losses.append(sim.fit(**data, **kwargs, epochs=3, verbose=0).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0][2] < losses[0][0]


def test_the_progress_bar_counts_batches():
    steps = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            steps.append(self.params["steps"])

        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)

    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(1))
        nengo.Connection(node, probed := nengo.Node(size_in=1), transform=[[1]], synapse=None)
        probe = nengo.Probe(probed)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        sim.fit(np.zeros((10, 1, 1)), {probe: np.ones((10, 1, 1))}, verbose=0, callbacks=[Look()])
    assert steps == [5, 0, 1, 2, 3, 4]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has nothing but XLA")
def test_what_convolves_takes_the_faster_graph():
    with nengo.Network(seed=0) as net:
        image = nengo.Node(np.zeros(16))
        conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2))
        nengo.Connection(image, out := nengo.Node(size_in=18), transform=conv, synapse=None)
        nengo.Probe(out)
    rng = np.random.RandomState(0)
    x, y = rng.rand(4, 3, 16), rng.rand(4, 3, 18)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        for asked, compiled in ((None, False), (True, True)):
            sim.compile("sgd", loss="mse", jit_compile=asked)
            sim.fit(x, y, verbose=0)
            assert sim.keras_model.jit_compile is compiled


def test_all_convolutions_count():
    layers, image = keras.layers, (8, 2)
    names = [f"Conv{n}D{kind}" for n in (1, 2, 3) for kind in ("", "Transpose")]
    names += ["SeparableConv1D", "SeparableConv2D", "ConvLSTM1D", "ConvLSTM3D"]
    made = [getattr(layers, name)(3, 2) for name in names]
    made += [layers.DepthwiseConv1D(2), layers.DepthwiseConv2D(2)]
    made += [
        layers.TimeDistributed(layers.SeparableConv1D(3, 2)),
        keras.Sequential([keras.Input(image), layers.Conv1DTranspose(3, 2)]),
        layers.Bidirectional(layers.ConvLSTM1D(3, 2)),
    ]
    assert all(map(convolves, made))
    assert not any(map(convolves, [layers.Dense(3), layers.LSTM(3), layers.MaxPooling2D()]))
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(16))
        nengo.Probe(nengo_dl.Layer(layers.Conv1DTranspose(3, 2))(node, shape_in=image))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert sim.keras_model.has_convolutions()


@pytest.mark.core
def test_evaluation_after_stateful_training():
    """Validation is compiled to go on from batch to batch, and evaluation not to."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens, synapse=0.1)
    x, y = np.random.RandomState(0).uniform(-1, 1, (2, 6, 4, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile("sgd", "mse")
        data = {"validation_data": ({node: x[:2]}, {probe: y[:2]}), "verbose": 0}
        sim.fit({node: x}, {probe: y}, stateful=True, **data)
        found = sim.evaluate({node: x}, {probe: y}, verbose=0)["loss"]
        one_by_one = [
            sim.evaluate({node: x[k : k + 2]}, {probe: y[k : k + 2]}, verbose=0)["loss"]
            for k in (0, 2, 4)
        ]
    np.testing.assert_allclose(found, np.mean(one_by_one), rtol=1e-5)
