"""Checks of what a simulator is made with: one clear sentence for what makes no sense."""

from __future__ import annotations

import contextlib
import math
import operator
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from nengo import Network
from nengo.builder import Model
from nengo.exceptions import ValidationError

#: most steps in the body of the loop of a simulation: each is compiled, and on no device were more
#: seen to make a step faster
MOST_UNROLLED = 8


def check_network(network: Any, model: Model | None) -> None:
    """There has to be a network, or a model that holds a built one."""
    if network is None and model is None:
        raise ValidationError(
            "there is nothing to simulate: neither a network nor a built model was given",
            attr="network",
        )
    if network is not None and not isinstance(network, Network):
        raise ValidationError(
            f"expected a nengo.Network, got {network!r} of type {type(network).__name__}",
            attr="network",
        )


def check_dt(dt: Any, model: Model | None, default: float = 0.001) -> None:
    """A time step is positive; a model that is given has its own."""
    if not isinstance(dt, Real) or not 0 < float(dt) < np.inf:
        raise ValidationError(
            f"the time step has to be a positive number of seconds, got {dt!r}", attr="dt"
        )
    if model is not None and dt not in (default, model.dt):
        raise ValidationError(
            f"dt is {dt:g} but the given model was made with dt={model.dt:g}; "
            f"pass dt={model.dt:g} or make the model anew",
            attr="dt",
        )


#: seeds of NumPy's generators are smaller
N_SEEDS = 2**32


def checked_seed(seed: Any) -> int | None:
    """A seed as a Python integer, one that NumPy's generators take, or None."""
    if seed is None:
        return None
    if not isinstance(seed, Integral) or not 0 <= int(seed) < N_SEEDS:
        raise ValidationError(
            f"expected an integer from 0 to {N_SEEDS - 1}, or None; got {seed!r}", attr="seed"
        )
    return int(seed)


def checked_count(name: str, value: Any) -> int:
    """``value`` of the argument ``name``, which counts something, as a Python integer: those of
    NumPy have a width, beyond which they begin anew.
    """
    try:
        count = 0 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise ValidationError(f"expected an integer of at least 1, got {value!r}", attr=name)
    return count


def checked_time(name: str, value: Any) -> float:
    """``value`` of the argument ``name``, a time in seconds from 0 on."""
    time = math.nan
    if not isinstance(value, (bool, np.bool_, str, bytes)):
        with contextlib.suppress(TypeError, ValueError):
            time = float(value)
    if not 0 <= time < math.inf:
        what = "Must be positive" if time < 0 else "expected a number of seconds"
        raise ValidationError(f"{what} (got {value!r})", attr=name)
    return time


def warn_of_batch_size(given: Any, minibatch_size: int, name: str, stacklevel: int) -> None:
    """Say that a size of batches is of no effect."""
    if given not in (None, minibatch_size):
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
    if asked <= MOST_UNROLLED:
        return asked
    warnings.warn(
        f"unroll_simulation={asked}: the body of the loop holds {MOST_UNROLLED} steps, since more "
        "compile longer and run no faster; results are the same. Give a smaller number, or leave "
        "it out",
        stacklevel=3,
    )
    return MOST_UNROLLED


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
