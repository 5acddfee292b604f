"""Settings of a network and of the objects in it, looked up; `nengo_dl.settings` makes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nengo import Config, Connection, Ensemble, Network, Probe
from nengo.config import ClassParams, InstanceParams
from nengo.ensemble import Neurons

from nengo_dl.settings import (  # noqa: F401  (their names are here too)
    SETTINGS,
    check_name,
    class_params,
    configure_settings,
    set_object_setting,
    set_setting,
)

__all__ = ["TrainableResolver", "configure_settings"]


def get_setting(network: Network | Config, name: str, default: Any = None) -> Any:
    """Value of a setting of a network.

    Parameters
    ----------
    network
        A network or its config; the networks inside and around it are not looked at.
    name
        Name of the setting. For ``trainable`` and ``keep_history``, the setting of the class (of
        ensembles and of probes) is returned; `TrainableResolver` and `get_keep_history` find the
        setting of each object.
    default
        Returned if there is no setting, or if it is None.

    Raises
    ------
    nengo.exceptions.ConfigError
        For a setting that does not exist.
    """
    check_name(name)
    config = network if isinstance(network, Config) else network.config
    for params in class_params(config, SETTINGS[name].classes[0], name):
        value = getattr(params, name)
        return default if value is None else value
    return default


def network_settings(network: Network | None) -> SimpleNamespace:
    """Every setting of the whole simulation by name, as it was made or by its default."""
    values = {name: d.default for name, d in SETTINGS.items() if d.classes == (Network,)}
    if network is not None:
        values = {name: get_setting(network, name, default) for name, default in values.items()}
    return SimpleNamespace(**values)


def warn_of_unused(network: Network, settings: SimpleNamespace) -> None:
    """Warn of other settings that were made in networks inside the one that is simulated."""
    values = vars(settings)
    for inner in network.all_networks:
        unused = [
            name for name, value in values.items() if get_setting(inner, name, value) != value
        ]
        if unused:
            warnings.warn(
                f"{', '.join(unused)}: set on {inner}, which is inside {network}. A simulation "
                "takes these settings from its top-level network; make them there",
                stacklevel=7,  # who made the simulator
            )


def get_trainable(toplevel: Network, obj: Ensemble | Neurons | Connection) -> bool | None:
    """Whether an object is to be trained; a `TrainableResolver` is faster for many objects."""
    return TrainableResolver(toplevel)(obj)


def get_keep_history(toplevel: Network, probe: Probe) -> bool:
    """Whether all steps of a probe are kept; `ProbeSettings` is faster for many probes."""
    return ProbeSettings(toplevel).keep_history(probe)


class _ObjectSettings:
    """Settings of the objects of a network, which is walked once, when this is made.

    Parameters
    ----------
    toplevel
        The network that is simulated.
    """

    def __init__(self, toplevel: Network):
        self._configs = _EnclosingConfigs(toplevel)


class AttributesResolver(_ObjectSettings):
    """Answers for ensembles, connections and probes which attributes of their neuron type or
    synapse are trained, by the rules of `TrainableResolver`.
    """

    def __call__(self, obj: Ensemble | Connection | Probe) -> tuple[tuple[str, ...], bool]:
        """Names of attributes, and whether they were said of this object itself."""
        name, configs = "trainable_attributes", self._configs[obj]
        names = self._configs.resolve(name, obj) or ()
        said = (config.params.get(obj) for config in configs)
        return names, any(params is not None and _is_set(params, name) for params in said)


class ProbeSettings(_ObjectSettings):
    """The setting ``keep_history`` of every probe of a network, by the rules of
    `TrainableResolver`.
    """

    def keep_history(self, probe: Probe) -> bool:
        """Whether all steps are kept, or only the last."""
        return self._configs.resolve("keep_history", probe)


class ConnectionSettings(_ObjectSettings):
    """The settings ``regularizer``, ``persistent`` and ``quantizer`` of every connection of a
    network, by the rules of `TrainableResolver`.
    """

    def regularizer(self, conn: Connection) -> Callable | None:
        """What is added to the loss for the connection's weights."""
        return self._configs.resolve("regularizer", conn)

    def persistent(self, conn: Connection) -> bool:
        """Whether the connection's weights are saved."""
        return self._configs.resolve("persistent", conn)

    def quantizer(self, conn: Connection) -> Callable | None:
        """How the connection's weights are rounded; None for as they are."""
        return self._configs.resolve("quantizer", conn)


