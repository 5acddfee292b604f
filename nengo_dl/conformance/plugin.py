"""The pytest plugin of the suites: Nengo's own, for pytest 9 too, and the precision of nengo_dl."""

from __future__ import annotations

import os
from functools import wraps
from typing import Any

import pkg_resources  # noqa: F401  (ours, before pytest puts the installed ones first)
import pytest
import pytest_nengo
from nengo import Network
from pytest_nengo import *  # noqa: F403  (its hooks, and the fixture Simulator)

import nengo_dl

if int(pytest.__version__.split(".")[0]) >= 9:
    # Nengo 4.1 declares an argument of this hook that pytest 9 has taken away

    def pytest_report_collectionfinish(config, items):
        """What Nengo's plugin reports."""
        return pytest_nengo.pytest_report_collectionfinish(config, None, items)


def pytest_sessionstart(session):
    """Let each network that is simulated have the precision that was asked for."""
    dtype = os.environ.get("NENGO_DL_CONFORMANCE_DTYPE", "float32")
    if dtype != "float32":
        _set_dtype(nengo_dl.Simulator, dtype)


def _set_dtype(simulator: Any, dtype: str) -> None:
    original = simulator.__init__

    @wraps(original)
    def with_dtype(self, network, *args, **kwargs):
        if isinstance(network, Network):
            with network:
                nengo_dl.configure_settings(dtype=dtype)
        original(self, network, *args, **kwargs)

    simulator.__init__ = with_dtype
