"""The settings that there are: what each accepts, and which classes of objects have it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Network, Probe
from nengo.ensemble import Neurons
from nengo.exceptions import ConfigError
from nengo.utils.numpy import is_integer, is_number

from nengo_dl.quantization import Quantizer


def _flag(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError
    return bool(value)


def _function(value: Any) -> Callable:
    if not callable(value):
        raise ValueError
    return value


def _functions(value: Any) -> list[Callable]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError
    return [_function(item) for item in value]


def _smoothing(value: Any) -> float | None:
    if not is_number(value) or not 0 <= value < np.inf:
        raise ValueError
    return float(value) if value > 0 else None


def _dtype(value: Any) -> str:
    # np.float32, np.dtype("float32") and tf.float32 know their names
    name = getattr(value, "name", None) or getattr(value, "__name__", value)
    if name in ("float16", "bfloat16", "half"):
        raise ConfigError(
            f"the setting 'dtype' was given {name!r}; expected 'float32' or 'float64': in half "
            "precision what a step of 1 ms adds to a voltage or a filter is lost to rounding. "
            "Single Keras layers compute in it with their own dtype='mixed_float16'"
        )
    if not isinstance(name, str) or name not in ("float32", "float64"):
        raise ValueError
    return name


def _segments(value: Any) -> bool | int:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if not is_integer(value) or value < 1:
        raise ValueError
    return int(value)


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise ValueError
    names = tuple(dict.fromkeys(names))
    if not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise ValueError
    return names


def _quantizer(value: Any) -> Callable:
    return Quantizer(value) if is_integer(value) else _function(value)


def _build(value: Any) -> str:
    if value not in ("nengo", "fast"):
        raise ValueError
    return value


def _anything(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Definition:
    """What a setting accepts, and which classes of objects have it."""

    convert: Callable[[Any], Any]
    expected: str
    optional: bool = True
    classes: tuple[type, ...] = (Network,)


SETTINGS: dict[str, Definition] = {
    "trainable": Definition(
        _flag, "one of None, True, False", classes=(Ensemble, Neurons, Connection)
    ),
    "trainable_attributes": Definition(
        _names,
        "the name of an attribute, a list of names or None",
        classes=(Ensemble, Connection, Probe),
    ),
    "planner": Definition(_function, "a function or None"),
    "sorter": Definition(_function, "a function or None"),
    "simplifications": Definition(_functions, "a list of functions or None"),
    "build": Definition(_build, "one of None, 'fast', 'nengo'"),
    "inference_only": Definition(_flag, "one of True, False", optional=False),
    "lif_smoothing": Definition(_smoothing, "0, a positive number or None"),
    "dtype": Definition(_dtype, "one of 'float32', 'float64'", optional=False),
    "keep_history": Definition(_flag, "one of True, False", optional=False, classes=(Probe,)),
    "stateful": Definition(_flag, "one of True, False", optional=False),
    "use_loop": Definition(_flag, "one of None, True, False"),
    "learning_phase": Definition(_flag, "one of None, True, False"),
    "jit_compile": Definition(_flag, "one of None, True, False"),
    "quantizer": Definition(
        _quantizer,
        "a number of bits from 2 to 16, a nengo_dl.quantization.Quantizer, a function or None",
        classes=(Connection,),
    ),
    "surrogate": Definition(_anything, "anything"),
    "regularizer": Definition(_function, "a function or None", classes=(Connection,)),
    "persistent": Definition(_flag, "one of True, False", optional=False, classes=(Connection,)),
    "checkpoint_segments": Definition(_segments, "True, False, a positive integer or None"),
}


def convert(name: str, value: Any) -> Any:
    """The form in which a value is stored."""
    definition = SETTINGS[name]
    if value is None and definition.optional:
        return None
    try:
        return definition.convert(value)
    except ConfigError:  # it says more
        raise
    except ValueError:
        raise ConfigError(
            f"the setting {name!r} was given {value!r}; expected {definition.expected}"
        ) from None


def check_name(name: str) -> None:
    """Raise a ConfigError for a setting that does not exist."""
    if not isinstance(name, str) or name not in SETTINGS:
        close = difflib.get_close_matches(str(name), SETTINGS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(
            f"{name!r} is not a setting of nengo_dl; "
            f"the settings are {', '.join(sorted(SETTINGS))}{hint}"
        )
