"""Where the tensors of a network live, and in which precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nengo_dl.runtime.backends.protocol import Backend, SimulatingDevices


@dataclass(frozen=True)
class Placement:
    """A floating point type on a device of a backend; None: the device that the backend chooses.
    Or on several devices, over which Keras spreads models.
    """

    backend: Backend
    dtype: str
    device: str | None
    devices: SimulatingDevices | None = None

    @cached_property
    def scope(self) -> Callable[[], AbstractContextManager]:
        """Makes a context in which tensors of the type live on the device."""
        is_default = self.dtype != "float64" and self.device is None
        return nullcontext if is_default else self._chosen

    @contextmanager
    def _chosen(self) -> Iterator[None]:
        with self.backend.precision(self.dtype), self.backend.placement(self.device):
            yield

    def tensor(self, value: np.ndarray) -> Any:
        """A tensor of the type of an array, in whatever context."""
        with self.scope():
            tensor = self.backend.tensor(value, value.dtype.name)
            return tensor if self.devices is None else self.devices.everywhere(tensor)

    def on_cpu(self) -> bool:
        """Whether the device is a CPU."""
        if self.device is not None:
            return "cpu" in self.device.lower()
        return all("cpu" in name for name in self.backend.devices())
