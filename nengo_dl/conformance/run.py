"""Calls pytest on an installed suite, in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

#: simulators by the name that the command gives them
BACKENDS = {"nengo_dl": "nengo_dl.Simulator", "nengo": "nengo.simulator.Simulator"}

#: parts of a suite that take a minute or two and touch every family of operators
FAST = {
    "nengo": (
        "nengo.tests.test_copy",
        "nengo.tests.test_learning_rules",
        "nengo.tests.test_neurons",
        "nengo.tests.test_node",
        "nengo.tests.test_probe",
        "nengo.tests.test_processes",
        "nengo.tests.test_simulator",
        "nengo.tests.test_synapses",
        "nengo.tests.test_transforms",
        "nengo.tests.test_transforms_conv",
    ),
    "nengo_spa": ("nengo_spa.modules", "nengo_spa.networks"),
}

PLUGINS = ("pytest", "pytest_rng", "pytest_allclose", "pytest_plt", "sklearn", "matplotlib")

# nengo_neurons are the types on which Nengo runs its backend tests
PYTEST_INI = """\
[pytest]
addopts = -p no:nengo -p nengo_dl.conformance.plugin
nengo_simulator = {simulator}
nengo_neurons =
    nengo.Direct
    nengo.LIF
    nengo.LIFRate
    nengo.RectifiedLinear
    nengo.Sigmoid
    nengo.SpikingRectifiedLinear
    nengo.Tanh
    nengo.tests.test_neurons.SpikingTanh
"""

NENGO_RC = """\
[decoder_cache]
enabled = False
[exceptions]
simplified = False
[nengo.Simulator]
fail_fast = True
[progress]
progress_bar = False
"""

# Nengo's tests ask for a part of setuptools that newer versions leave out, and that in older ones
# wants a distribution called tensorflow, although tensorflow-cpu will do
PKG_RESOURCES = """\
from importlib.metadata import entry_points


def iter_entry_points(group, name=None):
    return iter(entry_points(group=group))
"""


def missing_plugins() -> list[str]:
    """Modules that the suites need and that are not installed."""
    return [name for name in PLUGINS if importlib.util.find_spec(name) is None]


def run_suite(
    suite: str = "nengo",
    backend: str = "nengo_dl",
    dtype: str = "float64",
    fast: bool = False,
    arguments: Sequence[str] = (),
) -> int:
    """Run a suite; returns pytest's exit status.

    Parameters
    ----------
    suite
        ``"nengo"`` or ``"nengo_spa"``.
    backend
        ``"nengo_dl"``, or ``"nengo"`` for nengo.Simulator itself, to compare.
    dtype
        Setting of each network for nengo_dl.
    fast
        Only `FAST`.
    arguments
        Further arguments of pytest, e.g. ``["--slow"]``.
    """
    package = importlib.util.find_spec(suite)
    if package is None or package.origin is None:
        raise ModuleNotFoundError(f"{suite} is not installed", name=suite)
    site = Path(package.origin).parents[1]
    targets = FAST[suite] if fast else (suite,)
    with TemporaryDirectory() as folder:
        _write_files(Path(folder), backend)
        command = [
            *(sys.executable, "-m", "pytest", "--pyargs", *targets, "-c", "pytest.ini"),
            # the seed of a test comes from its name, which has to be the one that Nengo's CI sees
            *(f"--rootdir={site}", "-p", "no:cacheprovider", "--continue-on-collection-errors"),
            *arguments,
        ]
        environment = {**os.environ, "NENGO_DL_CONFORMANCE_DTYPE": dtype}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def _write_files(folder: Path, backend: str) -> None:
    (folder / "pytest.ini").write_text(PYTEST_INI.format(simulator=BACKENDS[backend]))
    (folder / "nengorc").write_text(NENGO_RC)
    (folder / "pkg_resources.py").write_text(PKG_RESOURCES)
