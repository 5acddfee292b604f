"""Data whose number of items is no multiple of the minibatch: the last batch is computed alone."""

from types import SimpleNamespace

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ValidationError

import nengo_dl
from training.conftest import MINIBATCH, parameters, simulator

N_ITEMS = MINIBATCH + 2


def largest(targets, outputs):
    """Of all items that it is given, so that padding would be seen."""
    return ops.mean(ops.abs(outputs - targets)) + ops.max(outputs) + ops.shape(targets)[0]


def network(**settings):
    """As small as can be, so that little time goes into compiling it."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        left, right = nengo.Node(np.zeros(2), label="left"), nengo.Node([0.5], label="right")
        first, second = nengo.Node(size_in=2), nengo.Node(size_in=1)
        nengo.Connection(left, first, transform=np.ones((2, 2)), synapse=None)
        nengo.Connection(right, second, transform=[[2]], synapse=None)
        first, second = nengo.Probe(first, label="first"), nengo.Probe(second, label="second")
    return SimpleNamespace(net=net, first=first, second=second)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def data(arrays):
    left, right, first, _ = (a[:N_ITEMS, :1] for a in arrays)
    return {"left": left, "right": right}, {"first": first, "second": right + 1}


def part(values, items):
    return {name: array[items] for name, array in values.items()}


def compiled(sim, **kwargs):
    sim.compile(
        keras.optimizers.SGD(0.01),
        loss={"first": largest, "second": "mse"},
        metrics={"first": "mae"},
        **kwargs,
    )
    return sim


@pytest.fixture(scope="module")
def alone(model, data):
    """Losses of the last items, and parameters after an update with them, where they fill a
    minibatch.
    """
    x, y = (part(values, slice(MINIBATCH, None)) for values in data)
    with compiled(simulator(model, N_ITEMS - MINIBATCH)) as sim:
        logs = sim.evaluate(x, y, sample_weight=[0.5, 2.0], verbose=0)
        sim.fit(x, y, sample_weight=[0.5, 2.0], verbose=0, shuffle=False)
        return logs, parameters(sim)


@pytest.mark.core
def test_losses_metrics_and_gradients_are_those_of_the_items_alone(model, data, alone):
    x, y = (part(values, slice(MINIBATCH, None)) for values in data)
    with compiled(simulator(model)) as sim:
        logs = sim.evaluate(x, y, sample_weight=[0.5, 2.0], verbose=0)
        sim.fit(x, y, sample_weight=[0.5, 2.0], verbose=0, shuffle=False)
        for actual, expected in zip(parameters(sim), alone[1], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)
        assert logs == pytest.approx(alone[0], rel=1e-5)
        sim.reset()
        sim.train_on_batch(x, y, sample_weight=[0.5, 2.0])
        for actual, expected in zip(parameters(sim), alone[1], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 2

    def __getitem__(self, i):
        items = slice(i * MINIBATCH, (i + 1) * MINIBATCH)
        return part(self.x, items), part(self.y, items)


@pytest.mark.core
def test_all_forms_of_data_and_validation(model, data):
    x, y = data
    with compiled(simulator(model), steps_per_execution=2) as sim:
        separate = [
            sim.evaluate(part(x, items), part(y, items), verbose=0)
            for items in (slice(MINIBATCH), slice(MINIBATCH, None))
        ]
        expected = {
            key: (MINIBATCH * separate[0][key] + 2 * separate[1][key]) / N_ITEMS
            for key in separate[0]
        }
        results = []
        for form in ("arrays", "generator", "PyDataset", "tf.data"):

            def given(form=form):
                batches = Batches(x, y)
                if form == "generator":
                    return ((batches[i % 2]) for i in range(4)), None
                if form == "tf.data":
                    tf = pytest.importorskip("tensorflow")
                    return tf.data.Dataset.from_tensor_slices(data).batch(MINIBATCH), None
                return (batches, None) if form == "PyDataset" else (x, y)

            sim.reset()
            steps = {"steps": 2} if form == "generator" else {}
            assert sim.evaluate(*given(), **steps, verbose=0) == pytest.approx(expected, rel=1e-5)
            steps = {"steps_per_epoch": 2, "validation_steps": 2} if steps else {}
            validation = given()[0] if given()[1] is None else given()
            history = sim.fit(
                *given(), epochs=2, shuffle=False, validation_data=validation, verbose=0, **steps
            ).history
            results.append([*history["loss"], *history["val_loss"], *parameters(sim)])
        for result in results[1:]:
            for a, b in zip(result, results[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.core
def test_predict_gives_the_items_that_were_given(model, data, arrays):
    x, _ = data
    with simulator(model) as sim:
        expected = sim.predict({"left": arrays[0][:8, :1], "right": arrays[1][:8, :1]})
        for batches in (x, (part(x, slice(i, i + 3)) for i in (0, 3))):
            for probe, values in sim.predict(batches).items():
                np.testing.assert_allclose(values, expected[probe][:N_ITEMS], rtol=1e-6)
        assert len(sim.predict_on_batch(part(x, slice(3)))[model.first]) == 3
        with pytest.raises(ValidationError, match="4 at most"):
            sim.predict_on_batch(x)


@pytest.mark.core
def test_validation_split_is_that_of_keras(model, data):
    x, y = data
    with compiled(simulator(model)) as sim:
        rest = sim.evaluate(part(x, slice(4, None)), part(y, slice(4, None)), verbose=0)["loss"]
        sim.compile(keras.optimizers.SGD(0.0), loss={"first": largest, "second": "mse"})
        history = sim.fit(x, y, validation_split=0.25, verbose=0).history  # floor(6 * 0.75) is 4
        assert history["val_loss"] == pytest.approx([rest], rel=1e-5)


def test_stateful_needs_full_minibatches(model, data):
    x, y = data
    with compiled(simulator(model)) as sim:
        for call in (
            lambda: sim.fit(x, y, stateful=True),
            lambda: sim.evaluate(x, y, stateful=True),
            lambda: sim.predict(x, stateful=True),
            lambda: sim.train_on_batch(part(x, [0]), part(y, [0]), stateful=True),
        ):
            with pytest.raises(ValidationError, match="stateful=True.*must be full"):
                call()
        # the last minibatch of the validation is followed by none
        full = part(x, slice(MINIBATCH)), part(y, slice(MINIBATCH))
        sim.fit(*full, stateful=True, validation_data=data, verbose=0)
        assert sim.n_steps == 1


@pytest.mark.core
def test_layers_that_look_at_the_whole_batch_see_the_real_items_only():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(2))
        norm = nengo_dl.TensorNode(
            keras.layers.BatchNormalization(), shape_in=(2,), pass_time=False
        )
        nengo.Connection(node, norm, synapse=None)
        probe = nengo.Probe(norm)
    x = np.random.RandomState(0).uniform(1, 2, (5, 1, 2))
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={probe: lambda y, out: ops.mean(out[0, 0, 0])})
        losses = sim.fit(x, {probe: x}, epochs=2, shuffle=False, verbose=0).history["loss"]
    first = x[:4, 0, 0]
    expected = (first[0] - first.mean()) / np.sqrt(first.var() + 1e-3)
    assert losses == pytest.approx([expected * 4 / 5] * 2, rel=1e-4)  # of one item alone it is 0


def test_nothing_is_compiled_again(model, data):
    traced = []

    def loss(targets, outputs):
        traced.append(outputs.shape[0])
        return ops.mean(ops.square(targets - outputs))

    x, y = data
    with simulator(model) as sim:
        sim.compile("sgd", loss={"second": loss})
        sim.fit(x, y, epochs=2, verbose=0)
        assert set(traced) == {MINIBATCH, 2}
        before = len(traced)
        sim.fit(x, y, epochs=2, verbose=0)
        assert len(traced) == before
        full = part(x, slice(MINIBATCH)), part(y, slice(MINIBATCH))
        sim.compile("sgd", loss={"second": loss})
        traced.clear()
        sim.fit(*full, epochs=2, verbose=0)
        assert set(traced) == {MINIBATCH}


def test_python_code_runs_for_the_real_items_only():
    seen = []

    def node(t, x):
        seen.append(x.copy())
        return x

    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        nengo.Connection(inp, middle := nengo.Node(node, size_in=1), synapse=None)
        nengo.Connection(middle, out := nengo.Node(size_in=1), synapse=None)
        probe = nengo.Probe(out)
    seen.clear()  # Nengo asks for the size of the output
    x = np.arange(1.0, 4.0)[:, None, None]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(loss={probe: "mse"})
        assert sim.evaluate(x, {probe: x}, verbose=0)["loss"] == pytest.approx(0)
    assert sorted(np.ravel(seen)) == [1, 2, 3]


def test_keep_history_and_items_by_targets_alone():
    model = network(keep_history=False)
    with simulator(model) as sim:
        sim.compile("sgd", loss="mse")
        y = [np.zeros((5, 1, size)) for size in (2, 1)]
        logs = sim.evaluate(None, y, n_steps=3, verbose=0)  # each item has the Nodes' own output
        outputs = sim.predict(n_steps=3)
        expected = sum(np.mean(outputs[probe] ** 2) for probe in (model.first, model.second))
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
