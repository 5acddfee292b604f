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
from nengo.transforms import Convolution, ConvolutionTranspose, Dense, NoTransform, Sparse

from nengo_dl.runtime import param_file
from nengo_dl.runtime.attributes import attribute_params, holder
from nengo_dl.runtime.ensembles import ensemble_params
from nengo_dl.runtime.freezing import (
    connection_params,
    has_full_weights,
    has_neurons,
    is_decoded,
    is_decoded_probe,
    probe_params,
    write_params,
)
from nengo_dl.runtime.layer_variables import layer_variables
from nengo_dl.runtime.object_names import object_names

Shape = tuple[int, ...]


def load_params_into(network: Network, path: str | os.PathLike) -> None:
    """Write the parameters that ``Simulator.save_params`` saved into the objects of a network.

    The network then gives in any Nengo simulator what the one gave that was saved. It needs no
    seed: ensembles get the one they had, so that their neurons start in the same state.

    Parameters
    ----------
    network
        A network made by the same code as the one that was saved.
    path
        The file; ``.npz`` is added where it does not end so.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the file is damaged or does not fit the network, which then is as it was.
    """
    contents = param_file.read(path)
    names = object_names(network)
    found: dict[str, dict[str, np.ndarray]] = {}
    for (obj, attribute), value in contents.parameters.items():
        found.setdefault(obj, {})[attribute] = value
    expected = {
        names[obj]: {**expected_shapes(obj), **_attribute_shapes(obj, found.get(names[obj], {}))}
        for obj in names
    }
    variables = {
        obj: _variables(obj) for obj in names if isinstance(obj, Node) and names[obj] in found
    }
    for node, of_node in variables.items():
        expected[names[node]] = {name: tuple(v.shape) for name, v in of_node.items()}
    differences = param_file.check_names(_pairs(expected), contents.parameters)
    differences += [
        f"{attribute} of {name!r} has shape {value.shape} in the file, expected {shape}"
        for name, attribute, value, shape in _matched(expected, found)
        if not _fits(value.shape, shape)
    ]
    param_file.raise_differences(path, differences)
    params = {
        obj: _params(obj, found[names[obj]])
        for obj in names
        if not isinstance(obj, Node) and names[obj] in found
    }
    for obj, arguments in params.items():
        write_params(obj, arguments)
    for node, of_node in variables.items():
        for name, variable in of_node.items():
            variable.assign(found[names[node]][name])


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
    return {name: () for name in names if holder(obj, name) is not None}


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


def _matched(expected: Mapping, found: Mapping):
    for (obj, attribute), shape in _pairs(expected).items():
        if attribute in found.get(obj, {}):
            yield obj, attribute, found[obj][attribute], shape


def _fits(shape: Shape, expected: tuple) -> bool:
    return len(shape) == len(expected) and all(
        e is None or n == e for n, e in zip(shape, expected, strict=True)
    )


def _params(obj: NengoObject, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found = {name: np.asarray(value, dtype=_dtype(value)) for name, value in found.items()}
    attributes = {
        name: value.item() for name, value in found.items() if holder(obj, name) is not None
    }
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