class TrainableResolver(_ObjectSettings):
    """Determines for every object of a network whether the user wants to train it.

    1. The setting of an object (``config[ensemble].trainable``) takes precedence over settings of
       classes. If several networks set it, the innermost one that contains the object counts.
    2. Otherwise, the networks are asked from the innermost one to the outermost. In each network,
       the setting of the class (``config[nengo.Ensemble].trainable``) takes precedence over
       ``configure_settings(trainable=...)``.

    The neurons of an ensemble (their biases) follow the setting of their ensemble, unless the
    neurons have a setting of their own in the same place.

    An object that is in none of the networks is treated as part of the top-level network.
    """

    def __call__(self, obj: Ensemble | Neurons | Connection) -> bool | None:
        """For encoders (Ensemble), biases (Neurons), decoders or weights (Connection).

        True, False, or None if there is no setting and the defaults of nengo_dl apply.
        """
        if isinstance(obj, Neurons):
            return self._configs.resolve("trainable", obj, obj.ensemble)
        return self._configs.resolve("trainable", obj)

    def bias(self, ensemble: Ensemble) -> bool | None:
        """For the biases of an ensemble, which belong to its neurons."""
        return self(ensemble.neurons)


class _EnclosingConfigs:
    """The configs of the networks around an object, innermost first."""

    def __init__(self, toplevel: Network):
        self._outermost = (toplevel.config,)
        self._configs: dict[Any, tuple[Config, ...]] = {}
        #: what is said of classes, by configs, setting and classes
        self._class_values: dict[tuple, Any] = {}
        pending: list[tuple[Network, tuple[Config, ...]]] = [(toplevel, ())]
        while pending:
            network, around = pending.pop()
            configs = (network.config, *around)
            for obj in (*network.ensembles, *network.connections, *network.probes):
                self._configs[obj] = configs
            pending.extend((inner, configs) for inner in network.networks)

    def __getitem__(self, obj: Any) -> tuple[Config, ...]:
        return self._configs.get(obj, self._outermost)

    def resolve(self, name: str, *objects: Any) -> Any:
        """Value of a setting for the first of ``objects``, which follows the others in turn; the
        last one is in the network.
        """
        configs = self[objects[-1]]
        for obj in objects:
            for config in configs:
                params = config.params.get(obj)
                if params is not None and _is_set(params, name):
                    return getattr(params, name)
        kinds = tuple(type(obj) for obj in objects)
        key = configs, name, kinds
        if key not in self._class_values:
            self._class_values[key] = _of_classes(configs, name, kinds)
        return self._class_values[key]


def _of_classes(configs: tuple[Config, ...], name: str, kinds: tuple[type, ...]) -> Any:
    """What the innermost config says of a setting for the first of ``kinds``."""
    for config in configs:
        classes = [
            p
            for kind in kinds
            for p in class_params(config, kind, name)
            if _is_set(p, name) or not p.get_param(name).for_objects
        ]
        chosen = [p for p in classes if _is_set(p, name)] or classes
        if chosen:
            return getattr(chosen[0], name)
    return SETTINGS[name].default


def _is_set(params: ClassParams | InstanceParams, name: str) -> bool:
    """Whether a value was set on this class or object itself."""
    try:
        return name in params
    except AttributeError:  # an object of a class that does not have this setting
        return False
