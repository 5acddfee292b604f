"""The command line of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from nengo_dl.benchmarks import machine, plots, report, simulation, training
from nengo_dl.benchmarks.cases import SETS, TITLES, Case
from nengo_dl.benchmarks.runs import Settings, measure

BACKENDS = "tensorflow", "jax"
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--set", "sets", multiple=True, type=click.Choice([*SETS, "all"]), help="Kinds of comparisons."
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice([*BACKENDS, "all"]),
    help="Where we take part; by default the Keras backend that is chosen.",
)
@click.option(
    "--peer",
    "--peers",
    "peers",
    multiple=True,
    metavar="PEER[,PEER]...",
    help=f"With whom to compare: {', '.join(TITLES)}. By default nengo where no set is named, "
    "and all where one is.",
)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(min=1),
    help="Sizes of minibatches, for simulation; by default 1 and 16.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float32", "float64"]),
    help="Our precisions, for simulation; by default float32.",
)
@click.option("--old-nengo-dl", metavar="PYTHON", help="Interpreter that has NengoDL 3.")
@click.option(
    "--python",
    "interpreters",
    multiple=True,
    metavar="PEER=PYTHON",
    help="Interpreter of a peer that is not installed in this one.",
)
@click.option(
    "--repeats",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often each is timed.",
)
@click.option(
    "--seconds",
    default=0.5,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Time of a run, about.",
)
@click.option("--json", "path", type=FILE, metavar="FILE", help="Keep all times in a file.")
@click.option(
    "--from",
    "sources",
    multiple=True,
    type=EXISTING,
    metavar="FILE",
    help="Measure nothing: take what --json has kept, of several files together.",
)
@click.option(
    "--markdown",
    "page",
    type=EXISTING,
    metavar="FILE",
    help="Make the tables of a page anew.",
)
@click.option(
    "--plot",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Draw the curves of the set scaling.",
)
def benchmark(
    names: tuple[str, ...],
    sets: tuple[str, ...],
    backends: tuple[str, ...],
    peers: tuple[str, ...],
    batches: tuple[int, ...],
    dtypes: tuple[str, ...],
    old_nengo_dl: str | None,
    interpreters: tuple[str, ...],
    repeats: int,
    seconds: float,
    path: Path | None,
    sources: tuple[Path, ...],
    page: Path | None,
    folder: Path | None,
) -> None:
    """Compare speed with nengo.Simulator's, and other peers'.

    All take turns, each in a process of its own, after untimed runs. A ratio is the median of all
    repetitions, followed by the smallest and the largest; with a minibatch the time of a step is
    that of one item. Without names and sets a few quick comparisons are made.

    For example: nengo-dl benchmark cconv --repeats 10 --json times.json
    """
    if sources:
        results, described = report.merged(sources)
        _print(results)
    else:
        cases = _chosen(names, sets, batches, dtypes, drawing=folder is not None)
        found = _interpreters(old_nengo_dl, interpreters)
        quick = not (names or sets)
        settings = Settings(
            backends=_backends(backends),
            peers=_peers(peers, found if quick else None),
            interpreters=found,
            repeats=repeats,
            seconds=seconds,
        )
        described = machine.describe()
        click.echo(report.HEADER)
        results = []
        for case in cases:
            results.append(measure(case, settings))
            _print(results[-1:])
            if path is not None:  # after each, so that nothing is lost
                report.to_json(results, described, path)
    if path is not None:
        report.to_json(results, described, path)
        click.echo(f"written to {path}")
    if page is not None:
        text = report.fill_in(page.read_text(encoding="utf-8"), results, described)
        page.write_text(text, encoding="utf-8")
    if folder is not None:
        for picture in plots.draw(results, folder):
            click.echo(f"picture {picture}")


def _print(results) -> None:
    for result in results:
        for row in report.rows(result):
            click.echo(row)


def all_cases(batches=(), dtypes=()) -> list[Case]:
    """Every comparison there is."""
    return [
        *simulation.simulation(batches or simulation.BATCHES, dtypes or ("float32",)),
        *simulation.interactive(),
        *training.training(),
        *training.kernels(),
        *simulation.building(),
        *simulation.memory(),
        *simulation.scaling(),
    ]


def _chosen(names, sets, batches, dtypes, drawing: bool) -> list[Case]:
    cases = all_cases(batches, dtypes)
    names = {name.replace("_", "-") for name in names}
    unknown = names - {case.name for case in cases}
    if unknown:
        there = dict.fromkeys(case.name for case in cases)
        raise click.UsageError(
            f"There is no benchmark {', '.join(sorted(unknown))}; the names are {', '.join(there)}."
        )
    if not (names or sets):
        names = {"scaling"} if drawing else simulation.quick()
    in_sets = set(SETS) if "all" in sets else set(sets) or set(SETS)
    return [case for case in cases if case.set in in_sets and (not names or case.name in names)]


def _backends(backends) -> list[str]:
    if "all" in backends:
        return list(BACKENDS)
    if backends:
        return list(dict.fromkeys(backends))
    import keras

    return [keras.backend.backend()]


def _peers(peers, quick: Iterable[str] | None) -> list[str] | None:
    """Peers that are asked for; without any all (None), or where it is to be quick a few."""
    if not peers:
        return None if quick is None else ["nengo", *quick]
    found = [peer.strip() for value in peers for peer in value.split(",")]
    unknown = set(found) - set(TITLES)
    if unknown:
        raise click.UsageError(
            f"There is no peer {', '.join(sorted(unknown))}; the peers are {', '.join(TITLES)}."
        )
    return found


def _interpreters(old_nengo_dl, interpreters) -> dict[str, str]:
    found = {"nengo-dl-3": old_nengo_dl} if old_nengo_dl else {}
    for value in interpreters:
        peer, equals, python = value.partition("=")
        if not equals or peer not in TITLES:
            raise click.UsageError(
                f"--python takes PEER=PYTHON, got {value!r}; the peers are {', '.join(TITLES)}."
            )
        found[peer] = python
    return found
