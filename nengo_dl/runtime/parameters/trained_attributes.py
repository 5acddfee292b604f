"""Which attributes of neuron types and synapses are trained, and by which operators."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from nengo import Ensemble, Network, Probe
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.exceptions import ConfigError

from nengo_dl import config
from nengo_dl.compiler.attributes import Attribute, with_attributes
from nengo_dl.lowering.attributes import trainable_attributes, trained_with
from nengo_dl.runtime.parameters.attributes import holder, holder_name
from nengo_dl.runtime.parameters.parameter_signals import connections_to_probes
from nengo_dl.runtime.parameters.stored import Parameter
from nengo_dl.synapses import Delay


@dataclass(frozen=True)
class TrainedAttributes:
    """The trained attributes of a network.

    Attributes
    ----------
    of
        Object -> its attributes.
    replaced
        Nengo's operators -> those that read the attributes from signals.
    """

    of: Mapping[NengoObject, tuple[Attribute, ...]] = field(default_factory=dict)
    replaced: Mapping[Operator, Operator] = field(default_factory=dict)

    def parameters(self) -> list[Parameter]:
        """As parameters of the objects."""
        return [
            Parameter(obj, attribute.name, attribute.signal)
            for obj, attributes in self.of.items()
            for attribute in attributes
        ]


def find_attributes(model: Model, toplevel: Network | None) -> TrainedAttributes:
    """What the settings ``trainable_attributes`` of a network ask for.

    Raises
    ------
    nengo.exceptions.ConfigError
        For an object of which it was said and that has no such attribute, a name that no object
        has, and an attribute that has to be positive and is 0.
    """
    if toplevel is None:
        return TrainedAttributes()
    resolver = config.AttributesResolver(toplevel)
    operators = _Operators(model)
    of: dict[NengoObject, tuple[Attribute, ...]] = {}
    replaced: dict[Operator, Operator] = {}
    unused: dict[str, bool] = {}
    for obj in (*toplevel.all_ensembles, *toplevel.all_connections, *toplevel.all_probes):
        names, on_object = resolver(obj)
        found = {name: operators.having(obj, name) for name in names}
        for name, operator in found.items():
            unused[name] = unused.get(name, True) and operator is None
            if operator is None and on_object:
                raise ConfigError(_without(obj, name, operators))
        chosen = {
            other: operator
            for name, operator in found.items()
            if operator is not None
            for other in trained_with(operator, name)
        }
        made = {name: _attribute(obj, name, operator) for name, operator in chosen.items()}
        if made:
            of[obj] = tuple(made.values())
        for operator in dict.fromkeys(chosen.values()):
            its = [made[name] for name in chosen if chosen[name] is operator]
            replaced[operator] = with_attributes(operator, its)
    for name, is_unused in unused.items():
        if is_unused:
            raise ConfigError(
                f"the setting 'trainable_attributes' names {name!r}, but no neuron type or synapse "
                "in the network has this attribute, or it cannot be trained"
            )
    return TrainedAttributes(of, replaced)


def _attribute(obj: NengoObject, name: str, operator: Operator) -> Attribute:
    its, encoding = holder(obj, name), trainable_attributes(operator)[name]
    value = np.asarray(getattr(its, name), dtype=np.float64)
    if isinstance(its, Delay):  # one number may stand for all of its delays
        value = np.broadcast_to(value, np.shape(its.tau)).copy()
    if encoding.positive and np.any(value <= 0):
        raise ConfigError(
            f"{name} of {obj} is {np.min(value):g}; training keeps it positive, so it has to start "
            "so"
        )
    return Attribute.new(name, value, encoding)


class _Operators:
    """Finds the operators that compute an object's neurons or synapse."""

    def __init__(self, model: Model):
        self._model = model
        self._by_output = {
            op.output: op for op in model.operators if isinstance(op, (SimNeurons, SimProcess))
        }
        self._of_probes = connections_to_probes(model)

    def of(self, obj: NengoObject) -> list[Operator]:
        """The operators; for neurons that make spikes of rates also that of the rates."""
        sig = self._model.sig
        if isinstance(obj, Ensemble):
            outputs = [sig[obj.neurons].get("out"), sig[obj.neurons].get("rate_out")]
        elif isinstance(obj, Probe) and obj not in self._of_probes:
            outputs = [sig[obj].get("filtered")]
        else:
            outputs = [sig[self._of_probes.get(obj, obj)].get("weighted")]
        found = [self._by_output.get(output) for output in outputs if output is not None]
        return [op for op in found if op is not None]

    def having(self, obj: NengoObject, name: str) -> Operator | None:
        """The operator with an attribute that can be trained."""
        if holder(obj, name) is None:
            return None
        return next((op for op in self.of(obj) if name in trainable_attributes(op)), None)


def _without(obj: NengoObject, name: str, operators: _Operators) -> str:
    known = [n for op in operators.of(obj) for n in trainable_attributes(op)]
    close = difflib.get_close_matches(name, known, n=1)
    of_what = getattr(obj, holder_name(obj) or "", None)
    return (
        f"{name!r} of {obj} cannot be trained: its {holder_name(obj)} is {of_what}, with "
        + (f"the trainable attributes {', '.join(known)}" if known else "no trainable attributes")
        + (f" (did you mean {close[0]!r}?)" if close else "")
        + ("; give it the longest that a delay may be" if isinstance(of_what, Delay) else "")
    )
