"""The command line, ``nengo-dl``.

What a command needs is imported when it runs, so that ``nengo-dl --help`` does not wait for it.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click

from nengo_dl import distribution, keras_backend
from nengo_dl.benchmarks.command import benchmark
from nengo_dl.conformance.command import conform
from nengo_dl.convert_command import convert
from nengo_dl.export_command import export
from nengo_dl.optional import installed
from nengo_dl.sweep_command import sweep
from nengo_dl.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nengo-dl")
def main() -> None:
    """Nengo networks, compiled, batched and differentiable.

    The environment variable KERAS_BACKEND, tensorflow or jax, chooses the backend.

    For example: nengo-dl demo
    """


@main.command()
def info() -> None:
    """Print versions, the backend and its devices, and which extras are installed.

    For example: KERAS_BACKEND=jax nengo-dl info
    """
    rows = {"nengo_dl": f"{__version__} in {Path(__file__).parent}"}
    for name in ("nengo", "keras", "numpy", "scipy"):
        rows[name] = distribution.version(name) or "not installed"
    rows["python"] = f"{platform.python_version()} on {platform.platform()}"
    for name in keras_backend.SUPPORTED:
        versions = (distribution.version(name + end) for end in ("", "-cpu"))
        there = name in keras_backend.installed()
        rows[name] = next(filter(None, versions), "installed") if there else "not installed"
    rows["backend"] = keras_backend.name()
    rows["devices"] = _devices()
    for name, value in rows.items():
        click.echo(f"{name:<12}{value}")
    for extra, required in distribution.extras().items():
        absent = distribution.missing(required)
        state = f"not installed: {', '.join(absent)}" if absent else "installed"
        click.echo(f"[{extra}]".ljust(18) + state)


def _devices() -> str:
    """Names of the devices, or why there are none: whoever asks has a reason to."""
    problem = keras_backend.problem()
    if problem is not None:
        return f"none. {problem}"
    try:
        import keras

        if keras.backend.backend() == "jax":
            import jax

            return ", ".join(map(described, jax.devices()))
        return ", ".join(keras.distribution.list_devices())
    except Exception as error:
        return f"none. Loading Keras failed: {type(error).__name__}: {error}"


def described(device: Any) -> str:
    """A device of JAX, with its model and the memory that JAX may use where it has its own."""
    name = f"{device.platform}:{device.id}"
    if device.platform == "cpu":
        return name
    limit = (device.memory_stats() or {}).get("bytes_limit")
    memory = "" if limit is None else f", {limit / 2**30:.1f} GB"
    return f"{name} ({device.device_kind}{memory})"


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
@click.option(
    "--epochs",
    default=30,
    show_default=True,
    type=click.IntRange(min=0),
    help="How long to train the classifier; 0 leaves it out.",
)
def demo(output: Path, seconds: float, minibatch: int, epochs: int) -> None:
    """Simulate spiking oscillators, check them against nengo.Simulator, and train a spiking
    classifier.

    The exit status is 1 where the simulations disagree. The picture of the classifier goes beside
    the other one, with "-training" in its name.

    For example: nengo-dl demo --minibatch 32 --epochs 0 --output oscillators.png
    """
    try:
        with installed("demo"):
            import matplotlib  # noqa: F401
            import sklearn  # noqa: F401
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    from nengo_dl.demo import draw, draw_training, run, summary, train, training_summary

    report = run(seconds, minibatch)
    click.echo(summary(report))
    draw(report, output)
    click.echo(f"{'picture':<12}{output}")
    if epochs:
        click.echo()
        training = train(epochs)
        click.echo(training_summary(training))
        path = output.with_stem(f"{output.stem}-training")
        draw_training(training, path)
        click.echo(f"{'picture':<12}{path}")
    if not report.agrees:
        raise click.ClickException(
            "the simulation in float64 differs from nengo.Simulator's by "
            f"{report.float64.largest:.1e} and {report.float64.n_different} spikes; "
            "it should be the same to rounding"
        )


main.add_command(benchmark)
main.add_command(conform)
main.add_command(convert)
main.add_command(export)
main.add_command(sweep)
