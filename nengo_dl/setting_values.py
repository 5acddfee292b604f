"""What the values of settings may be: functions that give the form in which a value is stored.

They raise a ValueError for what they do not accept, or a ConfigError that says more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import ConfigError
from nengo.utils.numpy import is_integer, is_number

from nengo_dl.quantization import Quantizer

#: what the setting ``dtype`` may be
DTYPES = ("float32", "float64", "mixed_bfloat16", "mixed_float16")


def quoted(values: Iterable[str]) -> str:
    """Values as a message lists them."""
    return ", ".join(map(repr, values))


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError
    return bool(value)


def function(value: Any) -> Callable:
    """Something callable."""
    if not callable(value):
        raise ValueError
    return value


def functions(value: Any) -> list[Callable]:
    """A list of what is callable."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError
    return [function(item) for item in value]


def smoothing(value: Any) -> float | None:
    """A number of at least 0, which is the same as None."""
    if not is_number(value) or not 0 <= value < np.inf:
        raise ValueError
    return float(value) if value > 0 else None


def dtype(value: Any) -> str:
    """The name of a floating point type, or of a policy of Keras for mixed precision."""
    # np.float32, np.dtype("float32"), tf.float32 and keras.DTypePolicy("float32") know their names
    name = getattr(value, "name", None) or getattr(value, "__name__", value)
    if name in ("float16", "bfloat16", "half"):
        raise ConfigError(
            f"the setting 'dtype' was given {name!r}; expected one of {quoted(DTYPES)}: in "
            "half precision what a step of 1 ms adds to a voltage or a filter is lost to rounding. "
            "With 'mixed_bfloat16' and 'mixed_float16' only products of matrices are rounded to it"
        )
    if not isinstance(name, str) or name not in DTYPES:
        raise ValueError
    return name


def positive_integer(value: Any) -> int:
    """A positive integer."""
    if isinstance(value, (bool, np.bool_)) or not is_integer(value) or value < 1:
        raise ValueError
    return int(value)


def segments(value: Any) -> bool | int | str:
    """True, False, a positive integer or "auto"."""
    if isinstance(value, str) and value == "auto":
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return positive_integer(value)


def names(value: Any) -> tuple[str, ...]:
    """Names of attributes."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise ValueError
    unique = tuple(dict.fromkeys(given))
    if not all(isinstance(name, str) and name.isidentifier() for name in unique):
        raise ValueError
    return unique


def quantizer(value: Any) -> Callable:
    """A number of bits, or what rounds."""
    return Quantizer(value) if is_integer(value) else function(value)


def build(value: Any) -> str:
    """How a network is built."""
    if value not in ("nengo", "fast"):
        raise ValueError
    return value


def anything(value: Any) -> Any:
    """Whatever it is."""
    return value
