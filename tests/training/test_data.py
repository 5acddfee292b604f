"""The forms in which data can be given give the same training."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from training.conftest import MINIBATCH, parameters, regression, simulator


def compiled(model, loss="mse", metrics=None, **kwargs):
    sim = simulator(model)
    sim.compile(keras.optimizers.SGD(0.01), loss=loss, metrics=metrics, **kwargs)
    return sim


def trained(model, x, y, epochs=2, sim=None, **kwargs):
    with compiled(model) if sim is None else sim as sim:
        history = sim.fit(x, y, epochs=epochs, shuffle=False, **kwargs).history
        return history, parameters(sim)


def assert_same(actual, expected):
    for key, values in expected[0].items():
        np.testing.assert_allclose(actual[0][key], values, rtol=1e-5)
    for a, b in zip(actual[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def expected(model, arrays):
    left, right, first, second = arrays
    return trained(
        model, {model.left: left, model.right: right}, {model.first: first, model.second: second}
    )


class Minibatches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(next(iter(self.x.values()))) // MINIBATCH

    def __getitem__(self, i):
        items = slice(i * MINIBATCH, (i + 1) * MINIBATCH)
        return {k: v[items] for k, v in self.x.items()}, {k: v[items] for k, v in self.y.items()}


def tf_dataset(*data, minibatch_size=MINIBATCH):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(data).batch(minibatch_size)


@pytest.mark.core
def test_names_and_lists_are_the_same_as_objects(model, arrays, expected):
    left, right, first, second = arrays
    assert_same(
        trained(model, {"left": left, "right": right}, {"first": first, "second": second}), expected
    )
    assert_same(trained(model, [left, right], [first, second]), expected)
    assert_same(trained(model, (left, right), {model.second: second, "first": first}), expected)


@pytest.mark.core
@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data"])
def test_batches(model, arrays, expected, form):
    left, right, first, second = arrays
    x, y = {"left": left, "right": right}, {"first": first, "second": second}
    data = Minibatches(x, y)
    kwargs = {}
    if form == "generator":
        # by object; more than are used
        x, y = {model.left: left, "right": right}, {model.first: first, model.second: second}
        data = (Minibatches(x, y)[i % 4] for i in range(1000))
        kwargs = {"steps_per_epoch": 4}
    elif form == "tf.data":
        data = tf_dataset(x, y)
    assert_same(trained(model, data, None, **kwargs), expected)


@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data"])
def test_the_entry_n_steps_of_a_batch_and_own_output_of_nodes(model, arrays, form):
    left, _, first, second = arrays
    right = np.broadcast_to(np.sin(100 * np.arange(1, 4) * 0.001)[:, None], (16, 3, 1))
    y = {"first": first, "second": second}
    expected = trained(model, {"left": left, "right": right}, y)
    assert_same(trained(model, {model.left: left}, y), expected)
    x = {"n_steps": np.full((16, 1), 3), "left": left}
    data = Minibatches(x, y)
    kwargs = {}
    if form == "generator":
        data = (Minibatches(x, y)[i % 4] for i in range(99))
        kwargs = {"steps_per_epoch": 4}
    elif form == "tf.data":
        data = tf_dataset(x, y)
    assert_same(trained(model, data, None, **kwargs), expected)


@pytest.mark.parametrize("kind", ["float64", "int", "list", "tensor"])
def test_types_of_numbers(model, arrays, kind):
    arrays = [np.round(3 * a) for a in arrays]
    convert = {
        "float64": lambda a: a.astype(np.float64),
        "int": lambda a: a.astype(np.int64),
        "list": lambda a: a.tolist(),
        "tensor": keras.ops.convert_to_tensor,
    }[kind]
    expected = trained(model, [a.astype(np.float32) for a in arrays[:2]], arrays[2:])
    x, y = [convert(a) for a in arrays[:2]], [convert(a) for a in arrays[2:]]
    assert_same(trained(model, x, y), expected)


def test_one_array(arrays):
    with nengo.Network(seed=0) as net:
        inp, out = nengo.Node([0, 0]), nengo.Node(size_in=2)
        nengo.Connection(inp, out, transform=nengo_dl.dists.Glorot(), synapse=None)
        probe = nengo.Probe(out)
    left, _, first, _ = arrays
    results = []
    for x, y in (
        (left, first),
        ([left], [first]),
        ({inp: left}, {probe: first}),
        (left.tolist(), first.tolist()),
    ):
        with nengo_dl.Simulator(net, minibatch_size=4, seed=0, progress_bar=False) as sim:
            sim.compile(keras.optimizers.SGD(0.1), loss="mse")
            history = sim.fit(x, y, shuffle=False).history
            assert set(history) == {"loss", "probe_loss"}
            results.append((history, parameters(sim)))
    for result in results[1:]:
        assert_same(result, results[0])


@pytest.mark.core
def test_validation(model, arrays):
    left, right, first, second = arrays
    x, y = {"left": left, "right": right}, {"first": first, "second": second}

    def head(d):
        return {k: v[:8] for k, v in d.items()}

    def tail(d):
        return {k: v[8:] for k, v in d.items()}

    with compiled(model) as sim:
        at_start = sim.evaluate(tail(x), tail(y))
    expected = trained(model, head(x), head(y), validation_data=(tail(x), tail(y)))
    assert {"val_loss", "val_first_loss", "val_second_loss"} <= set(expected[0])
    assert len(expected[0]["val_loss"]) == 2
    assert expected[0]["val_loss"][-1] < at_start["loss"]
    assert_same(trained(model, x, y, validation_split=0.5), expected)
    by_object = ([left[8:], right[8:]], {model.first: first[8:], model.second: second[8:]})
    assert_same(trained(model, head(x), head(y), validation_data=by_object), expected)
    for data in (Minibatches(tail(x), tail(y)), tf_dataset(tail(x), tail(y))):
        assert_same(trained(model, head(x), head(y), validation_data=data), expected)
    weights = {"first": np.zeros(8), "second": np.zeros(8)}
    history, _ = trained(model, head(x), head(y), validation_data=(tail(x), tail(y), weights))
    assert history["val_loss"] == [0, 0]


@pytest.mark.core
def test_sample_weights(model, arrays):
    left, right, first, second = arrays
    x, y = [left, right], [first, second]
    rng = np.random.RandomState(1)
    by_item, by_step = rng.uniform(size=16), rng.uniform(size=(16, 3))
    with compiled(model) as sim:
        outputs = sim.predict(x)
        errors = [
            np.mean((outputs[probe] - target) ** 2, axis=-1)
            for probe, target in zip((model.first, model.second), y, strict=True)
        ]

        def losses(weights):
            logs = sim.evaluate(x, y, sample_weight=weights)
            return logs["first_loss"], logs["second_loss"]

        def weighted(*weights):
            return [np.mean(e * w) for e, w in zip(errors, weights, strict=True)]

        item = by_item[:, None]
        for weights, expected in (
            (by_item, weighted(item, item)),
            (by_item.tolist(), weighted(item, item)),
            (by_step, weighted(by_step, by_step)),
            ({model.first: by_item}, weighted(item, 1)),
            ({"second": by_step}, weighted(1, by_step)),
            ([by_item, by_step], weighted(item, by_step)),
        ):
            np.testing.assert_allclose(losses(weights), expected, rtol=1e-5)
    expected = trained(model, x, y, sample_weight=by_step)
    data = (
        {"left": left, "right": right},
        {"first": first, "second": second},
        {"first": by_step, "second": by_step},
    )
    assert_same(trained(model, tf_dataset(*data), None), expected)

    def generator():
        while True:
            for i in range(0, 16, 4):
                yield tuple({k: v[i : i + 4] for k, v in d.items()} for d in data)

    assert_same(trained(model, generator(), None, steps_per_epoch=4), expected)
    zero = trained(model, x, y, sample_weight=np.zeros(16))
    with compiled(model) as sim:
        for before, after in zip(parameters(sim), zero[1], strict=True):
            np.testing.assert_array_equal(before, after)


def test_class_weights(model, arrays):
    left, right, _, second = arrays
    labels = np.argmax(second, axis=-1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=True)
    weights = {0: 0.5, 2: 3.0}
    by_step = np.choose(labels, [0.5, 1.0, 3.0])
    results = []
    for function, targets, kwargs in (
        (loss, labels[..., None], {"sample_weight": by_step}),
        (loss, labels[..., None], {"class_weight": weights}),
        (one_hot, np.eye(3)[labels], {"class_weight": weights}),
    ):
        sim = compiled(model, loss={model.second: function})
        results.append(trained(model, [left, right], targets, sim=sim, **kwargs))
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


@pytest.mark.core
def test_steps_only():
    """Nodes use their own output, and a network may have no Nodes at all."""

    def network(output):
        with nengo.Network(seed=0) as net:
            bias = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
            out = nengo.Node(size_in=1)
            nengo.Connection(bias.neurons, out, transform=np.ones((1, 5)) / 500, synapse=None)
            if output is not None:
                nengo.Connection(nengo.Node(output), out, synapse=None)
            nengo.Probe(out)
        return net

    for output in (None, 0.5, lambda t: 10 * t, nengo.processes.WhiteNoise(seed=0)):
        target = np.full((4, 3, 1), 0.3)
        with nengo_dl.Simulator(network(output), minibatch_size=2, progress_bar=False) as sim:
            sim.compile(keras.optimizers.SGD(1e-6), loss="mse")
            y = target[:2]
            before = sim.evaluate(n_steps=3, y=y)["loss"]
            assert len(sim.fit(None, y, n_steps=3, epochs=2).history["loss"]) == 2
            # the number of steps is that of the targets
            sim.fit(y=y)
            assert sim.evaluate(None, y)["loss"] < before
            if output is not None and not callable(output):
                continue
            batches = (({"n_steps": np.full((2, 1), 3)}, y) for _ in range(4))
            sim.fit(batches, steps_per_epoch=2, epochs=2)
            sim.fit(tf_dataset({"n_steps": np.full((4, 1), 3)}, target, minibatch_size=2))


@pytest.mark.core
def test_stateful(arrays):
    """Minibatches, and calls, go on where the one before ended; Nodes too."""
    with nengo.Network(seed=0) as net:
        ramp, out = nengo.Node(lambda t: 1000 * t), nengo.Node(size_in=1)
        nengo.Connection(ramp, out, synapse=None, transform=1.0)
        probe = nengo.Probe(out)
    times = np.arange(1, 7).reshape(3, 2, 1)

    def loss(sim, y, **kwargs):
        return sim.evaluate(None, y, n_steps=2, **kwargs)["loss"]

    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        for part in times[:, None]:
            assert loss(sim, part, stateful=True) < 1e-9
        assert sim.n_steps == 6
        assert loss(sim, times[0][None] + 6) < 1e-9
        assert sim.n_steps == 6
        sim.reset()
        for part in times[:, None]:
            history = sim.fit(None, part, n_steps=2, stateful=True)
            assert history.history["loss"][0] < 1e-9
        sim.reset()
        sim.fit(None, times[:1], n_steps=2, epochs=2, validation_data=(None, times[:1]))
        assert sim.n_steps == 0

    with nengo.Network(seed=0) as net:
        inp, counter = nengo.Node([0]), nengo.Node(size_in=1)
        nengo.Connection(inp, counter, synapse=None, transform=np.eye(1))
        nengo.Connection(counter, counter, synapse=nengo.synapses.LinearFilter([1], [1], False))
        probe = nengo.Probe(counter)
    x = np.ones((4, 2, 1))
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        outputs = sim.predict(x[:1])[probe]
        y = np.concatenate([sim.predict(x[:1], stateful=True)[probe] for _ in range(4)])
        assert not np.allclose(y[3], outputs)
        sim.reset()
        # validation starts where training started, and training goes on after it
        validation = (x[:1], outputs)
        history = sim.fit(x, y, stateful=True, validation_data=validation).history
        assert history["loss"][0] < 1e-9 and history["val_loss"][0] < 1e-9
        assert sim.n_steps == 8
        sim.reset()
        assert sim.evaluate(x, y, stateful=True)["loss"] < 1e-9
        assert sim.evaluate(x, y)["loss"] > 0.01
        callback = nengo_dl.callbacks.IsolateState(sim)
        sim.reset()
        same = np.repeat(outputs, 4, axis=0)
        assert sim.evaluate(x, same, stateful=True, callbacks=[callback])["loss"] < 1e-9
        history = sim.fit(x, same, stateful=True, epochs=2, callbacks=[callback])
        assert max(history.history["loss"]) < 1e-9
        result = sim.predict(x, stateful=True, callbacks=[callback])[probe]
        np.testing.assert_allclose(result, same, rtol=1e-6)
        assert sim.n_steps == 0


def test_without_history(arrays):
    model = regression(keep_history=False)
    left, right, first, second = arrays
    with compiled(model) as sim:
        outputs = sim.predict([left, right])
        assert outputs[model.first].shape == (16, 1, 2)
        sim.fit([left, right], [first[:, -1:], second[:, -1:]])
        with pytest.raises(nengo.exceptions.ValidationError, match="the last one only"):
            sim.fit([left, right], [first, second])


def test_probes_that_sample_are_compared_at_every_step(arrays):
    with nengo.Network(seed=0) as net:
        inp, out = nengo.Node([0, 0]), nengo.Node(size_in=2)
        nengo.Connection(inp, out, synapse=None)
        nengo.Probe(out, sample_every=0.002)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(loss="mse")
        assert sim.evaluate(arrays[0], arrays[0])["loss"] < 1e-9


@pytest.mark.core
def test_predict(model, arrays):
    left, right, first, second = arrays
    x = {"left": left, "right": right}
    with simulator(model) as sim:
        expected = sim.predict(x)
        assert expected[model.second].shape == (16, 3, 3)

        def check(result, items=16):
            for probe, values in expected.items():
                np.testing.assert_allclose(result[probe], values[:items], rtol=1e-5, atol=1e-6)

        data = Minibatches(x, {"first": first})
        check(sim.predict([left, right]))
        check(sim.predict(data))
        check(sim.predict(data[i][0] for i in range(4)))
        check(sim.predict((data[i] for i in range(4)), steps=2), 8)
        check(sim.predict(tf_dataset(x, {"first": first})))
        check(sim.predict(x, steps=1), 4)
        check(sim.predict_on_batch({k: v[:4] for k, v in x.items()}), 4)
        seen = []
        hooks = keras.callbacks.LambdaCallback(
            on_predict_batch_end=lambda i, logs: seen.append(logs["first"].shape)
        )
        check(sim.predict(x, callbacks=[hooks], verbose=2))
        assert seen == [(4, 3, 2)] * 4
        with pytest.warns(UserWarning, match="batch_size=7 is ignored"):
            check(sim.predict(x, batch_size=7))


@pytest.mark.xfail(
    keras.backend.backend() == "jax",
    reason="with JAX, Keras takes the mean over batches in single precision",
    strict=True,
)
def test_float64(arrays):
    model = regression(dtype="float64")
    left, right, first, second = arrays
    with compiled(model) as sim:
        outputs = sim.predict([left, right])
        expected = np.mean((outputs[model.first] - first) ** 2)
        loss = sim.evaluate([left, right], [first, second])["first_loss"]
    assert loss == pytest.approx(expected, rel=1e-12)
    assert keras.config.floatx() == "float32"


@pytest.mark.core
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_of_the_backend_are_the_same_as_arrays(dtype):
    """Those of JAX are taken as they are."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        node = nengo.Node(np.zeros(2))
        ens = nengo.Ensemble(30, 2)
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens)
    x = np.random.RandomState(0).uniform(-1, 1, (8, 5, 2)).astype(np.float32)

    def results(values):
        data = {node: values}, {probe: values}
        first = {node: values[:4]}, {probe: values[:4]}
        with nengo_dl.Simulator(net, minibatch_size=4, seed=0) as sim:
            sim.compile("sgd", loss="mse")
            losses = sim.fit(*data, epochs=2, shuffle=False, verbose=0).history["loss"]
            losses += [sim.evaluate(*data, verbose=0)["loss"], sim.train_on_batch(*first)["loss"]]
            predicted = sim.predict(data[0])[probe]
            sim.run_steps(5, data=first[0])
            return losses, predicted, sim.data[probe]

    for ours, expected in zip(results(keras.ops.convert_to_tensor(x)), results(x), strict=True):
        np.testing.assert_array_equal(ours, expected)
