"""``nengo-dl convert``: Keras models as Nengo networks."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

#: name of a neuron type on the command line -> module and class
NEURONS = {
    "relu": ("nengo", "RectifiedLinear"),
    "spiking_relu": ("nengo", "SpikingRectifiedLinear"),
    "lif": ("nengo", "LIF"),
    "lif_rate": ("nengo", "LIFRate"),
    "soft_lif_rate": ("nengo_dl", "SoftLIFRate"),
    "leaky_relu": ("nengo_dl", "LeakyReLU"),
    "spiking_leaky_relu": ("nengo_dl", "SpikingLeakyReLU"),
}
SUFFIXES = (".py", ".npz", ".nir")

#: the only thing that is filled in is the text of Python literals
SCRIPT = '''"""A Keras model as a Nengo network."""

import keras
import nengo{numpy}

import nengo_dl


def convert():
    """The model, converted; see nengo_dl.Converter."""
    model = keras.saving.load_model({path}, compile=False)
    return nengo_dl.Converter(
        model,{arguments}
    )


def make_network():
    """The network; `nengo-dl export` takes it as MODULE:make_network, MODULE being this file's."""
    return convert().net


if __name__ == "__main__":
    converted = convert()
    with nengo_dl.Simulator(converted.net) as sim:
        sim.run(0.1)  # sim.predict, or sim.run_steps, with data for the inputs
        for probe in converted.outputs.values():
            print(probe, sim.data[probe][-1])
