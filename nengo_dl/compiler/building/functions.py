"""Functions of evaluation points, evaluated at all points at once.

Such a function takes the array of one point's coordinates. Here it gets an object that stands for
that array at all points (`PerPoint`): arithmetic, NumPy's functions of single numbers and a few of
sums are carried out for each point, and where the function asks whether something holds, it is
called once for the points where it does and once for those where it does not. What else it may do
is refused, and then, or where it gives another value than it gives for single points, each point is
evaluated by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from nengo.exceptions import BuildError

#: functions of Numpy that give the same to the last bit for one number and for many at once
EXACT = {np.square, np.absolute, np.fabs, np.negative, np.positive, np.sign, np.sqrt}
#: points of which the values are compared with those of single calls
N_COMPARED = 8
#: most cases that a function may distinguish, by what it asks
N_CASES = 16


def targets(function: Callable, points: np.ndarray, size: int, user: Any) -> np.ndarray:
    """Values of a connection's function, as Nengo's builder takes them.

    Parameters
    ----------
    function
        A function of the coordinates of a point.
    points
        Of shape (n_points, dimensions).
    size
        Number of values of the function.
    user
        Whose function it is, for errors.

    Returns
    -------
    values
        Of shape (n_points, size).

    Raises
    ------
    nengo.exceptions.BuildError
        If the function returns None.
    """
    if isinstance(function, np.ufunc) and function in EXACT:
        return function(points)
    if len(points) > 4 * N_COMPARED:
        values = _all_at_once(function, points, size)
        compared = np.linspace(0, len(points) - 1, N_COMPARED).astype(int)
        if values is not None and np.all(np.isfinite(values)):
            if np.array_equal(
                values[compared], _one_by_one(function, points[compared], size, user)
            ):
                return values
    return _one_by_one(function, points, size, user)


def _one_by_one(function: Callable, points: np.ndarray, size: int, user: Any) -> np.ndarray:
    values = np.zeros((len(points), size))
    for row, point in zip(values, points, strict=True):
        value = function(point)
        if value is None:
            raise BuildError(
                f"Building {user}: Connection function returned None. Cannot solve for decoders."
            )
        row[:] = np.hstack(value) if isinstance(value, (tuple, list)) else value
    return values


def _all_at_once(function: Callable, points: np.ndarray, size: int) -> np.ndarray | None:
    """The values; None where they cannot be had so."""
    values = np.empty((len(points), size))
    pending: list[tuple[bool, ...]] = [()]
    for _ in range(N_CASES):
        case = _Case(len(points), pending.pop())
        try:
            # a case is evaluated at points too where it does not apply
            with np.errstate(all="ignore"):
                found = _side_by_side(function(PerPoint(points.copy(), case)), len(points))
                values[case.applies] = np.broadcast_to(found, values.shape)[case.applies]
        except Exception:  # whatever is wrong, the single points will tell
            return None
        pending.extend(case.others)
        if not pending:
            return values
    return None


def _side_by_side(value: Any, n_points: int) -> np.ndarray:
    """What a function returned, as an array with a row for each point."""
    if isinstance(value, (tuple, list)):
        parts = (_side_by_side(part, n_points) for part in value)
        return np.hstack([np.broadcast_to(part, (n_points, part.shape[1])) for part in parts])
    values = _values(value)
    if isinstance(value, PerPoint):
        return values.reshape(n_points, -1)
    if values.ndim > 1 or values.dtype == object:
        raise NotPerPoint
    return values.reshape(1, -1)


class NotPerPoint(TypeError):
    """A function does something that is not done for all points at once."""


class _Case:
    """The points that a function's questions are answered alike for."""

    def __init__(self, n_points: int, answers: tuple[bool, ...]):
        self.applies = np.ones(n_points, dtype=bool)
        self.others: list[tuple[bool, ...]] = []
        self._given = answers
        self._answers: list[bool] = []

    def answer(self, holds: np.ndarray) -> bool:
        """Whether something holds at the points that are looked at."""
        place = len(self._answers)
        if place < len(self._given):
            answer = self._given[place]
        else:
            here = holds[self.applies]
            answer = bool(here.any())
            if answer and not here.all():
                self.others.append((*self._answers, False))
        self._answers.append(answer)
        self.applies &= holds == answer
        return answer


class PerPoint(np.lib.mixins.NDArrayOperatorsMixin):
    """A number, or an array with one axis, for each point: an array of shape (n_points,), or
    (n_points, size).
    """

    def __init__(self, values: np.ndarray, case: _Case):
        self._values = values
        self._case = case

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what stands at each point."""
        return self._values.shape[1:]

    @property
    def ndim(self) -> int:
        """Number of axes of it."""
        return self._values.ndim - 1

    @property
    def size(self) -> int:
        """Number of its elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        if not self.shape:
            raise NotPerPoint
        return self.shape[0]

    def __iter__(self) -> Iterator[PerPoint]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, item: Any) -> PerPoint:
        if not self.shape or not isinstance(item, (int, np.integer, slice, list)):
            raise NotPerPoint
        return PerPoint(self._values[:, item], self._case)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise NotPerPoint
        return self._case.answer(self._values.reshape(-1).astype(bool))

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotPerPoint

    __float__ = __int__ = __index__ = __complex__ = __array__ = __setitem__ = _refuse

    def __pow__(self, other: Any) -> PerPoint:
        return self._power(other, lambda value: value**other)

    def __rpow__(self, other: Any) -> PerPoint:
        return self._power(other, lambda value: other**value)

    def _power(self, other: Any, power: Callable[[Any], Any]) -> PerPoint:
        """On processors with wide registers, NumPy's powers of the elements of an array differ from
        those of single numbers.
        """
        if not isinstance(other, (int, float)):
            raise NotPerPoint
        values = self._values
        return PerPoint(
            power(values) if self.shape else np.array([power(value) for value in values]),
            self._case,
        )

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> PerPoint:
        if method != "__call__" or kwargs or ufunc.signature or ufunc.nout != 1:
            raise NotPerPoint
        return PerPoint(ufunc(*_aligned(inputs)), self._case)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> PerPoint:
        if kwargs:
            raise NotPerPoint
        if function in REDUCTIONS and len(args) == 1 and self.shape:
            return PerPoint(function(self._values, axis=1), self._case)
        if function in (np.where, np.clip) and len(args) == 3:
            return PerPoint(function(*_aligned(args)), self._case)
        raise NotPerPoint

    def sum(self) -> Any:
        """As that of an array."""
        return np.sum(self)

    def prod(self) -> Any:
        """As that of an array."""
        return np.prod(self)


REDUCTIONS = (np.sum, np.prod, np.max, np.min, np.mean)


def _values(value: Any) -> np.ndarray:
    return value._values if isinstance(value, PerPoint) else np.asarray(value)


def _aligned(inputs: tuple[Any, ...]) -> list[Any]:
    """Operands whose rows are points."""
    ndim = max(v.ndim if isinstance(v, PerPoint) else np.ndim(v) for v in inputs)
    if ndim > 1:
        raise NotPerPoint
    return [
        v._values[:, np.newaxis]
        if isinstance(v, PerPoint) and v.ndim < ndim
        else (v._values if isinstance(v, PerPoint) else v)
        for v in inputs
    ]
