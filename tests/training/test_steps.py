"""Numbers of steps: in what generators give, of targets, and too few for synapses."""

import warnings

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from training.conftest import simulator


@pytest.fixture(scope="module")
def sim(model):
    with simulator(model) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        yield sim


@pytest.mark.core
def test_n_steps_as_the_last_input(sim, model, arrays):
    left, right, first, second = (a[:4] for a in arrays)
    y = {"first": first, "second": second}
    expected = sim.evaluate([left, right], y)
    outputs = sim.predict([left, right])[model.first]
    steps = np.full((4, 1), 3)
    for x in (
        (left, right, steps),
        [left, right, 3],
        [left, right, steps.astype(np.uint8).ravel()],
        {"left": left, "right": right, "n_steps": steps},
        ({"left": left, "right": right}, steps),
    ):
        assert sim.evaluate(iter([(x, y)]), steps=1) == pytest.approx(expected)
        assert sim.fit(iter([(x, y)]), steps_per_epoch=1).history["loss"] == pytest.approx(
            [expected["loss"]]
        )
        np.testing.assert_array_equal(sim.predict(iter([(x,)]))[model.first], outputs)
        np.testing.assert_array_equal(sim.predict(x)[model.first], outputs)
    with pytest.raises(ValidationError, match="has 3 steps but 2 steps were asked for"):
        sim.evaluate(iter([((left, right, 2), y)]))


def test_n_steps_in_a_dataset(sim, arrays):
    tf = pytest.importorskip("tensorflow")
    left, right, first, second = arrays
    expected = sim.evaluate([left, right], [first, second])
    steps = np.full((16, 1), 3)
    for x in ((left, right, steps), {"left": left, "right": right, "n_steps": steps}):
        data = tf.data.Dataset.from_tensor_slices((x, (first, second))).batch(4)
        assert sim.evaluate(data) == pytest.approx(expected)


@pytest.mark.core
def test_batches_of_different_lengths(sim, model, arrays):
    left, right, first, second = (a[:4] for a in arrays)

    def batches():
        for n in (3, 2, 1):
            y = {"first": first[:, :n], "second": second[:, :n]}
            yield {"left": left[:, :n], "right": right[:, :n]}, y

    losses = [sim.evaluate(*batch)["loss"] for batch in batches()]
    assert sim.evaluate(batches(), steps=3)["loss"] == pytest.approx(np.mean(losses))
    history = sim.fit(batches(), steps_per_epoch=3).history
    assert history["loss"] == pytest.approx([np.mean(losses)])


@pytest.mark.core
@pytest.mark.parametrize("keep_history", [True, False])
def test_targets_of_other_steps(keep_history):
    def last(targets, outputs):
        return ops.mean(ops.square(targets[:, -1] - outputs[:, -1]))

    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(keep_history=keep_history)
        a, b = nengo.Node(np.zeros(3)), nengo.Node(size_in=2)
        nengo.Connection(a, b, transform=np.ones((2, 3)), synapse=None)
        probe = nengo.Probe(b)
    x = np.linspace(0, 1, 3 * 6 * 3).reshape(3, 6, 3)
    expected = np.mean((x[:, -1].sum(axis=1) - 1) ** 2)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), {probe: last})
        for n_steps in (1, 9):
            y = {probe: np.ones((3, n_steps, 2))}
            losses = [sim.evaluate(x, y, verbose=0)["loss"]]
            history = sim.fit(x, y, verbose=0, validation_data=(x, y)).history
            losses += [*history["loss"], *history["val_loss"]]
            assert losses == pytest.approx([expected] * 3, rel=1e-5)
        sim.compile("sgd", "mse")
        with pytest.raises(ValidationError, match="9 steps; expected .* a custom loss"):
            sim.evaluate(x, y, verbose=0)


