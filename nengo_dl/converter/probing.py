"""Simulation of a converted network, with probes that it has only for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import nengo
import numpy as np

from nengo_dl.config import get_setting, set_setting
from nengo_dl.converter.parts import Conversion

#: largest minibatch
LARGEST = 100


@contextmanager
def setting(net: nengo.Network, name: str, value: Any) -> Iterator[None]:
    """Context in which a network has another setting."""
    before = get_setting(net, name)
    set_setting(net, name, value)
    try:
        yield
    finally:
        set_setting(net, name, before)


def uncompiled(net: nengo.Network) -> AbstractContextManager[None]:
    """Simulators of ``net`` that do not compile with XLA, which takes longer than a few steps do
    without.
    """
    return setting(net, "jit_compile", False)


@contextmanager
def probes(net: nengo.Network, objects: Sequence[Any]) -> Iterator[list[nengo.Probe]]:
    """Probes of ``objects`` in ``net``, which are taken away again."""
    n_before = len(net.probes)
    try:
        with net:
            yield [nengo.Probe(obj, label=f"probe of {i}") for i, obj in enumerate(objects)]
    finally:
        del net.probes[n_before:]


def input_data(converter: Conversion, arrays: Sequence[np.ndarray], n_steps: int = 1) -> dict:
    """What a simulator of the network takes for arrays of the model's inputs.

    In a model without time each item is given for ``n_steps``.
    """
    data = {}
    for value, array in zip(converter.graph.inputs, arrays, strict=True):
        array = np.asarray(array, dtype=np.float64)
        if value.temporal:
            rows = array.reshape(len(array), array.shape[1], -1)
        else:
            rows = np.repeat(array.reshape(len(array), 1, -1), n_steps, axis=1)
        data[converter.objects[value]] = rows
    return data


def minibatch_size(n_items: int, most: int = LARGEST) -> int:
    """The largest size, up to ``most`` and `LARGEST`, that divides a batch."""
    return max(n for n in range(1, min(n_items, most, LARGEST) + 1) if n_items % n == 0)
