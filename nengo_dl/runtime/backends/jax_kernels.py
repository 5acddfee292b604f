"""A program of a kernel, which computes some elements through all steps (Pallas, Triton): where it
finds them in memory, and how it goes through the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from nengo_dl import tuning

#: whether kernels are interpreted, as tests do where there is no GPU
interpreted = False


def run_kernel(
    name: str,
    body: Callable,
    whole: tuple[int, int],
    n_steps: int,
    given: Mapping[str, Sequence],
    results: Mapping[str, Sequence[tuple[int, ...]]],
) -> dict[str, list]:
    """Run ``body(read, write, at)`` for all elements, and return the results by their names.

    Parameters
    ----------
    whole
        (batch, width). A program has some elements of one item.
    given
        Arrays, in groups with names. Those of "fixed" broadcast to ``whole``, all others have its
        elements, of one step or of all of them.
    results
        Shapes of the results, in groups with names.
    """
    fixed = [(jnp.shape(value), value.dtype) for value in given["fixed"]]
    given = {**given, "fixed": [_as_number(value) for value in given["fixed"]]}
    sizes = [(name, len(arrays)) for name, arrays in given.items()]
    result_sizes = [(name, len(shapes)) for name, shapes in results.items()]
    shapes = [shape for group in results.values() for shape in group]
    batch, width = whole
    block = min(tuning.KERNEL_ELEMENTS, pl.next_power_of_2(width))  # Triton wants such a power

    def kernel(*references):
        at = Places(whole, n_steps, block)
        n_given = len(arguments)
        read = Reader(_grouped(references[:n_given], sizes), fixed, at)
        body(read, Writer(_grouped(references[n_given:], result_sizes), at), at)

    arguments = [jnp.reshape(value, (-1,)) for arrays in given.values() for value in arrays]
    options: dict[str, Any] = {"interpret": True}
    if not interpreted:
        options = {"compiler_params": triton.CompilerParams(num_warps=tuning.KERNEL_WARPS)}
    made = pl.pallas_call(
        kernel,
        grid=(batch, pl.cdiv(width, block)),
        out_shape=[jax.ShapeDtypeStruct((prod(shape),), np.float32) for shape in shapes],
        name=f"nengo_dl_{name}",
        **options,
    )(*arguments)
    return _grouped(map(jnp.reshape, made, shapes), result_sizes)


def _as_number(value: Any) -> Any:
    """Kernels are not given truth values."""
    return jnp.asarray(value, jnp.int32) if value.dtype == bool else value


def _grouped(values: Iterable, sizes: Sequence[tuple[str, int]]) -> dict[str, list]:
    values = iter(values)
    return {name: [next(values) for _ in range(n)] for name, n in sizes}


class Places:
    """Where the elements of a program are in flat arrays: some columns of one item."""

    def __init__(self, whole: tuple[int, int], n_steps: int, block: int):
        self.whole, self.n_steps, self.shape = whole, n_steps, (block,)
        self._item, self._column = pl.program_id(0), pl.program_id(1) * block
        self.inside = self._column + jnp.arange(block, dtype=jnp.int32) < whole[1]
        self.element = self._block(self._item * whole[1])

    def by_item(self, t):
        """In an array (batch, n_steps, width)."""
        return self._block((self._item * self.n_steps + t) * self.whole[1])

    def by_step(self, t):
        """In an array (n_steps, batch, width)."""
        return self._block((t * self.whole[0] + self._item) * self.whole[1])

    def of(self, shape: tuple[int, ...]):
        """In an array that broadcasts to the whole; a single number is the same for the block."""
        if prod(shape) == 1:
            return np.int32(0)
        if shape[1] == 1:
            return self._item
        return self._block(0) if shape[0] == 1 else self.element

    def _block(self, row):
        return pl.ds(row + self._column, self.shape[0])


class Reader:
    """Reads elements of arrays, by the names of their groups."""

    def __init__(self, groups: dict[str, list], fixed: Sequence[tuple], at: Places):
        self._groups, self._fixed, self._at = groups, fixed, at

    def __call__(self, name: str, place: Any) -> list:
        return [self._load(reference, place) for reference in self._groups[name]]

    def fixed(self) -> list:
        """What is the same in each step, a number for each element."""
        found = []
        for reference, (shape, dtype) in zip(self._groups["fixed"], self._fixed, strict=True):
            value = self._load(reference, self._at.of(shape))
            found.append(value != 0 if dtype == np.bool_ else value)
        return found

    def _load(self, reference, place):
        if not isinstance(place, pl.Slice):
            return jnp.full(self._at.shape, triton.load(reference.at[place]))
        zero = np.zeros((), reference.dtype)
        return triton.load(reference.at[place], mask=self._at.inside, other=zero)


class Writer:
    """Writes elements of results, by the names of their groups."""

    def __init__(self, groups: dict[str, list], at: Places):
        self._groups, self._at = groups, at

    def __call__(self, name: str, values: Sequence, place) -> None:
        for reference, value in zip(self._groups[name], values, strict=True):
            triton.store(reference.at[place], value, mask=self._at.inside)


def for_steps(steps: range, now: Callable, one: Callable, carry):
    """``carry = one(t, now(t), carry)`` for all steps. What several steps read is asked for before
    the first of them is computed: it takes longer to come than a step takes.
    """
    ahead = min(tuning.KERNEL_STEPS, len(steps))

    def several(t, n, carry):
        times = [jnp.int32(t + k * steps.step) for k in range(n)]
        for t, values in zip(times, [now(t) for t in times], strict=True):
            carry = one(t, values, carry)
        return carry

    turns, rest = divmod(len(steps), ahead)
    carry = jax.lax.fori_loop(
        0, turns, lambda k, c: several(steps.start + k * ahead * steps.step, ahead, c), carry
    )
    return several(steps.start + turns * ahead * steps.step, rest, carry) if rest else carry
