"""What a sweep found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.optional import installed
from nengo_dl.sweeps.points import Points
from nengo_dl.sweeps.rows import Rows


class Results:
    """The results of a sweep: arrays by name, with a row for each point.

    Names are the labels of Probes, or the names that ``analyse`` returned. Errors of points are in
    ``errors``; the arrays contain NaN for these points. With ``store=``, arrays are read from disk
    when they are accessed.
    """

    def __init__(self, points: Points, rows: Rows, n_steps: int, dt: float, are_recorded: bool):
        self._points, self._rows = points, rows
        self.n_steps, self.dt = n_steps, dt
        #: whether the arrays are what Probes recorded
        self.are_recorded = are_recorded

    def __len__(self) -> int:
        return len(self._points)

    def __repr__(self) -> str:
        lines = [f"Results of {self._points}"]
        lines += [f"  {name}: {self._shape(name)}" for name in self.names]
        if self.errors:
            number, error = next(iter(self.errors.items()))
            summary = error.splitlines()[0]
            lines.append(f"  {len(self.errors)} raised an error; point {number}: {summary}")
        return "\n".join(lines)

    def _shape(self, name: str) -> str:
        shapes = list(dict.fromkeys(value.shape for _, value in self._rows.values(name)))
        if len(shapes) > 1:
            return f"of {len(shapes)} different shapes"
        return str((len(self), *shapes[0]))

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The parameters of each point."""
        return [dict(parameters) for parameters in self._points.parameters]

    @property
    def axes(self) -> dict[str, tuple[Any, ...]] | None:
        """The values of each parameter of a grid; None for a list of points."""
        return None if self._points.axes is None else dict(self._points.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return self._rows.names

    @property
    def errors(self) -> Mapping[int, str]:
        """The error of each point that raised one, by the number of the point."""
        return dict(sorted(self._rows.errors.items()))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> np.ndarray:
        """Array of shape (points, steps, size) of a Probe, (points, ...) of what was analysed.

        Raises
        ------
        KeyError
            If there is nothing of this name.
        nengo.exceptions.ValidationError
            If the arrays of points have different shapes; `point` gives each.
        """
        found = dict(self._rows.values(name))
        if not found:
            known = ", ".join(map(repr, self.names)) or "nothing"
            errors = f"; {len(self.errors)} points raised an error" if self.errors else ""
            raise KeyError(f"the results have no {name!r}, they have {known}{errors}")
        first = next(iter(found.values()))
        for number, value in found.items():
            if value.shape != first.shape:
                raise ValidationError(
                    f"{name!r} has shape {first.shape} at point {next(iter(found))} and "
                    f"{value.shape} at point {number}, so it is not one array; "
                    "results.point(number) gives those of a point",
                    attr="name",
                )
        dtype = np.result_type(*{value.dtype for value in found.values()})
        if len(found) == len(self):
            return np.stack([found[number] for number in range(len(self))]).astype(dtype)
        if dtype.kind in "biu":
            dtype = np.dtype(float)
        absent: Any = "" if dtype.kind in "US" else np.nan
        array = np.full((len(self), *first.shape), absent, dtype)
        for number, value in found.items():
            array[number] = value
        return array

    def point(self, number: int) -> dict[str, np.ndarray]:
        """All arrays of a point.

        Raises
        ------
        IndexError
            If there is no such point.
        nengo.exceptions.ValidationError
            If the point raised an error; the message contains it.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"there is no point {number}; there are {len(self)}, from 0")
        if number in self.errors:
            raise ValidationError(
                f"point {number} raised an error: {self.errors[number]}", attr="number"
            )
        return dict(self._rows.row(number))

    def times(self, name: str) -> np.ndarray:
        """Times in seconds of the values that a Probe recorded."""
        n = self[name].shape[1]
        return self.dt * (self.n_steps // n) * np.arange(1, n + 1)

    def grid(self, name: str) -> np.ndarray:
        """Like ``results[name]``, but with an axis for each parameter instead of the axis of
        points.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the points do not form a grid.
        """
        if self._points.axes is None:
            raise ValidationError("the points of this sweep are a list, not a grid", attr="name")
        values = self[name]
        return values.reshape(*map(len, self._points.axes.values()), *values.shape[1:])

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` with a dimension for each parameter of a grid, or for the points of
        a list; for Probes, there is also a dimension for the time in seconds.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        return _dataset(self)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each point: its parameters, the results of
        ``analyse`` (for arrays, every number), and its error.

        For Probes, it has a row for each point and time in seconds, and no errors.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return _frame(self)


# -- tables of other libraries --------------------------------------------------------------------


def _dataset(results: Results) -> Any:
    """See `Results.to_xarray`."""
    with installed("sweep"):
        import xarray

    _check_names(results)
    coordinates: dict[str, Any]
    if results.axes is None:
        points = ["point"]
        coordinates = {name: ("point", v) for name, v in _parameter_columns(results).items()}
        coordinates["point"] = np.arange(len(results))
    else:
        points = list(results.axes)
        coordinates = {name: _labels(values) for name, values in results.axes.items()}
    variables = {}
    for name in results.names:
        values = results[name] if results.axes is None else results.grid(name)
        inner = _inner_dimensions(results, name, values.shape[len(points) :], coordinates)
        variables[name] = ([*points, *inner], values)
    return xarray.Dataset(variables, coordinates)


def _inner_dimensions(
    results: Results, name: str, shape: tuple[int, ...], coordinates: dict[str, Any]
) -> list[str]:
    """Names of the dimensions after those of the points; those of time get coordinates."""
    if not results.are_recorded:
        return [f"{name}_{axis}" for axis in range(len(shape))]
    times = results.times(name)
    time = "time"
    if "time" in coordinates and len(coordinates["time"]) != len(times):
        time = f"{name}_time"
    coordinates[time] = times
    return [time, f"{name}_dimension"]


def _frame(results: Results) -> Any:
    """See `Results.to_pandas`."""
    with installed("sweep"):
        import pandas

    _check_names(results)
    columns: dict[str, Any] = _parameter_columns(results)
    if not results.are_recorded:
        for name in results.names:
            columns.update(_columns(name, results[name]))
        errors = results.errors
        columns["raised"] = [errors.get(n, "").partition("\n")[0] for n in range(len(results))]
        return pandas.DataFrame(columns)
    times = {name: results.times(name) for name in results.names}
    n_times = {name: len(found) for name, found in times.items()}
    if len(set(n_times.values())) > 1:
        raise ValidationError(
            f"the Probes recorded at different times, {n_times}, so there is no one table of them; "
            "to_xarray keeps them apart, and results[name] has each",
            attr="results",
        )
    n = next(iter(n_times.values()), 0)
    columns = {name: np.repeat(values, n) for name, values in columns.items()}
    for name in results.names:
        columns["time"] = np.tile(times[name], len(results))
        values = results[name]
        columns.update(_columns(name, values.reshape(-1, *values.shape[2:])))
    return pandas.DataFrame(columns)


def _check_names(results: Results) -> None:
    taken = {*_parameter_columns(results), "point", "time", "raised"}
    for name in results.names:
        if name in taken:
            raise ValidationError(
                f"{name!r} is the name of a result and of a parameter or column; give the Probe "
                "another label, or let analyse return it under another name",
                attr="results",
            )


def _parameter_columns(results: Results) -> dict[str, np.ndarray]:
    """The values of each parameter at all points."""
    points = results.parameters
    names = dict.fromkeys(name for parameters in points for name in parameters)
    return {name: _labels([parameters.get(name) for parameters in points]) for name in names}


def _labels(values: Sequence[Any]) -> np.ndarray:
    """Values of a parameter, as text where they are no numbers."""
    plain = all(isinstance(value, (bool, int, float, str)) for value in values)
    texts = [getattr(value, "__name__", str(value)) for value in values]
    return np.array(list(values) if plain else texts)


def _columns(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of shape (rows,) for an array of shape (rows, ...)."""
    if values.ndim == 1:
        return {name: values}
    if values.shape[1:] == (1,):
        return {name: values[:, 0]}
    keys = np.ndindex(values.shape[1:])
    return {f"{name}[{', '.join(map(str, key))}]": values[(slice(None), *key)] for key in keys}
