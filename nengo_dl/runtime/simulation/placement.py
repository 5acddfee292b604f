"""Where the tensors of a network live, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_dl.runtime.backends.protocol import Backend


@dataclass(frozen=True)
class Placement:
    """A floating point type on a device of a backend; None: the device that the backend chooses."""

    backend: Backend
    dtype: str
    device: str | None

    def scope(self) -> AbstractContextManager:
        """Context in which tensors of the type live on the device."""
        if self.dtype != "float64" and self.device is None:
            return nullcontext()
        return self._scope()

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with self.backend.precision(self.dtype), self.backend.placement(self.device):
            yield

    def tensor(self, value: np.ndarray) -> Any:
        """A tensor of the type of an array, in whatever context."""
        with self.scope():
            return self.backend.tensor(value, value.dtype.name)

    def on_cpu(self) -> bool:
        """Whether the device is a CPU."""
        if self.device is not None:
            return "cpu" in self.device.lower()
        return all("cpu" in name for name in self.backend.devices())
