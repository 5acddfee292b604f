"""Parameters of Nengo objects as keyword arguments, from which any simulator builds the same ones.

What depends on what, and how a value enters: nengo/builder/ensemble.py, connection.py and
transforms.py. Needs Nengo and NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo import Connection, Ensemble, Node, Probe
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.signal import Signal
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.solvers import NoSolver
from nengo.transforms import (
    Convolution,
    ConvolutionTranspose,
    Dense,
    NoTransform,
    Sparse,
    SparseMatrix,
)

from nengo_dl.compiler.attributes import Attribute
from nengo_dl.runtime.parameters.attributes import attribute_params
from nengo_dl.runtime.parameters.ensembles import (
    ensemble_params,
    gain_and_encoders,
    with_fixed_gain,
)
from nengo_dl.runtime.parameters.parameter_signals import (
    ParameterSignals,
    has_full_weights,
    has_neurons,
    is_decoded,
)


class FixedWeights(NoSolver):
    """A solver that gives a matrix between neurons as it is.

    `nengo.solvers.NoSolver` gives decoders, which Nengo multiplies with the encoders of the
    ensemble behind the connection; not every matrix between neurons can be had like that.

    Parameters
    ----------
    values : (pre.n_neurons, post.n_neurons) array_like
        The weights; gains and encoders included.
    """

    compositional = False

    def __init__(self, values: Any):
        super().__init__(values=values, weights=True)


class AnyFunction:
    """Stands for the function of a connection whose decoders are given, and which is never called
    but for its size.

    Parameters
    ----------
    size_out : int
        Size of what it returns.
    """

    def __init__(self, size_out: int):
        self.size_out = size_out

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.zeros(self.size_out)


def connection_params(conn: Connection, weights: Any) -> dict[str, Any]:
    """Keyword arguments of a Connection.

    ``weights`` is as in Nengo's BuiltConnection, decoders included; None for a connection without
    weights.
    """
    if has_full_weights(conn):
        function = conn.function if callable(conn.function) else None
        if function is None and conn.size_mid != conn.size_in:
            function = AnyFunction(conn.size_mid)
        return {
            "function": function,
            "transform": conn.transform,
            "solver": FixedWeights(np.transpose(weights)),
        }
    if is_decoded(conn):
        keep = conn.size_mid == conn.size_out and not isinstance(conn.function, np.ndarray)
        return {
            "function": conn.function if keep else AnyFunction(conn.size_out),
            "transform": NoTransform(conn.size_out),
            "solver": NoSolver(np.transpose(weights)),
        }
    params = {"transform": with_weights(conn, weights)}
    return params if conn.function is None else {"function": conn.function, **params}


def with_weights(conn: Connection, weights: Any) -> Any:
    """The transform of ``conn`` with other weights: an array for a dense one."""
    transform = conn.transform
    if isinstance(transform, NoTransform):
        return transform
    if type(transform) is Dense:
        return np.array(weights)
    if type(transform) is Sparse:
        if isinstance(weights, SparseMatrix):
            return Sparse(transform.shape, indices=weights.indices, init=weights.data)
        return Sparse(transform.shape, init=weights)
    if type(transform) in (Convolution, ConvolutionTranspose):
        names = ["n_filters", "kernel_size", "strides", "padding", "channels_last"]
        if type(transform) is Convolution:
            names.append("groups")
        arguments = {name: getattr(transform, name) for name in names}
        if type(transform) is ConvolutionTranspose:
            arguments["output_shape"] = transform.output_shape
        return type(transform)(
            input_shape=transform.input_shape, init=np.array(weights), **arguments
        )
    raise ValidationError(
        f"{conn} has a transform of type {type(transform).__name__}, which cannot be given other "
        "weights here; "
        "only Dense, Sparse, Convolution and ConvolutionTranspose can",
        attr="transform",
    )


def probe_params(decoders: np.ndarray) -> dict[str, Any]:
    """Keyword arguments of a Probe of a decoded value."""
    return {"solver": NoSolver(np.transpose(decoders))}


def write_params(obj: NengoObject, params: Mapping[str, Any]) -> None:
    """Give an object these parameters, in an order that Nengo accepts."""
    for name, value in params.items():
        setattr(obj, name, value)


# -- live parameters -------------------------------------------------------------------------------


class LiveParameters:
    """The present parameters of a simulated network's objects.

    Parameters
    ----------
    model
        What Nengo's builder made.
    present
        Signal -> its present value, (minibatch_size or 1, *shape).
    item
        The item of the minibatch whose learned weights are taken; None where all are the same.
    attributes
        Object -> trained attributes of its neuron type or synapse.
    lengths
        Ensemble -> lengths of its encoders, where they are not those with which it was built.
    """

    def __init__(
        self,
        model: Model,
        present: Any,
        item: int | None = None,
        attributes: Mapping[NengoObject, Sequence[Attribute]] | None = None,
        lengths: Mapping[Ensemble, np.ndarray] | None = None,
    ):
        self.model, self._present, self.item = model, present, item
        self._attributes, self._lengths = attributes or {}, lengths or {}
        self._signals = ParameterSignals(model)
        self._with_fixed_gain = with_fixed_gain(model)

    def value(self, obj: NengoObject, attribute: str) -> np.ndarray:
        """The value of a parameter for one item."""
        values = self._present(self._signals(obj)[attribute])
        if len(values) == 1 or np.all(values == values[:1]):
            return values[0]
        if self.item is None:
            raise ValidationError(
                f"the {attribute} of {obj} were learned by each of the {len(values)} items of the "
                "minibatch, and "
                f"differ; choose one of them with item=0 to item={len(values) - 1}",
                attr="item",
            )
        return values[self.item]

    def params(self, obj: NengoObject) -> dict[str, Any]:
        """Keyword arguments for an Ensemble, Connection or Probe; none for what has no
        parameters.
        """
        if isinstance(obj, (Ensemble, Connection, Probe)) and obj not in self.model.params:
            raise ValidationError(f"{obj} is not in the simulated network", attr="objs")
        if isinstance(obj, Ensemble):
            return {**self._ensemble(obj), **self._of_attributes(obj)}
        if isinstance(obj, Connection):
            return {**self._connection(obj), **self._of_attributes(obj)}
        if isinstance(obj, Probe):
            decoders = probe_params(self.value(obj, "decoders")) if self._signals(obj) else {}
            return {**decoders, **self._of_attributes(obj)}
        if isinstance(obj, Neurons):
            params = self.params(obj.ensemble)
            return {name: params[name] for name in ("gain", "bias") if name in params}
        advice = ""
        if isinstance(obj, Node):
            advice = "; Nodes have no parameters, but Keras layers have get_weights()"
        raise ValidationError(
            f"expected an Ensemble, its neurons, a Connection or a Probe, got {obj!r} of type "
            f"{type(obj).__name__}{advice}",
            attr="objs",
        )

    def _of_attributes(self, obj: NengoObject) -> dict[str, Any]:
        return present_attributes(obj, self._attributes.get(obj, ()), self._present)

    def _ensemble(self, ens: Ensemble) -> dict[str, Any]:
        if not has_neurons(ens):
            return {}
        built = self.model.params[ens]
        scaled, bias = self.value(ens, "scaled_encoders"), self.value(ens, "bias")
        gain, encoders = gain_and_encoders(
            built, ens.radius, scaled, self._lengths.get(ens), ens in self._with_fixed_gain
        )
        return ensemble_params(ens, scaled, gain, bias, encoders)

    def _connection(self, conn: Connection) -> dict[str, Any]:
        found = self._signals(conn)
        weights = self.value(conn, "weights") if found else None
        if weights is not None and found["weights"].sparse:
            weights = with_data(found["weights"].initial_value, weights)
        return connection_params(conn, weights)


def present_attributes(
    obj: NengoObject, attributes: Sequence[Attribute], present: Callable[[Signal], np.ndarray]
) -> dict[str, Any]:
    """The keyword argument of an object whose neuron type or synapse has trained attributes, with
    their present values; none without them.
    """
    return attribute_params(obj, {a.name: a.decode(present(a.signal)) for a in attributes})


def with_data(matrix: Any, data: np.ndarray) -> Any:
    """A sparse matrix with other values at the same positions."""
    if isinstance(matrix, SparseMatrix):
        return SparseMatrix(matrix.indices, data, matrix.shape)
    matrix = matrix.copy()
    matrix.data = np.reshape(data, matrix.data.shape)
    return matrix


def positions(matrix: Any) -> np.ndarray:
    """Row and column of each entry of a sparse matrix, (n, 2), in the order of its data."""
    if isinstance(matrix, SparseMatrix):
        return np.asarray(matrix.indices)
    matrix = matrix.tocoo()
    return np.stack([matrix.row, matrix.col], axis=1).astype(np.int64)


def freeze(live: LiveParameters, objs: Any) -> None:
    """Write the live parameters of a network, an object or a list of them into the objects.

    Where nothing fixes the seed of an ensemble it is set to the present one, so that its neurons
    start in the same state.
    """
    found = {obj: live.params(obj) for obj in _flat(objs)}
    for obj, params in found.items():
        write_params(obj.ensemble if isinstance(obj, Neurons) else obj, params)
        if isinstance(obj, Ensemble) and not live.model.seeded[obj]:
            obj.seed = live.model.seeds[obj]


def _flat(objs: Any) -> list[NengoObject]:
    if isinstance(objs, nengo.Network):
        return [*objs.all_ensembles, *objs.all_connections, *objs.all_probes]
    if isinstance(objs, (list, tuple)):
        return [obj for item in objs for obj in _flat(item)]
    return [objs]


def nengo_params(live: LiveParameters, objs: Any, as_dict: bool) -> Any:
    """See `nengo_dl.Simulator.get_nengo_params`."""
    if not isinstance(objs, (list, tuple)):
        if as_dict:
            return {_label(objs, {}): live.params(objs)}
        return live.params(objs)
    if not as_dict:
        return [live.params(obj) for obj in objs]
    result: dict[str, dict] = {}
    for obj in objs:
        result[_label(obj, result)] = live.params(obj)
    return result


def _label(obj: NengoObject, taken: Mapping[str, Any]) -> str:
    label = getattr(obj, "label", None)
    if label is None:
        raise ValidationError(
            f"{obj} has no label by which a dict could hold it; label the objects, or use "
            "as_dict=False",
            attr="nengo_objs",
        )
    if label in taken:
        raise ValidationError(
            f"more than one object has the label {label!r}; label them differently, or use "
            "as_dict=False",
            attr="nengo_objs",
        )
    return label