'''


def printable(text: Any) -> str:
    """Text with escapes for what controls a terminal, as names of files and layers may contain."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


class Swap(click.ParamType):
    """``ACTIVATION=NEURONS`` -> both names."""

    name = "ACTIVATION=NEURONS"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Split and check a value of the option."""
        activation, _, neurons = value.partition("=")
        if neurons not in NEURONS:
            self.fail(
                f"{value!r} names no neuron type; write ACTIVATION=NEURONS with one of "
                f"{', '.join(NEURONS)}, e.g. relu=spiking_relu.",
                param,
                ctx,
            )
        return activation, neurons


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--swap", "swaps", type=Swap(), multiple=True, help="Neurons for an activation.")
@click.option(
    "--scale-firing-rates", "scale", type=float, help="Factor on all firing rates, e.g. 100."
)
@click.option(
    "--synapse", type=click.FloatRange(min=0), help="Lowpass on the neurons' output, in seconds."
)
@click.option(
    "--samples",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Some inputs of the model, (batch, ...), as a .npy file, for --steps.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Choose neurons and rates so that inputs shown for so many steps are told apart.",
)
@click.option("--inference-only", is_flag=True, help="Need not behave as the model in training.")
@click.option("--max-to-avg-pool", is_flag=True, help="Average pooling for maximum pooling.")
@click.option("--no-fallback", is_flag=True, help="Fail where Nengo has no equivalent of a layer.")
@click.option(
    "--verify", is_flag=True, help="Compare with the model, before anything is exchanged or scaled."
)
@click.option(
    "--output",
    "-o",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, by its ending: .py, .npz or .nir; several.",
)
def convert(
    model: Path,
    swaps: tuple[tuple[str, str], ...],
    scale: float | None,
    synapse: float | None,
    samples: Path | None,
    steps: int | None,
    inference_only: bool,
    max_to_avg_pool: bool,
    no_fallback: bool,
    verify: bool,
    outputs: tuple[Path, ...],
) -> None:
    """Convert the Keras model in the file MODEL.keras to a Nengo network, and say what becomes of
    each layer.

    With -o it writes a Python script that makes the network (.py), the network's parameters for
    nengo_dl.load_params_into (.npz), or NIR, for chips and other libraries (.nir). A model that
    would run code from its file is refused.

    For example: nengo-dl convert classifier.keras --swap relu=spiking_relu --scale-firing-rates
    100 --synapse 0.01 -o classifier_network.py

    With spikes that need no tuning: nengo-dl convert classifier.keras --samples images.npy
    --steps 20 -o classifier_network.py

    Or, to see whether Nengo has all layers: nengo-dl convert classifier.keras --verify
    """
    if (samples is None) != (steps is None):
        raise click.UsageError("--samples and --steps go together.")
    for path in outputs:
        if path.suffix not in SUFFIXES:
            raise click.BadParameter(
                f"{printable(path)} ends in {path.suffix or 'nothing'!r}; expected "
                f"{', '.join(SUFFIXES)}.",
                param_hint="--output",
            )
    loaded = _load(model)
    plain = {"inference_only": inference_only, "max_to_avg_pool": max_to_avg_pool}
    plain["allow_fallback"] = not no_fallback
    numbers = {"scale_firing_rates": scale, "synapse": synapse, "steps": steps}
    chosen: dict[str, Any] = {"swap_activations": _swaps(swaps), **numbers}
    if samples is not None:
        chosen["sample_inputs"] = _samples(samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the report says it
        converter = _converted(loaded, {**plain, **chosen})
        click.echo(_report(converter))
        if verify:
            _verify(_converted(loaded, plain))
        for path in outputs:
            _write(converter, path, model, plain, swaps, numbers, samples)
            click.echo(f"written to {printable(path)}")


def _load(path: Path) -> Any:
    import keras

    if path.suffix != ".keras":
        raise click.BadParameter(
            f"{printable(path)} does not end in .keras; save the model with "
            "model.save('name.keras').",
            param_hint="MODEL",
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # whatever a damaged file leads to
        first = str(error).strip().partition("\n")[0]
        raise click.BadParameter(
            printable(f"Keras cannot load {path}: {first}"), param_hint="MODEL"
        ) from error


def _samples(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:  # whatever else is in the file
        array = error
    if not isinstance(array, np.ndarray):
        raise click.BadParameter(
            f"{printable(path)} is not an array of numbers that numpy.save wrote.",
            param_hint="--samples",
        )
    return array


def _swaps(swaps: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    found = {}
    for activation, neurons in swaps:
        module, name = NEURONS[neurons]
        found[activation] = getattr(importlib.import_module(module), name)()
    return found


def _converted(model: Any, arguments: dict[str, Any]) -> Any:
    from nengo.exceptions import ValidationError

    from nengo_dl.converter import Converter

    try:
        return Converter(model, **arguments)
    except ValidationError as error:
        raise click.UsageError(printable(error)) from error
    except TypeError as error:
        raise click.ClickException(printable(error)) from error


def _report(converter: Any) -> str:
    """A line for each layer: what it becomes."""
    rows = [("layer", "type", "output", "becomes")]
    for call in converter.calls:
        obj = converter.objects[call.outputs[0]]
        shape = str(tuple(call.outputs[0].shape))
        becomes = f"TensorNode: {converter.fallbacks.get(call.name)}"
        if call.inputs and converter.objects[call.inputs[0]] is obj:
            becomes = "nothing: the values stay as they are"
        elif call.name not in converter.fallbacks:
            ensemble = getattr(obj, "ensemble", None)
            becomes = (
                "Node"
                if ensemble is None
                else f"{ensemble.n_neurons:,} neurons, {ensemble.neuron_type}"
            )
        rows.append((printable(call.name), type(call.layer).__name__, shape, printable(becomes)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    n, fallbacks = len(converter.calls), len(converter.fallbacks)
    where = "any Nengo simulator" if not fallbacks else "nengo_dl.Simulator only"
    lines.append(f"{n - fallbacks} of {n} layers are Nengo objects; the network runs in {where}")
    return "\n".join(lines)


def _verify(converter: Any) -> None:
    from nengo.exceptions import ValidationError

    try:
        converter.verify()
    except ValidationError as error:
        raise click.ClickException(printable(error)) from error
    click.echo("verified: the network's outputs are the model's")


def _write(converter, path: Path, model: Path, plain, swaps, numbers, samples) -> None:
    from nengo.exceptions import NengoException

    try:
        if path.suffix == ".py":
            script = _script(model, plain, swaps, numbers, samples)
            path.write_text(script, encoding="utf-8")
        elif path.suffix == ".npz":
            from nengo_dl.simulator import Simulator

            with Simulator(converter.net, progress_bar=False) as sim:
                sim.save_params(path)
        else:
            from nengo_dl.nir import to_nir

            graph = to_nir(converter.net, outputs=list(converter.outputs.values()))
            importlib.import_module("nir").write(path, graph)
    except (NengoException, ImportError, OSError) as error:
        message = printable(f"{path} cannot be written: {error}")
        raise click.ClickException(message) from error


def _script(model: Path, plain: dict, swaps, numbers: dict, samples: Path | None) -> str:
    """The code that makes the network again."""
    defaults = {"inference_only": False, "max_to_avg_pool": False, "allow_fallback": True}
    arguments = {k: ascii(v) for k, v in plain.items() if v != defaults[k]}
    if swaps:
        pairs = (f"{ascii(a)}: {'.'.join(NEURONS[n])}()" for a, n in swaps)
        arguments["swap_activations"] = "{" + ", ".join(pairs) + "}"
    arguments |= {k: ascii(v) for k, v in numbers.items() if v is not None}
    if samples is not None:
        arguments["sample_inputs"] = f"np.load({ascii(str(samples.resolve()))})"
    lines = "".join(f"\n        {name}={value}," for name, value in arguments.items())
    return SCRIPT.format(
        path=ascii(str(model.resolve())),
        arguments=lines,
        numpy="" if samples is None else "\nimport numpy as np",
    )
