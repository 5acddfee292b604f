"""Runs a lowered network on a batch of sequences, differentiable in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from nengo_dl import tuning
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.sequences.stages import StagedNetwork
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.step.scan import (
    InitialState,
    Wanted,
    fitting_segments,
    n_segments,
    segmented_scan,
    unrolled_scan,
)


class SequenceRunner:
    """Runs sequences of a fixed number of steps, in the loop that was asked for.

    Parameters
    ----------
    lowered
        The network.
    backend
        Module of `nengo_dl.runtime.backends`.
    use_loop, checkpoint_segments, sequence_kernels
        See `nengo_dl.configure_settings`.
    """

    def __init__(
        self,
        lowered: LoweredNetwork,
        backend: Any,
        use_loop: bool = True,
        checkpoint_segments: Any = None,
        sequence_kernels: bool | None = None,
    ):
        self.lowered, self.backend = lowered, backend
        self.use_loop, self.checkpoint_segments = use_loop, checkpoint_segments
        self.sequence_kernels = bool(sequence_kernels)
        self.minibatch_size = lowered.settings.minibatch_size

    def run(
        self,
        arguments: Mapping[str, Any],
        inputs: Mapping[Input, Any],
        start: InitialState,
        n_steps: int,
        wanted: Wanted,
        training: bool,
    ) -> tuple[list, list]:
        """The last state, and outputs of shape (minibatch_size, n_steps or 1, width).

        Parameters
        ----------
        arguments
            Of the step functions, by name.
        inputs
            Values of the inputs that change from step to step, (minibatch_size, n_steps, size).
        """
        lowered, changing = self.lowered, tuple(inputs)
        rows = [self._rows(values, item) for item, values in inputs.items()]
        fixed = self._fixed_inputs(changing)
        invariant = lowered.invariant(lowered.schedule(changing), arguments, fixed, training)
        automatic = self.checkpoint_segments == "auto"
        segments = 1 if automatic else n_segments(self.checkpoint_segments, n_steps)
        staged = None
        if self.use_loop and n_steps > 1 and segments == 1:
            fused_scan = self.backend.fused_scan() if self.sequence_kernels else None
            staged = StagedNetwork(lowered, changing, training, fused_scan)
            segments = self._needed_segments(staged, n_steps) if automatic else 1
            if segments > 1:
                staged = None
        if staged is not None and staged.is_split:
            return staged.run(self.backend, invariant, start, rows, n_steps, wanted)
        _, step = lowered.functions(changing, training)

        def one_step(invariant, state, now, i):
            state, outputs = step(invariant, state, now, start.step + i)
            return state, [outputs[k] for k in wanted.outputs]

        widths = [lowered.layout.outputs[k].width for k in wanted.outputs]
        shapes = [(self.minibatch_size, width) for width in widths]
        rows = [ops.transpose(row, (1, 0, 2)) for row in rows]
        scan: Callable = partial(self._scan, segments)
        if staged is not None:
            scan = staged.scan(self.backend, staged.stages[0])
        dtype = lowered.settings.dtype
        return scan(one_step, invariant, start.state, rows, n_steps, wanted.kept, shapes, dtype)

    def _needed_segments(self, staged: StagedNetwork, n_steps: int) -> int:
        """Into how many segments a sequence is cut so that its gradient fits into memory."""
        free = self.backend.free_memory()
        if free is None or not staged.training:
            return 1
        free *= tuning.HISTORY_SHARE
        if n_steps * staged.step_bytes() <= free:
            return 1
        return fitting_segments(n_steps, staged.loop_bytes(), staged.state_bytes(), free)

    def _scan(self, segments, step, invariant, state, rows, n_steps, kept, shapes, dtype):
        """What takes the place of one loop: several segments, or none."""
        if segments > 1:
            return segmented_scan(
                self.backend,
                step,
                invariant,
                state,
                rows,
                n_steps,
                segments,
                kept,
                shapes,
                dtype,
            )
        return unrolled_scan(partial(step, invariant), state, rows, n_steps, kept, shapes, dtype)

    def _rows(self, x, item: Input):
        """An input as (batch, n_steps, size), in the network's precision."""
        x = ops.reshape(x, (self.minibatch_size, x.shape[1], item.size))
        return ops.cast(x, self.lowered.settings.dtype)

    def _fixed_inputs(self, changing: Sequence[Input]) -> list:
        """Values of the Nodes with an array as output."""
        return [
            ops.convert_to_tensor(
                np.ravel(item.signal.initial_value)[None], dtype=self.lowered.settings.dtype
            )
            for item in self.lowered.layout.inputs
            if item not in changing
        ]
