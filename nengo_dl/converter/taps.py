"""Which inputs the positions of a convolution's kernel meet, along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nengo_dl.converter.linear import window_starts


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution."""

    size_in: int
    size_out: int
    kernel: int
    stride: int
    dilation: int
    padding: str

    def forward(self) -> np.ndarray:
        """Index of the input for each output and kernel position, -1 for padding; of shape
        (size_out, kernel).
        """
        extent = (self.kernel - 1) * self.dilation + 1
        if self.padding == "causal":
            starts = np.arange(self.size_out) * self.stride - (extent - 1)
        else:
            starts, _ = window_starts(self.size_in, extent, self.stride, self.padding)
        return self._inside(starts[:, None] + np.arange(self.kernel) * self.dilation)

    def transposed(self, output_padding: int | None) -> np.ndarray:
        """The same for a transposed convolution, with the padding of Keras."""
        extent = (self.kernel - 1) * self.dilation + 1
        if self.padding == "valid":
            cut = 0
        else:  # as keras.src.backend.common.backend_utils has it
            if output_padding is None:
                total = self.stride + extent - 2
            else:
                total = extent + extent % 2 - 2 + output_padding
            cut = extent - 1 - min(total - total // 2, extent - 1)
        positions = np.arange(self.size_out)[:, None] + cut
        positions = positions - np.arange(self.kernel) * self.dilation
        whole = positions % self.stride == 0
        return np.where(whole, self._inside(positions // self.stride), -1)

    def _inside(self, positions: np.ndarray) -> np.ndarray:
        return np.where((positions >= 0) & (positions < self.size_in), positions, -1)


def patches(axes: list[np.ndarray], sizes: tuple[int, ...]) -> np.ndarray:
    """The tables of several axes as one, of flat positions: (outputs, kernel positions)."""
    rank = len(axes)
    shape = [1] * (2 * rank)
    flat, valid = np.zeros((), dtype=int), np.ones((), dtype=bool)
    for i, (table, size) in enumerate(zip(axes, sizes, strict=True)):
        shape[i], shape[rank + i] = table.shape
        table = table.reshape(shape)
        flat, valid = flat * size + table, valid & (table >= 0)
        shape[i] = shape[rank + i] = 1
    flat = np.where(valid, flat, -1)
    n_out = int(np.prod(flat.shape[:rank]))
    return flat.reshape(n_out, -1)
