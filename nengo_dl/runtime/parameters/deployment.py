"""Puts a file of parameters into a network, for any Nengo backend to build. Needs Nengo and NumPy
only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Network, Node, Probe
from nengo.base import NengoObject
from nengo.exceptions import ValidationError
from nengo.transforms import Convolution, ConvolutionTranspose, Dense, NoTransform, Sparse

from nengo_dl.runtime.parameters import param_file
from nengo_dl.runtime.parameters.attributes import attribute_params, holder
from nengo_dl.runtime.parameters.ensembles import ensemble_params
from nengo_dl.runtime.parameters.freezing import connection_params, probe_params, write_params
from nengo_dl.runtime.parameters.layer_variables import layer_variables
from nengo_dl.runtime.parameters.object_names import object_names
from nengo_dl.runtime.parameters.param_file import Contents
from nengo_dl.runtime.parameters.parameter_signals import (
    has_full_weights,
    has_neurons,
    is_decoded,
    is_decoded_probe,
)
from nengo_dl.synapses import Delay


def load_params_into(network: Network, path: str | os.PathLike) -> None:
    """Load the parameters that ``Simulator.save_params`` saved into the objects of a network.

    In any Nengo simulator, the network then gives the same results as the saved one. It needs no
    seed: ensembles get their saved seeds, so that their neurons start in the same state.

    Parameters
    ----------
    network
        A network built by the same code as the saved one.
    path
        The file; ``.npz`` is added if it is missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    nengo.exceptions.ValidationError
        If the file is damaged or does not match the network; in this case, nothing is changed.

    Examples
    --------
    >>> def make_network():
    ...     with nengo.Network(seed=0) as net:
    ...         ens = nengo.Ensemble(10, dimensions=1, label="ens")
    ...     return net
    >>> with nengo_dl.Simulator(make_network()) as sim:
    ...     sim.save_params("trained")
    >>> network = make_network()
    >>> nengo_dl.load_params_into(network, "trained")
    """
    if not isinstance(network, Network):
        raise ValidationError(
            f"expected a nengo.Network, got {network!r} of type {type(network).__name__}",
            attr="network",
        )
    names = object_names(network)

    def differences(headers: Contents) -> list[str]:
        found = _by_object(headers.parameters)
        expected = _pairs(_expected(names, found))
        wrong = param_file.check_names(expected, headers.parameters)
        for key, shape in expected.items():
            if key in headers.parameters:
                wrong += param_file.differing_array(key, headers.parameters[key], [shape])
        return wrong

    parameters = param_file.read(path, differences).parameters
    param_file.raise_differences(path, _differing_values(names, parameters))
    found = _by_object(parameters)
    params = {
        obj: _params(obj, found[name])
        for obj, name in names.items()
        if not isinstance(obj, Node) and name in found
    }
    _write(params)
    for node, name in names.items():
        if isinstance(node, Node) and name in found:
            for attribute, variable in _variables(node).items():
                variable.assign(found[name][attribute])


def _by_object(parameters: Mapping[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (obj, attribute), value in parameters.items():
        found.setdefault(obj, {})[attribute] = value
    return found


def _expected(names: Mapping[NengoObject, str], found: Mapping) -> dict[str, dict[str, tuple]]:
    """The shapes of what a file has of each object."""
    expected = {}
    for obj, name in names.items():
        if isinstance(obj, Node):
            variables = _variables(obj) if name in found else {}
            expected[name] = {key: tuple(v.shape) for key, v in variables.items()}
        else:
            expected[name] = {**expected_shapes(obj), **_attribute_shapes(obj, found.get(name, {}))}
    return expected


def _differing_values(names: Mapping[NengoObject, str], parameters: Mapping) -> list[str]:
    """What is wrong with numbers that count or index something."""
    wrong = []
    for obj, name in names.items():
        seed, where = parameters.get((name, "seed")), parameters.get((name, "weights positions"))
        if has_neurons(obj) and seed is not None and not param_file.integer(seed, 0, 2**32 - 1):
            wrong.append(f"the seed of {name!r} is {seed}")
        if isinstance(obj, Connection) and where is not None:
            inside = where.dtype.kind in "iu" and np.all(where >= 0)
            if not inside or not np.all(where < obj.transform.shape):
                wrong.append(f"positions of weights of {name!r} lie outside of the matrix")
            elif len(where) != len(parameters[name, "weights"]):
                wrong.append(f"{name!r} has not as many weights as positions")
    return wrong


def _write(params: Mapping[NengoObject, Mapping[str, Any]]) -> None:
    """Give all objects their parameters, or none where Nengo refuses one."""
    before: list[tuple[NengoObject, dict[str, Any]]] = []
    try:
        for obj, arguments in params.items():
            before.append((obj, {name: getattr(obj, name) for name in arguments}))
            write_params(obj, arguments)
    except Exception:
        for obj, arguments in reversed(before):
            write_params(obj, arguments)
        raise


def expected_shapes(obj: NengoObject) -> dict[str, tuple]:
    """Attribute -> shape of the parameters that a file has of an object; None in a shape stands
    for any length.
    """
    if has_neurons(obj):
        n = obj.n_neurons
        return {
            "scaled_encoders": (n, obj.dimensions),
            "bias": (n,),
            "gain": (n,),
            "seed": (),
        }
    if isinstance(obj, Probe) and is_decoded_probe(obj):
        return {"decoders": (obj.size_in, obj.obj.n_neurons)}
    if isinstance(obj, Connection):
        return _weight_shapes(obj)
    return {}


def _attribute_shapes(obj: NengoObject, names: Iterable[str]) -> dict[str, tuple]:
    """Those of ``names`` that are attributes of the object's neuron type or synapse."""
    found = {name: holder(obj, name) for name in names}
    return {n: _attribute_shape(its, n) for n, its in found.items() if its is not None}


