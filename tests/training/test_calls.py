"""compile, fit and evaluate: losses, metrics, results, errors."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

from training.conftest import MINIBATCH, parameters, regression, simulator


@pytest.fixture
def sim(model):
    with simulator(model) as sim:
        yield sim


def errors(sim, model, arrays):
    """Mean squared error of each probe."""
    outputs = sim.predict(list(arrays[:2]))
    return [
        np.mean((outputs[probe] - target) ** 2)
        for probe, target in zip((model.first, model.second), arrays[2:], strict=True)
    ]


@pytest.mark.core
def test_losses_and_weights_by_probe(sim, model, arrays):
    left, right, first, second = arrays
    a, b = errors(sim, model, arrays)
    outputs = sim.predict([left, right])
    absolute = np.mean(np.abs(outputs[model.second] - second))
    both = {"first": first, "second": second}

    def evaluate(y=both, **kwargs):
        sim.compile(**kwargs)
        return sim.evaluate([left, right], y)

    def check(result, **expected):
        assert set(result) == set(expected)
        for key, value in expected.items():
            assert result[key] == pytest.approx(value, rel=1e-5), key

    check(evaluate(loss="mse"), loss=a + b, first_loss=a, second_loss=b)
    different = {"loss": a + absolute, "first_loss": a, "second_loss": absolute}
    check(evaluate(loss=["mse", "mae"]), **different)
    check(
        evaluate(loss={model.first: "mse", "second": keras.losses.MeanAbsoluteError()}), **different
    )
    for weights in ([2, 0.5], {model.first: 2, "second": 0.5}):
        result = evaluate(loss="mse", loss_weights=weights)
        check(result, loss=2 * a + b / 2, first_loss=a, second_loss=b)
    result = evaluate(loss="mse", loss_weights={"second": 3})
    check(result, loss=a + 3 * b, first_loss=a, second_loss=b)
    check(evaluate(loss="mse", loss_weights=2), loss=2 * (a + b), first_loss=a, second_loss=b)
    # one probe of several
    check(evaluate({model.second: second}, loss={model.second: "mse"}), loss=b, second_loss=b)
    check(evaluate(second, loss=[None, "mse"]), loss=b, second_loss=b)
    check(evaluate(loss={"first": "mse"}, loss_weights={"first": 2}), loss=2 * a, first_loss=a)


@pytest.mark.core
def test_metrics(sim, model, arrays):
    left, right, first, second = arrays
    a, b = errors(sim, model, arrays)

    def evaluate(y, **kwargs):
        sim.compile(**kwargs)
        return sim.evaluate([left, right], y)

    def error(targets, outputs):
        return ops.mean(ops.square(targets - outputs))

    both = [first, second]
    for metrics in (
        "mse",
        ["mse"],
        [["mse"], ["mse"]],
        {"first": "mse", model.second: ["mse"]},
        keras.metrics.MeanSquaredError(name="mse"),
        [keras.metrics.MeanSquaredError(name="mse")],
    ):
        result = evaluate(both, loss="mse", metrics=metrics)
        assert result["first_mse"] == pytest.approx(a, rel=1e-5)
        assert result["second_mse"] == pytest.approx(b, rel=1e-5)
    result = evaluate([first], loss={"first": "mse"}, metrics=[error, "mae"])
    assert result["first_error"] == pytest.approx(a, rel=1e-5)
    assert {"loss", "first_loss", "first_mae"} < set(result)
    # a metric for a probe without a loss, or without any loss
    result = evaluate(both, loss={"first": "mse"}, metrics={"second": [error]})
    assert result["loss"] == pytest.approx(a, rel=1e-5)
    assert result["second_error"] == pytest.approx(b, rel=1e-5)
    result = evaluate(second, metrics={"second": "mse"})
    assert result["loss"] == 0
    assert result["second_mse"] == pytest.approx(b, rel=1e-5)
    sim.compile(loss="mse", weighted_metrics=["mae"])
    weights = np.zeros(16)
    assert sim.evaluate([left, right], both, sample_weight=weights)["first_mae"] == 0


def test_history(sim, model, arrays):
    left, right, first, second = arrays
    sim.compile(keras.optimizers.SGD(0.01), loss={model.first: "mse"}, metrics=["mae"])
    history = sim.fit([left, right], first, epochs=3, validation_split=0.25).history
    names = {"loss", "first_loss", "first_mae", "mae"}
    assert names | {f"val_{name}" for name in names} == set(history)
    assert all(len(values) == 3 for values in history.values())
    sim.compile("sgd", loss="mse", metrics="mae")
    history = sim.fit([left, right], [first, second]).history
    assert {"loss", "first_loss", "second_loss", "first_mae", "second_mae"} == set(history)


@pytest.mark.core
def test_class_numbers_and_custom_losses(sim, model, arrays):
    left, right, _, second = arrays
    labels = np.argmax(second, axis=-1)[..., None]
    outputs = sim.predict([left, right])[model.second]
    log = outputs - np.log(np.sum(np.exp(outputs), axis=-1, keepdims=True))
    expected = -np.mean(np.take_along_axis(log, labels, axis=-1))
    for targets in (labels, labels.astype(np.int32), labels.astype(np.float32)):
        sim.compile(
            "adam",
            loss={"second": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
            metrics=["accuracy"],
        )
        result = sim.evaluate([left, right], targets)
        assert result["loss"] == pytest.approx(expected, rel=1e-5)
        accuracy = np.mean(np.argmax(outputs, axis=-1) == labels[..., 0])
        assert result["second_accuracy"] == pytest.approx(accuracy)
    sim.fit([left, right], labels)

    def last_step(targets, outputs):
        return ops.mean(ops.abs(outputs[:, -1] - ops.cast(targets[:, -1], outputs.dtype)))

    sim.compile("sgd", loss={"second": last_step})
    outputs = sim.predict([left, right])[model.second]
    expected = np.mean(np.abs(outputs[:, -1] - labels[:, -1]))
    assert sim.evaluate([left, right], labels)["loss"] == pytest.approx(expected, rel=1e-5)
    sim.fit([left, right], labels)


@pytest.mark.core
def test_train_on_batch_is_a_step_of_fit(model, arrays):
    x, y = [a[:4] for a in arrays[:2]], [a[:4] for a in arrays[2:]]
    results = []
    for method in ("fit", "train_on_batch"):
        with simulator(model) as sim:
            sim.compile(keras.optimizers.SGD(0.01), loss="mse")
            result = getattr(sim, method)(x, y)
            loss = result.history["loss"][0] if method == "fit" else result["loss"]
            results.append([*parameters(sim), loss])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with simulator(model) as sim:
        sim.compile("sgd", loss="mse")
        with pytest.raises(ValidationError, match="batch of 16 items; expected at most 4"):
            sim.train_on_batch(list(arrays[:2]), list(arrays[2:]))


ERRORS = {
    "rank of x": (lambda d: {"x": {"left": d["left"][:, 0]}}, r"'left' has shape \(16, 2\)"),
    "size of x": (lambda d: {"x": {"left": d["right"]}}, "'left' has 1 values a step"),
    "steps of x": (lambda d: {"x": {"left": d["left"][:, :2]}}, "different numbers of steps"),
    "batch of x": (lambda d: {"x": {"left": d["left"][:8]}}, "different batch sizes"),
    "no items": (
        lambda d: {k: {n: a[:0] for n, a in d[k].items()} for k in "xy"},
        "the arrays have no items",
    ),
    "masked": (
        lambda d: {"x": {"left": np.ma.masked_less(d["left"], 0)}},
        r"'left' is a masked array with \d+ masked values",
    ),
    "twice": (lambda d: {"x": {d["node"]: d["left"]}}, "two arrays for Node 'left'"),
    "n_steps of items": (
        lambda d: {"x": {"n_steps": np.arange(16)}},
        "items of a batch have different numbers of steps",
    ),
    "unknown Node": (lambda d: {"x": {"middle": d["left"]}}, "'middle' is not a Node"),
    "Node with input": (lambda d: {"x": {d["out"]: d["left"]}}, "takes its input from connections"),
    "too many": (lambda d: {"x": [d["left"]] * 3}, "3 arrays were given but the network has 2"),
    "text": (lambda d: {"x": {"left": np.full((16, 3, 2), "a")}}, "expected numbers"),
    "ragged": (lambda d: {"x": {"left": [[1, 2], [1]]}}, "is not an array"),
    "n_steps": (lambda d: {"n_steps": 5}, "the data has 3 steps but 5 steps"),
    "no targets": (lambda d: {"y": None}, "there are no targets"),
    "missing targets": (lambda d: {"y": {"first": d["first"]}}, "no targets for Probe 'second'"),
    "unknown Probe": (lambda d: {"y": {"third": d["first"]}}, "'third' is not a Probe"),
    "number of targets": (lambda d: {"y": [d["first"]]}, "1 arrays were given for 2 probes"),
    "rank of y": (lambda d: {"y": {"first": d["first"][:, 0]}}, r"\(batch, n_steps, size\), here"),
    "size of y": (lambda d: {"y": {"first": d["second"]}}, "the size of the Probe is 2"),
    "steps of y": (lambda d: {"y": {"first": d["first"][:, :2]}}, "have 2 steps; expected 3"),
    "batch of y": (lambda d: {"y": {"first": d["first"][:8]}}, "batch size 8 but the inputs 16"),
    "text of y": (
        lambda d: {"y": {"first": np.full((16, 3, 2), "a")}},
        "target of Probe 'first' is of type <U1; expected numbers",
    ),
    "masked y": (
        lambda d: {"y": {"first": np.ma.masked_less(d["first"], 0)}},
        "give .* NaN for unknown targets, with the loss nengo_dl.losses.nan_mse",
    ),
    "twice in y": (lambda d: {"y": {d["probe"]: d["first"]}}, "two values for Probe 'first'"),
    "steps_per_epoch": (lambda d: {"steps_per_epoch": 0}, "at least 1, got 0"),
    "split": (lambda d: {"validation_split": 1.5}, "cannot split off"),
    "validation": (lambda d: {"validation_data": 3}, r"expected \(x, y\)"),
    "weights": (lambda d: {"sample_weight": np.ones(8)}, "sample weights of Probe 'first'"),
    "class weights": (lambda d: {"class_weight": {0: 1}}, "one probe"),
    "batches": (lambda d: {"x": iter([])}, "have to come in the batches"),
    "empty": (lambda d: {"x": iter([]), "y": None}, "x: the list_iterator has no batches"),
    "empty validation": (lambda d: {"validation_data": iter([])}, "validation_data: .* no batches"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_in_data(shared_sim, model, arrays, case):
    left, right, first, second = arrays
    names = {"left": left, "right": right, "first": first, "second": second}
    good = {"x": {"left": left, "right": right}, "y": {"first": first, "second": second}}
    change, message = ERRORS[case]
    objects = {"out": model.first.target, "node": model.left, "probe": model.first}
    kwargs = change({**names, **good, **objects})
    for key in ("x", "y"):
        if isinstance(kwargs.get(key), dict) and case not in ("no items", "missing targets"):
            kwargs[key] = {**good[key], **kwargs[key]}
    with pytest.raises(ValidationError, match=message) as error:
        shared_sim.fit(**{**good, **kwargs})
    assert str(error.value).count("\n") == 0


@pytest.fixture(scope="module")
def shared_sim(model):
    with simulator(model) as sim:
        sim.compile("sgd", loss="mse")
        yield sim


def test_fewer_arrays_than_nodes(shared_sim, arrays):
    left, _, first, second = arrays
    with pytest.warns(UserWarning, match="1 arrays were given for 2 Nodes"):
        shared_sim.evaluate([left], [first, second])
    batches = iter([([left, left[..., :1]], [first, second])])
    with pytest.raises(ValidationError, match="batch of 16 items; expected at most 4"):
        shared_sim.evaluate(batches)


@pytest.mark.parametrize("batch_size", [4, 32])
def test_batch_size_is_ignored_alike(shared_sim, arrays, batch_size):
    x, y = list(arrays[:2]), list(arrays[2:])
    expected = shared_sim.evaluate(x, y)
    for call in (
        lambda: shared_sim.evaluate(x, y, batch_size=batch_size),
        lambda: shared_sim.predict(x, batch_size=batch_size),
        lambda: shared_sim.fit(
            x, y, epochs=0, batch_size=batch_size, validation_batch_size=batch_size
        ),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = call()
        named = ["batch_size=32 is ignored" in str(warning.message) for warning in caught]
        assert all(named) and bool(named) == (batch_size != MINIBATCH)
        if isinstance(result, dict) and "loss" in result:
            assert result == expected


def test_inputs_that_are_nan(shared_sim, arrays):
    left, right, first, second = arrays
    with pytest.warns(UserWarning, match="the data for Node 'right' contains NaN"):
        shared_sim.fit([left, np.where(right > 0.5, np.nan, right)], [first, second])
    shared_sim.reset()
    shared_sim.evaluate([left, np.where(right > 0.5, np.nan, right)], [first, second])
    missing = np.where(first > 0.5, np.nan, first)
    shared_sim.fit([left, right], [missing, second], epochs=0)


@pytest.mark.core
def test_errors_of_compile(model, arrays):
    x, y = list(arrays[:2]), list(arrays[2:])
    with simulator(model) as sim:
        with pytest.raises(SimulationError, match="call sim.compile"):
            sim.fit(x, y)
        with pytest.raises(SimulationError, match="call sim.compile"):
            sim.evaluate(x, y)
        sim.compile("sgd", metrics="mse")
        with pytest.raises(SimulationError, match="needs a loss"):
            sim.fit(x, y)
        for argument, value, message in (
            ("loss", {"third": "mse"}, "'third' is not a Probe"),
            ("loss", {model.left: "mse"}, "is not a Probe"),
            ("loss", ["mse"], "1 values were given for 2 probes"),
            ("metrics", {"third": "mse"}, "'third' is not a Probe"),
            ("loss_weights", [1, 2, 3], "3 values were given for 2 probes"),
            ("loss_weights", {"first": "much"}, "expected a number"),
        ):
            with pytest.raises(ValidationError, match=message):
                sim.compile("sgd", **{"loss": "mse", argument: value})
    with pytest.raises(SimulatorClosed):
        sim.compile("sgd", loss="mse")
    with pytest.raises(SimulatorClosed):
        sim.fit(x, y)


def test_nothing_to_train(arrays):
    for settings in ({"trainable": False}, {"inference_only": True}):
        with simulator(regression(**settings)) as sim:
            sim.compile("sgd", loss="mse")
            with pytest.raises(SimulationError, match="no trainable parameters"):
                sim.fit(list(arrays[:2]), list(arrays[2:]))
            assert sim.evaluate(list(arrays[:2]), list(arrays[2:]))["loss"] > 0
