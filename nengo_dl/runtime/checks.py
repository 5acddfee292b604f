"""Checks of what a simulator is made with: one clear sentence for what makes no sense."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import warnings
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nengo import Network
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.exceptions import ValidationError

from nengo_dl import tuning
from nengo_dl.compat.arguments import shows_progress


def check_network(network: Any, model: Model | None) -> None:
    """There has to be a network, or a model that holds a built one."""
    if network is None and model is None:
        raise ValidationError(
            "there is nothing to simulate: neither a network nor a built model was given",
            attr="network",
        )
    if model is not None and not isinstance(model, Model):
        raise ValidationError(
            f"expected a nengo.builder.Model, got {model!r} of type {type(model).__name__}",
            attr="model",
        )
    if network is not None and not isinstance(network, Network):
        raise ValidationError(
            f"expected a nengo.Network, got {network!r} of type {type(network).__name__}",
            attr="network",
        )


def check_dt(dt: Any, model: Model | None, default: float = 0.001) -> None:
    """A time step is positive; a model that is given has its own."""
    if not 0 < number(dt) < math.inf:
        raise ValidationError(
            f"the time step must be a positive number of seconds, got {dt!r}", attr="dt"
        )
    if model is not None and dt not in (default, model.dt):
        raise ValidationError(
            f"dt is {dt:g} but the given model was built with dt={model.dt:g}; "
            f"pass dt={model.dt:g} or build the model again",
            attr="dt",
        )


def number(value: Any) -> float:
    """A real number as a float; NaN for all else, truth values and text among it."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or getattr(value, "shape", ()) != ():
        return math.nan
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return float(value)
    return math.nan


def integer(value: Any) -> int | None:
    """An integer as Python's, those of NumPy having a width beyond which they begin anew; None for
    all else, truth values among it.
    """
    if type(value) is int:
        return value
    with contextlib.suppress(TypeError):
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    return None


#: seeds of NumPy's generators are smaller
N_SEEDS = 2**32


def checked_seed(seed: Any) -> int | None:
    """A seed as a Python integer, one that NumPy's generators take, or None."""
    if seed is None:
        return None
    found = integer(seed)
    if found is None or not 0 <= found < N_SEEDS:
        raise ValidationError(
            f"expected an integer from 0 to {N_SEEDS - 1}, or None; got {seed!r}", attr="seed"
        )
    return found


#: nothing that is counted here is as many
MOST = 2**62


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """``value`` of the argument ``name``, which counts something, as a Python integer."""
    count = integer(value)
    if count is None or count < least:
        raise ValidationError(f"expected an integer of at least {least}, got {value!r}", attr=name)
    if count > MOST:
        raise ValidationError(f"expected an integer of at most {MOST}, got {value!r}", attr=name)
    return count


def checked_item(name: str, value: Any, n_items: int) -> int:
    """``value`` of the argument ``name``, which chooses one of ``n_items`` items, counted from the
    first or the last, as a Python integer.
    """
    item = integer(value)
    if item is None or not -n_items <= item < n_items:
        raise ValidationError(
            f"there is no item {value!r} in a batch of {n_items}; expected an integer from "
            f"{-n_items} to {n_items - 1}",
            attr=name,
        )
    return item


def checked_flag(name: str, value: Any) -> bool:
    """``value`` of the argument ``name``, True or False; text, whatever it says, is neither."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_) or integer(value) in (0, 1):
        return bool(value)
    raise ValidationError(f"expected True or False, got {value!r}", attr=name)


def checked_progress_bar(value: Any) -> Any:
    """What shows progress: True, False or None, or an object with the methods of Nengo's."""
    if value is None or shows_progress(value):
        return value
    with contextlib.suppress(ValidationError):
        return checked_flag("progress_bar", value)
    raise ValidationError(
        f"expected True, False or a nengo.utils.progress.ProgressBar, got {value!r}",
        attr="progress_bar",
    )


def listed_values(name: str, values: Any) -> list:
    """What is in a list, tuple or another iterable that the argument ``name`` was given; a single
    Nengo object, or its name, is a list of one.
    """
    if isinstance(values, (str, NengoObject)):
        return [values]
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise ValidationError(f"expected a list of objects, got {values!r}", attr=name)
    return list(values)


def looked_up(key: Any, values: Mapping) -> Any:
    """``values[key]``, or None where it has no such key, as for what cannot be one."""
    return values.get(key) if isinstance(key, Hashable) else None


def checked_path(name: str, value: Any) -> Path:
    """``value`` of the argument ``name``, which names a file or a folder."""
    if not isinstance(value, (str, os.PathLike)) or not Path(value).name:
        raise ValidationError(f"expected the path of a file, got {value!r}", attr=name)
    return Path(value)


def checked_number(name: str, value: Any, low: float = -math.inf) -> float:
    """``value`` of the argument ``name``, a finite number of at least ``low``, as a float."""
    found = number(value)
    if not low <= found < math.inf or math.isinf(found):
        least = "" if math.isinf(low) else f" of at least {low:g}"
        raise ValidationError(f"expected a number{least}, got {value!r}", attr=name)
    return found


def checked_time(name: str, value: Any) -> float:
    """``value`` of the argument ``name``, a time in seconds from 0 on."""
    time = number(value)
    if not 0 <= time < math.inf:
        what = "Must be positive" if time < 0 else "expected a number of seconds"
        raise ValidationError(f"{what} (got {value!r})", attr=name)
    return time


def checked_duration(name: str, value: Any) -> float:
    """``value`` of the argument ``name``, a time in seconds that is not 0."""
    if checked_time(name, value) == 0:
        raise ValidationError(f"expected a number of seconds > 0, got {value!r}", attr=name)
    return float(value)


def warn_of_batch_size(given: Any, minibatch_size: int, name: str, stacklevel: int) -> None:
    """Say that a size of batches is of no effect."""
    if given is not None and checked_count(name, given) != minibatch_size:
        warnings.warn(
            f"{name}={given} is ignored: the simulator's minibatch_size is {minibatch_size}",
            stacklevel=stacklevel,
        )


def check_counts(kwargs: dict, *names: str) -> None:
    """Make numbers of batches Python integers, where they are given."""
    for name in names:
        if kwargs.get(name) is not None:
            kwargs[name] = checked_count(name, kwargs[name])


def unrolled(asked: int) -> int:
    """How many steps the body of a loop holds where ``asked`` were asked for."""
    most = tuning.UNROLLED_STEPS
    if asked <= most:
        return asked
    warnings.warn(
        f"unroll_simulation={asked}: the body of the loop has {most} steps, because more take "
        "longer to compile and run no faster; results are the same. Give a smaller number, or "
        "leave it out",
        stacklevel=3,
    )
    return most


def device_name(device: Any, backend) -> str:
    """One of the names of the backend's devices for a device given as "/gpu:0", "GPU:0",
    "/device:GPU:0" or "/gpu".
    """
    known = backend.devices()
    name = "/" + str(device).lower().split("/")[-1].removeprefix("device:")
    name = name if ":" in name else f"{name}:0"
    if name not in known:
        names = ", ".join(repr(name) for name in known)
        raise ValidationError(
            f"{backend.name} has no device {device!r}; those it has are {names}", attr="device"
        )
    return name
