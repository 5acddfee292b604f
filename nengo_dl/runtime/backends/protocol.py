"""What a backend is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from nengo_dl.runtime.step.chunk import Chunk


class Devices(Protocol):
    """Several devices, among which the items of a minibatch are shared out."""

    #: parts into which a minibatch is cut
    n_shares: int
    #: whether this process writes files, of those that compute together
    is_first_process: bool

    def simulating(self) -> SimulatingDevices | None:
        """The same devices, where simulations run on them as well as training."""

    def making(self) -> AbstractContextManager:
        """Context in which variables are made."""

    def wait(self) -> None:
        """Wait until all processes that compute together are here."""

    def check_training(self, model: Any) -> None:
        """Raise a SimulationError where a Keras model cannot be trained as it was compiled."""

    def check_items(self, n_items: int) -> None:
        """Raise a ValidationError where a minibatch of so many items cannot be trained with."""

    def own_items(self, value: Any, n_items: int) -> Any:
        """The items of this call of a network, ``n_items``, of a tensor of the whole minibatch."""


class SimulatingDevices(Devices, Protocol):
    """Devices of which the process places tensors on each."""

    #: whether a call of the network for all items is cut here, by `by_shares`
    cuts_calls: bool

    def everywhere(self, value: Any) -> Any:
        """A tensor that is on all devices."""

    def by_shares(self, function: Callable, shared: Any, items: Any) -> Any:
        """``function(shared, items)``, computed for each share of the items on a device of its own:
        everything in ``items``, and that is returned, begins with the items.
        """

    def chunk_function(self, run: Callable, chunk: Chunk, minibatch_size: int) -> Callable:
        """As ``run``, the function of a chunk, of all items; where it is for fewer of them, each
        share is computed on a device of its own.
        """


class Backend(Protocol):
    """A module for each backend, with the same functions."""

    name: str
    #: whether what the backend compiles with XLA may call Python
    compiles_host_calls: bool
    #: whether functions made by `compiled_for` read Keras variables themselves
    reads_variables: bool

    # -- tensors -----------------------------------------------------------------------------------

    def precision(self, dtype: str) -> AbstractContextManager:
        """Context in which tensors of this dtype can be made and compiled."""

    def placement(self, device: str | None) -> AbstractContextManager:
        """Context that puts new tensors on a device, given as in "/cpu:0"; None leaves the choice
        to the backend.
        """

    def devices(self) -> list[str]:
        """Names of the devices, as in "/cpu:0"."""

    def free_memory(self) -> int | None:
        """Bytes that the device has left on which is computed what is traced now; None where it
        does not tell.
        """

    def tensor(self, values: np.ndarray, dtype: str) -> Any:
        """A tensor on the device."""

    def array(self, value: Any) -> np.ndarray:
        """A tensor's values on the host."""

    def shared(self, size: int, dtype: str) -> tuple[np.ndarray, Any]:
        """A vector, and an argument of compiled functions whose values are those of the vector
        when such a function is called; to be filled again when the results of the call are there.
        """

    def split(self, vector: Any, sizes: Sequence[int]) -> list:
        """Parts of a vector, in a function that is compiled."""

    def output_shapes(self, function: Callable, shapes: Any, dtype: str) -> Any:
        """Shapes of what ``function`` returns for tensors of these shapes, without computing it."""

    # -- compiled functions ------------------------------------------------------------------------

    def chunk_function(self, chunk: Chunk, jit: bool | None) -> Callable:
        """A function ``(arguments, fixed, state, rows, first_step, n_steps) -> (state, outputs)``.
        The last three are arrays that do not change any more.

        ``jit``: True compiles with XLA, False does not, None chooses.
        """

    def run_steps(
        self, chunk: Chunk, invariant: Any, state: Any, rows: Any, first_step: Any, n_steps: Any
    ) -> tuple[Any, Any]:
        """The loop over the steps, in a function that is compiled: state and outputs."""

    def compiled_for(
        self,
        function: Callable,
        tensors: Any,
        jit: bool | None,
        key: Any = None,
        quickly: bool = False,
    ) -> Callable:
        """A function of a list of tensors that returns such a list, compiled for tensors like
        these; with a key, shared by all functions of this key. ``quickly`` where it is a few
        operations of few numbers.
        """

    def may_compile(self, owner: Any = None) -> bool:
        """Whether XLA may compile one more function, which is gone when ``owner`` is: see
        `nengo_dl.runtime.backends.memory_maps`.
        """

    def can_be_short(self, jit: bool | None) -> bool:
        """Whether short runs can have functions of their own: those are compiled as for any other
        simulator.
        """

    def trace(self, function: Callable, tensors: Any) -> None:
        """Call ``function`` with tensors that have no values."""

    def versions(self, variables: Sequence[Any]) -> list:
        """For each Keras variable another object whenever it has another value, where functions do
        not read variables.
        """

    def reference(self, variable: Any) -> Any:
        """What a compiled function reads the value of a Keras variable from."""

    def read(self, reference: Any, variable: Any) -> Any:
        """The value of a Keras variable, in a function that is given its `reference`."""

    def host_call(self, function: Callable, tensors: Any, shapes: Sequence) -> Any:
        """Call numpy code from inside a compiled function, in program order."""

    # -- several devices ---------------------------------------------------------------------------

    def in_force(self) -> Devices | None:
        """The devices over which Keras, or TensorFlow, spreads what is built now."""

    def none_in_force(self) -> AbstractContextManager:
        """Context in which Keras spreads nothing over devices."""

    # -- training ----------------------------------------------------------------------------------

    def scan(self, step, state, rows, n_steps: int, kept, shapes, dtype: str) -> tuple[Any, list]:
        """Run ``step(state, rows_now, i) -> (state, outputs)``, differentiable in reverse.

        ``rows`` are (n_steps, batch, size); ``shapes`` are those of the outputs of a step. Returns
        the last state and outputs of shape (batch, n_steps or 1, size).
        """

    def recomputing_scan(
        self, step, invariant, state, rows, n_steps: int, kept, shapes, dtype: str
    ) -> tuple[Any, list]:
        """As `scan` of ``step(invariant, state, rows_now, i)``, but of a step nothing is kept for
        the gradient but the state before it, from which the step is computed again.
        """

    def fused_scan(self) -> Callable | None:
        """A loop with the arguments of `recomputing_scan` that is one kernel where each element of
        a step is computed by itself, and as that else; None where there are no such kernels.
        """

    def checkpoint(self, function: Callable) -> Callable:
        """``function(invariant, state, rows, first)`` whose inner values are computed again for
        the gradient.
        """

    def gradients(self, function: Callable, tensors: Any) -> list:
        """Gradients of a scalar function of a list of tensors; None where there is none."""

    def stacks_batches(self, model: Any) -> bool:
        """Whether batches that Keras gives run in blocks, too."""

    def block_function(self, model: Any, batch_step: Callable, next_blocks: Callable) -> Callable:
        """Keras's ``train_function`` or ``test_function`` for the blocks of batches that
        ``next_blocks(iterator)`` gives.
        """

    def variable_values(self, model: Any) -> Any:
        """The values of a Keras model's variables, where a function that fails takes them along."""

    def restore_variables(self, model: Any, values: Any) -> None:
        """Give the variables those of `variable_values` if one was lost."""

    def finish_batch(self, model: Any) -> None:
        """Let the variables of a Keras model in training have the values after the last batch."""

    def loses_seed_in_xla(self, function: Callable, shapes: Any, dtype: str) -> bool:
        """Whether what ``function`` draws for tensors of these shapes has no seed once XLA
        compiles it.
        """

    def convolves_faster_in_graph(self) -> bool:
        """Whether convolutions are trained faster without XLA."""

    # -- sums and products -------------------------------------------------------------------------

    def adds_slices(self, rows: int, width: int, batch: int) -> bool:
        """Whether a sum of rows, (batch, rows * width) -> (batch, width), is faster as a chain of
        additions than as a reduction.
        """

    def product_form(self, n: int, rows: int, columns: int, batch: int) -> str:
        """The fastest of `nengo_dl.lowering.products.FORMS` for n matrices (rows, columns), from
        measurements with XLA on the CPU.
        """

    def matmul(self, x: Any, a: Any, half: str | None = None) -> Any:
        """The product of two matrices, or of several, in the order in which the backend is fastest.

        ``half`` is a type in half precision to which both are rounded, and so is what their
        gradients are computed from; sums are in single precision.
        """

    def half_convolution(self, function: Callable, half: str) -> Callable:
        """``function(weights, x)``, a convolution, with operands in half precision as in `matmul`;
        the function itself where the backend has no convolution with sums in single precision.
        """
