"""Results as tables of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.optional import installed

if TYPE_CHECKING:
    from nengo_dl.sweeps.results import Results


def dataset(results: Results) -> Any:
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


def frame(results: Results) -> Any:
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
