"""MNIST by conversion: a convolutional network trained in Keras, then run with spikes.

Prints the accuracy in Keras, and in time with spikes: after a plain exchange of the activations,
with rates that were scaled by the data, as ``Converter.calibrate`` makes them, and after some
updates of ``Converter.fine_tune``. Run it with ``python -m nengo_dl.benchmarks.converted_mnist``;
the environment variable ``NENGO_DL_MNIST`` names an ``mnist.npz``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.spiking_mnist import load_data
from nengo_dl.converter.rates import table
from nengo_dl.optional import installed

#: steps after which accuracies are printed
SHOWN = (5, 10, 15, 20, 30, 60)
#: of fine-tuning: steps, hertz of the highest rates before, and of the mean rate
TUNED_STEPS, TUNED_HIGH, TUNED_MEAN = 15, 400, 50


#: what is tested -> its label in the picture
LABELS = {
    "activations exchanged": "activations exchanged\n(never above 13 %)",
    "auto": 'scale_firing_rates="auto"',
    "calibrated": "calibrate",
    "few spikes": f"calibrate, {TUNED_HIGH} Hz",
    "fine-tuned": f"... and fine_tune, {TUNED_MEAN} Hz",
}


class Curve(NamedTuple):
    """Accuracy, and spikes for an image until then, by the number of steps."""

    accuracy: np.ndarray
    spikes: np.ndarray


def make_model() -> keras.Model:
    """Two convolutional layers, and a dense one."""
    return _model([("relu", None), ("relu", None)])


def make_pooling_model() -> keras.Model:
    """The same with maximum pooling in place of strides."""
    return _model([("relu", 2), ("relu", 2)])


def make_smooth_model() -> keras.Model:
    """With activations that are not rectified, and a dense layer more."""
    return _model([("silu", None), ("tanh", None)], keras.layers.Dense(64, activation="tanh"))


def _model(convolutions: list[tuple[str, int | None]], *dense: keras.layers.Layer) -> keras.Model:
    parts: list[Any] = [keras.Input((28, 28, 1))]
    for filters, (activation, pool) in zip((16, 32), convolutions, strict=True):
        strides = 2 if pool is None else 1
        parts.append(keras.layers.Conv2D(filters, 3, strides=strides, activation=activation))
        if pool is not None:
            parts.append(keras.layers.MaxPooling2D(pool))
    return keras.Sequential([*parts, keras.layers.Flatten(), *dense, keras.layers.Dense(10)])


MODELS: dict[str, Callable[[], keras.Model]] = {
    "strides": make_model,
    "pooling": make_pooling_model,
    "smooth": make_smooth_model,
}
SPIKING = {
    "relu": nengo.SpikingRectifiedLinear(),
    "silu": nengo.RegularSpiking(nengo_dl.SiLU()),
    "tanh": nengo.RegularSpiking(nengo.Tanh(tau_ref=1)),
}


def convert(model: keras.Model, **options: Any) -> nengo_dl.Converter:
    """The model as Nengo objects, of which each input begins at rest."""
    converter = nengo_dl.Converter(model, allow_fallback=False, inference_only=True, **options)
    with converter.net:
        nengo_dl.configure_settings(stateful=False)
    return converter


def swaps(model: keras.Model) -> dict[str, Any]:
    """Spiking neurons of Nengo for the activations that a model has."""
    names = {getattr(getattr(layer, "activation", None), "__name__", "") for layer in model.layers}
    return {name: neurons for name, neurons in SPIKING.items() if name in names}


def accuracy(
    converter: nengo_dl.Converter, images: np.ndarray, labels: np.ndarray, n_steps: int
) -> np.ndarray:
    """For each step the share of images whose class the output has then."""
    (image,), (probe,) = converter.inputs.values(), converter.outputs.values()
    correct, batch = np.zeros(n_steps), 100
    with nengo_dl.Simulator(converter.net, minibatch_size=batch, progress_bar=False) as sim:
        for start in range(0, len(images), batch):
            rows = images[start : start + batch].reshape(batch, 1, -1)
            output = sim.predict({image: np.repeat(rows, n_steps, axis=1)})[probe]
            correct += np.sum(
                np.argmax(output, axis=-1) == labels[start : start + batch, None], axis=0
            )
    return correct / len(images)


def run(
    data: str | None,
    epochs: int,
    n_steps: int,
    synapse: float,
    n_test: int,
    kind: str = "strides",
    updates: int = 0,
    picture: str | None = None,
) -> dict[str, float]:
    """Train, convert, test and print; returns the accuracies after the last step."""
    (x, y), (x_test, y_test) = load_data(data)
    x, x_test = (images.reshape(-1, 28, 28, 1) for images in (x, x_test))
    x_test, y_test = x_test[:n_test], y_test[:n_test]
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=50,
    )
    start = time.perf_counter()
    model.fit(x, y, batch_size=100, epochs=epochs, verbose=2)
    result = {"Keras": float(model.evaluate(x_test, y_test, verbose=0)[1])}
    print(f"trained in {time.perf_counter() - start:.0f} s; Keras: {result['Keras']:.2%}")
    spikes = {"swap_activations": swaps(model)}
    auto = {"scale_firing_rates": "auto", "sample_inputs": x[:200], "synapse": synapse}

    curves: dict[str, Curve] = {}

    def test(name: str, converter: nengo_dl.Converter, n_steps: int) -> None:
        in_time = accuracy(converter, x_test, y_test, n_steps)
        steps = [n for n in SHOWN if n <= n_steps]
        shown = ", ".join(f"{n}: {in_time[n - 1]:.2%}" for n in steps)
        print(f"{name}, of {n_test} images, by steps: {shown}", flush=True)
        result[name] = float(in_time[-1])
        if picture is not None:
            counted = [converter.measure_rates(x_test[:100], n).spikes for n in steps]
            curves[name] = Curve(in_time, np.interp(np.arange(1, n_steps + 1), steps, counted))

    test("activations exchanged", convert(model, **spikes), n_steps)
    converter = convert(model, **spikes, **auto)
    print(table(converter.firing_rates))
    print(converter.measure_rates(x_test[:100], n_steps))
    test("auto", converter, n_steps)
    converter = convert(model)
    print(converter.calibrate(x[:200], n_steps))
    test("calibrated", converter, n_steps)
    if updates:
        print(converter.calibrate(x[:200], TUNED_STEPS, TUNED_HIGH))
        test("few spikes", converter, TUNED_STEPS)
        tuned = {"steps": TUNED_STEPS, "updates": updates, "target_rate": TUNED_MEAN}
        print(converter.fine_tune(x, y, **tuned))
        print(converter.measure_rates(x_test[:200], TUNED_STEPS))
        test("fine-tuned", converter, TUNED_STEPS)
    if picture is not None:
        draw(curves, result["Keras"], picture)
    return result


def draw(curves: dict[str, Curve], reference: float, path: str) -> None:
    """Accuracies by the number of steps, and by that of spikes for an image."""
    with installed("demo"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_steps, by_spikes = figure.subplots(1, 2, sharey=True)
    for color, (name, curve) in enumerate(curves.items()):
        style = {"label": LABELS[name], "color": f"C{color}"}
        by_steps.plot(np.arange(1, len(curve.accuracy) + 1), 100 * curve.accuracy, **style)
        by_spikes.plot(curve.spikes[4:], 100 * curve.accuracy[4:], **style)
    for axes, what in (by_steps, "steps of 1 ms"), (by_spikes, "spikes for an image"):
        axes.axhline(100 * reference, color="0.5", linestyle=":", label="Keras")
        axes.set(xlabel=what, xscale="log", ylim=(90, 100))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    by_spikes.set_xlim(left=300)
    by_steps.set_ylabel("accuracy (%)")
    figure.legend(*by_steps.get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path, dpi=200, transparent=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("NENGO_DL_MNIST"))
    parser.add_argument("--model", choices=MODELS, default="strides")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--synapse", type=float, default=0.01)
    parser.add_argument("--test", type=int, default=10000, help="number of test images")
    parser.add_argument("--updates", type=int, default=0, help="of fine-tuning, none by default")
    parser.add_argument("--picture", help="file for the curves of accuracy")
    given = parser.parse_args()
    run(
        given.data,
        given.epochs,
        given.steps,
        given.synapse,
        given.test,
        given.model,
        given.updates,
        given.picture,
    )


if __name__ == "__main__":
    main()