def through_synapses(on_connection, on_probe, recurrent=False):
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(node, ens, synapse=on_connection)
        if recurrent:
            nengo.Connection(ens, ens, synapse=0.1)
        nengo.Probe(ens, synapse=on_probe)
    sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    sim.compile("sgd", "mse")
    return sim


def fit(sim, n_steps, generated=False):
    data = np.ones((2, n_steps, 1)), np.ones((2, n_steps, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if generated:
            sim.fit(iter([data]), steps_per_epoch=1, verbose=0)
        else:
            sim.fit(*data, verbose=0)
    return [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


@pytest.mark.core
def test_one_step_through_a_synapse():
    with through_synapses(None, 0.01) as sim:
        for generated in (False, True):
            with pytest.raises(SimulationError, match="in 1 step, .* synapse .* at least 2 steps"):
                fit(sim, 1, generated)
        assert not fit(sim, 2)
    with through_synapses(0.005, None) as sim:
        for generated in (False, True):
            (text,) = fit(sim, 1, generated)
            assert "one step" in text and "synapse" in text and "tau=0.005" in text
        assert not fit(sim, 2)
    with through_synapses(None, None, recurrent=True) as sim:
        (text,) = fit(sim, 1)
        assert "tau=0.1" in text
    with through_synapses(None, None) as sim:
        assert not fit(sim, 1)


def test_synapses_one_behind_the_other():
    with nengo.Network(seed=0) as net:
        node, middle = nengo.Node([0.0]), nengo.Node(size_in=1)
        nengo.Connection(node, middle, transform=np.ones((1, 1)), synapse=0.1)
        nengo.Connection(middle, out := nengo.Node(size_in=1), synapse=0.2)
        nengo.Probe(out, synapse=0.3)
        # the update, 1e-9 of the weight, is below the rounding of float32
        nengo_dl.configure_settings(trainable=False, dtype="float64")
        net.config[net.connections[0]].trainable = True
    sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    sim.compile("sgd", "mse")
    with sim:
        with pytest.raises(SimulationError, match="in 3 steps, .* at least 4 steps"):
            fit(sim, 3)
        before = np.asarray(sim.keras_model.trainable_weights[0])
        fit(sim, 4)
        assert not np.array_equal(before, np.asarray(sim.keras_model.trainable_weights[0]))


@pytest.mark.core
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint16, np.int64])
def test_integers_of_numpy(kind):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for _ in range(3):
            sim.run_steps(kind(100))
        assert (sim.n_steps, type(sim.n_steps)) == (300, int)
        assert sim.time == pytest.approx(0.3) and type(sim.time) is float
        assert sim.data[probe][-1, 0] == pytest.approx(0.3)
        assert len(sim.predict(n_steps=kind(100))[probe][0]) == 100
    size = kind(100)
    with nengo_dl.Simulator(net, minibatch_size=size, progress_bar=False) as sim:
        assert type(sim.minibatch_size) is int
        assert len(sim.predict(n_steps=1)[probe]) == 100


def test_what_is_no_number_of_steps(sim):
    for value in (True, "1", 1.5, 2.0, np.nan, 0, -1, None, np.array([1])):
        for call in (
            lambda value=value: sim.run_steps(value),
            lambda value=value: sim.predict(n_steps=value),
        ):
            with pytest.raises(ValidationError, match="n_steps"):
                call()
    for value in (True, "1", np.nan, np.inf, None, [1, 2]):
        with pytest.raises(ValidationError, match="expected a number of seconds"):
            sim.run(value)
    with pytest.raises(ValidationError, match="Must be positive"):
        sim.run(-1)
    with pytest.raises(ValidationError, match="steps: expected an integer of at least 1, got 0"):
        sim.predict(n_steps=1, steps=0)
    with pytest.raises(ValidationError, match="minibatch_size: .* got True"):
        nengo_dl.Simulator(nengo.Network(), minibatch_size=True)
    with pytest.raises(ValidationError, match="generator has no batches"):
        sim.predict(x for x in ())
