"""``nengo-dl conform``."""

from __future__ import annotations

import click

from nengo_dl.conformance.run import BACKENDS, FAST, missing_plugins, run_suite
from nengo_dl.distribution import how_to_install


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--suite",
    type=click.Choice(list(FAST)),
    default="nengo",
    show_default=True,
    help="Whose tests to run.",
)
@click.option(
    "--backend",
    type=click.Choice(list(BACKENDS)),
    default="nengo_dl",
    show_default=True,
    help="The simulator under test; nengo is the reference itself.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float64",
    show_default=True,
    help="Precision of nengo_dl.",
)
@click.option("--fast", is_flag=True, help="Only a part that takes a minute or two.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def conform(suite, backend, dtype, fast, pytest_arguments) -> None:
    """Run the installed test suite of Nengo, or of nengo_spa.

    Further arguments go to pytest, e.g. --slow, --spa, -k test_ensemble, -n 4. The exit status is
    pytest's.

    For example: nengo-dl conform --fast -k test_ensemble
    """
    missing = missing_plugins()
    if missing:
        raise click.ClickException(
            f"the suite needs {', '.join(missing)}; {how_to_install('conformance')}"
        )
    raise SystemExit(run_suite(suite, backend, dtype, fast, pytest_arguments))
