"""``nengo-dl export``: trained networks as files for other programs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from nengo_dl.convert_command import printable

SUFFIXES = {".nir": "nir", ".onnx": "onnx"}


@click.command()
@click.argument("network")
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--params",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of trained parameters, from Simulator.save_params.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["nir", "saved_model", "onnx"]),
    help="By default from the ending of OUTPUT: .nir, .onnx, or a SavedModel.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Number of steps that a SavedModel or ONNX file runs.",
)
@click.option(
    "--minibatch",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Items that a SavedModel or ONNX file takes at once.",
)
@click.option("--dt", type=float, help="Time step in seconds.  [default: 0.001]")
@click.option(
    "--probe", "probes", multiple=True, help="Label of a Probe that NIR outputs; several."
)
@click.option(
    "--method",
    type=click.Choice(["exact", "euler"]),
    default="exact",
    show_default=True,
    help="NIR: time constants as they are, or for readers that take Euler's steps.",
)
@click.option("--nir-dt", type=float, help="NIR: time step of the reader in seconds.")
@click.option(
    "--strict/--approximate",
    default=True,
    help="NIR: whether what it cannot express is an error or a warning.",
)
def export(
    network: str,
    output: Path,
    params: Path | None,
    kind: str | None,
    steps: int | None,
    minibatch: int,
    dt: float | None,
    probes: tuple[str, ...],
    method: str,
    nir_dt: float | None,
    strict: bool,
) -> None:
    """Write a network, with trained parameters, as a file for other programs.

    NETWORK is the code that makes it, as package.module:name, where name is a nengo.Network or a
    function that returns one; it is looked for in the present folder too. OUTPUT is the file, or
    for a SavedModel the folder.

    For example: nengo-dl export classifier:make_network classifier.nir --params trained.npz

    Or: nengo-dl export classifier:make_network served --params trained.npz --steps 50
    """
    from nengo.exceptions import NengoException

    kind = kind or SUFFIXES.get(output.suffix, "saved_model")
    if kind != "nir" and steps is None:
        raise click.UsageError(f"--steps is needed for the format {kind}")
    net = _find_network(network)
    try:
        if params is not None:
            from nengo_dl.runtime.parameters.deployment import load_params_into

            load_params_into(net, params)
        if kind == "nir":
            arguments = {"dt": dt, "method": method, "nir_dt": nir_dt, "strict": strict}
            _write_nir(net, output, probes, arguments)
        else:
            _write_model(net, output, kind, steps, minibatch, 0.001 if dt is None else dt)
    except (NengoException, ImportError) as error:
        raise click.ClickException(printable(error)) from error
    click.echo(f"{printable(output)}: {kind}")


def find_object(name: str, hint: str) -> Any:
    """What ``package.module:name`` stands for; the present folder is looked at first."""
    module_name, _, attribute = name.partition(":")
    if not attribute or not module_name or module_name.startswith("."):
        raise click.BadParameter(f"expected package.module:name, got {name!r}", param_hint=hint)
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise click.BadParameter(str(error), param_hint=hint) from error
    finally:
        sys.path.remove(str(Path.cwd()))


def _find_network(name: str) -> Any:
    """The network that ``package.module:name`` stands for."""
    import nengo

    found = find_object(name, "NETWORK")
    found = found() if callable(found) and not isinstance(found, nengo.Network) else found
    if not isinstance(found, nengo.Network):
        raise click.BadParameter(
            f"{name} gave {found!r} of type {type(found).__name__}, expected a nengo.Network",
            param_hint="NETWORK",
        )
    return found


def _write_nir(net: Any, output: Path, labels: tuple[str, ...], arguments: dict) -> None:
    from nengo_dl.nir import to_nir

    probes = None
    if labels:
        known = {probe.label: probe for probe in net.all_probes}
        missing = [label for label in labels if label not in known]
        if missing:
            raise click.BadParameter(
                f"no Probe has the label {missing[0]!r}; there are "
                f"{', '.join(str(label) for label in known)}",
                param_hint="--probe",
            )
        probes = [known[label] for label in labels]
    graph = to_nir(net, outputs=probes, **arguments)
    importlib.import_module("nir").write(output, graph)


def _write_model(
    net: Any, output: Path, kind: str, steps: int | None, minibatch: int, dt: float
) -> None:
    from nengo_dl.simulator import Simulator

    assert steps is not None  # checked with the options
    with Simulator(net, dt=dt, minibatch_size=minibatch, progress_bar=False) as sim:
        sim.export(output, steps, format=kind)
