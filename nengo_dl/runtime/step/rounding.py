"""Stored values that are rounded before a step uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras import ops
from nengo.builder.signal import Signal

from nengo_dl.compiler.layout import Stored
from nengo_dl.runtime.step.lowered_network import tensor_name


class RoundedValues:
    """Which columns of which stored tensors are rounded, and how.

    Parameters
    ----------
    stored
        All stored tensors.
    quantizers
        For some base signals a function of their values.
    """

    def __init__(self, stored: Iterable[Stored], quantizers: Mapping[Signal, Callable]):
        self._parts: dict[str, list[tuple[slice, Callable | None]]] = {}
        for item in stored:
            if any(sig in quantizers for sig in item.signals):
                parts = [(span, quantizers.get(sig)) for sig, span in item.spans()]
                self._parts[tensor_name(item)] = parts

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def round(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors, of shape (1, width) each, with rounded columns."""
        result = dict(tensors)
        for name, parts in self._parts.items():
            if name in result:
                columns = [
                    result[name][:, span] if quantizer is None else quantizer(result[name][:, span])
                    for span, quantizer in parts
                ]
                result[name] = columns[0] if len(columns) == 1 else ops.concatenate(columns, axis=1)
        return result