def _attribute_shape(its: Any, name: str) -> tuple[int, ...]:
    """Of a delay all attributes are as many as there are delays."""
    return np.shape(getattr(its, "tau" if isinstance(its, Delay) else name))


def _weight_shapes(conn: Connection) -> dict[str, tuple]:
    transform = conn.transform
    if is_decoded(conn):
        size_out = conn.post_obj.n_neurons if has_full_weights(conn) else conn.size_out
        return {"weights": (size_out, conn.pre_obj.n_neurons)}
    if isinstance(transform, NoTransform):
        return {}
    if isinstance(transform, Sparse):
        return {"weights": (None,), "weights positions": (None, 2)}
    if isinstance(transform, (Convolution, ConvolutionTranspose)):
        return {"weights": tuple(transform.kernel_shape)}
    if isinstance(transform, Dense):
        return {"weights": tuple(transform.init_shape)}
    return {"weights": np.shape(transform.sample(rng=np.random.RandomState(0)))}


def _variables(node: Node) -> Mapping[str, Any]:
    """The variables of a TensorNode's Keras layer, found without loading Keras."""
    layer = getattr(node.output, "layer", None)
    return {} if layer is None else layer_variables(layer)


def _pairs(shapes: Mapping[str, Mapping[str, tuple]]) -> dict[tuple[str, str], tuple]:
    return {(obj, name): shape for obj, of_obj in shapes.items() for name, shape in of_obj.items()}


def _params(obj: NengoObject, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found = {name: np.asarray(value, dtype=_dtype(value)) for name, value in found.items()}
    attributes = {name: value for name, value in found.items() if holder(obj, name) is not None}
    return {**_own_params(obj, found), **attribute_params(obj, attributes)}


def _own_params(obj: NengoObject, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(obj, Ensemble):
        params = ensemble_params(obj, found["scaled_encoders"], found["gain"], found["bias"])
        return {**params, "seed": int(found["seed"])}
    if isinstance(obj, Probe):
        return probe_params(found["decoders"]) if "decoders" in found else {}
    if "weights" not in found:
        return {}
    if "weights positions" in found:
        weights = Sparse(
            obj.transform.shape, indices=found["weights positions"], init=found["weights"]
        )
        return connection_params(obj, weights.init)
    return connection_params(obj, found["weights"])


def _dtype(value: np.ndarray) -> type:
    return np.int64 if value.dtype.kind in "iu" else np.float64
