"""The command line of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import click

from nengo_dl.benchmarks import simulation


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--repeats",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often each is timed.",
)
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all times to a file.",
)
def benchmark(names: tuple[str, ...], repeats: int, path: Path | None) -> None:
    """Compare the speed of simulation with nengo.Simulator's.

    The two take turns, after an untimed run of each. A ratio is the median of all repetitions,
    followed by the smallest and the largest; with a minibatch it counts the simulated steps of all
    its items.

    For example: nengo-dl benchmark cconv --repeats 10 --json times.json
    """
    unknown = set(names) - set(simulation.BENCHMARKS)
    if unknown:
        raise click.UsageError(
            f"There is no benchmark {', '.join(sorted(unknown))}; "
            f"the names are {', '.join(simulation.BENCHMARKS)}."
        )
    click.echo(simulation.HEADER)
    results = []
    for name in names or simulation.DEFAULT:
        results.append(simulation.run(simulation.BENCHMARKS[name], repeats))
        click.echo(simulation.row(results[-1]))
    if path is not None:
        simulation.to_json(results, path)
        click.echo(f"written to {path}")
