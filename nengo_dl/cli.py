"""The command line, ``nengo-dl``.

What a command needs is imported when it runs, so that ``nengo-dl --help`` does not wait for it.
"""

from __future__ import annotations

import importlib
import platform
from importlib.metadata import version
from pathlib import Path

import click

from nengo_dl.benchmarks.command import benchmark
from nengo_dl.conformance.command import conform
from nengo_dl.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nengo-dl")
def main() -> None:
    """Nengo networks, compiled, batched and differentiable.

    The environment variable KERAS_BACKEND, tensorflow or jax, chooses the backend.
    """


@main.command()
def info() -> None:
    """Print versions, the backend and its devices."""
    import keras

    backend = keras.backend.backend()
    rows = {
        "nengo_dl": __version__,
        "nengo": version("nengo"),
        "keras": version("keras"),
        backend: importlib.import_module(backend).__version__,
        "numpy": version("numpy"),
        "python": f"{platform.python_version()} on {platform.platform()}",
        "backend": backend,
        "devices": ", ".join(keras.distribution.list_devices()),
    }
    for name, value in rows.items():
        click.echo(f"{name:<12}{value}")


@main.command()
@click.option(
    "--output",
    default="demo.png",
    show_default=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where the picture goes.",
)
@click.option(
    "--seconds",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0.001),
    help="Simulated time.",
)
@click.option(
    "--minibatch",
    default=8,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many oscillators to simulate side by side, each at another speed.",
)
def demo(output: Path, seconds: float, minibatch: int) -> None:
    """Simulate spiking oscillators and check them against nengo.Simulator.

    The exit status is 1 where the two disagree.
    """
    from nengo_dl.demo import draw, run, summary

    report = run(seconds, minibatch)
    click.echo(summary(report))
    draw(report, output)
    click.echo(f"{'picture':<12}{output}")
    if not report.agrees:
        raise click.ClickException(
            "the simulation in float64 differs from nengo.Simulator's by "
            f"{report.float64.largest:.1e} and {report.float64.n_different} spikes; "
            "it should be the same to rounding"
        )


main.add_command(benchmark)
main.add_command(conform)
