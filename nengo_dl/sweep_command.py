"""``nengo-dl sweep``: a network at every point of a grid."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import click

from nengo_dl.convert_command import printable
from nengo_dl.export_command import find_object

#: most rows of the table that is printed
MOST_ROWS = 40


@click.command()
@click.argument("make")
@click.option(
    "--grid",
    "grid",
    multiple=True,
    required=True,
    help="A parameter and its values: seed=0:20 (whole numbers, the last one left out) or "
    "tau=0.05,0.1; several.",
)
@click.option(
    "--time",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Simulated time of each point in seconds.",
)
@click.option("--dt", default=0.001, show_default=True, help="Time step in seconds.")
@click.option(
    "--analyse",
    help="Function of what a point recorded and of its parameters, as package.module:name; what it "
    "returns is kept and printed in place of what was recorded.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results; a run that was stopped goes on from there.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes of this machine; by default the points run in one.",
)
@click.option(
    "--retry-errors", is_flag=True, help="Run points again that raised an error in an earlier run."
)
def sweep(
    make: str,
    grid: tuple[str, ...],
    time: float,
    dt: float,
    analyse: str | None,
    store: Path | None,
    workers: int | None,
    retry_errors: bool,
) -> None:
    """Simulate a network at every point of a grid of parameters.

    MAKE is a function of the parameters that returns a network with labelled probes, as
    package.module:name; it is looked for in the present folder too. The exit status is 1 where a
    point raised an error.

    For example: nengo-dl sweep model:make --grid seed=0:20 --grid tau=0.05,0.1 --store results

    Or, with two processes: nengo-dl sweep model:make --grid seed=0:20 --analyse model:error
    --workers 2
    """
    from nengo.exceptions import NengoException

    import nengo_dl

    axes = dict(map(_axis, grid))
    if len(axes) < len(grid):
        raise click.BadParameter("a parameter is given twice", param_hint="--grid")
    function = find_object(make, "MAKE")
    analysing = None if analyse is None else find_object(analyse, "--analyse")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # for processes, which import it again
    try:
        found = nengo_dl.sweep(function, **axes).run(
            *(time, None, analysing, workers, store), dt=dt, retry_errors=retry_errors
        )
    except NengoException as error:
        raise click.ClickException(printable(error)) from error
    click.echo("\n".join(map(printable, repr(found).splitlines())))
    if analysing is not None:
        click.echo("\n".join(_table(found)))
    if found.errors:
        raise click.ClickException(f"{len(found.errors)} of {len(found)} points raised an error")


def _axis(text: str) -> tuple[str, Any]:
    """A parameter and its values."""
    name, _, values = text.partition("=")
    if not name.isidentifier() or not values:
        raise click.BadParameter(
            f"expected name=values, as in seed=0:20 or tau=0.05,0.1; got {text!r}",
            param_hint="--grid",
        )
    if re.fullmatch(r"-?\d+:-?\d+(:[1-9]\d*)?", values):
        return name, range(*map(int, values.split(":")))
    return name, [_value(value) for value in values.split(",")]


def _value(text: str) -> Any:
    """A number, True, False or None; all else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _table(results: Any) -> list[str]:
    """The parameters of points, and the numbers that were found there."""
    arrays = {name: results[name] for name in results.names}
    columns = {name: values for name, values in arrays.items() if values.ndim == 1}
    rows = [[*results.axes, *columns]]
    for number, parameters in enumerate(results.parameters[:MOST_ROWS]):
        found = [columns[name][number] for name in columns]
        rows.append([_short(value) for value in (*parameters.values(), *found)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    if len(results) > MOST_ROWS:
        lines.append(f"... {len(results) - MOST_ROWS:,} more points")
    return [printable(line) for line in lines]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
