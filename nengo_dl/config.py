"""Settings of a network, kept in its own ``nengo.Config``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
from nengo.config import Config
from nengo.ensemble import Neurons
from nengo.exceptions import ConfigError
from nengo.params import Parameter


def _one_of(*values: Any) -> Callable[[Any], str | None]:
    expected = ", ".join(repr(v) for v in values)

    def check(value: Any) -> str | None:
        known = any(value is v or (type(value) is type(v) and value == v) for v in values)
        return None if known else f"one of {expected}"

    return check


def _function(value: Any) -> str | None:
    return None if value is None or callable(value) else "a function or None"


def _functions(value: Any) -> str | None:
    fine = value is None or (
        isinstance(value, (list, tuple)) and all(callable(function) for function in value)
    )
    return None if fine else "a list of functions or None"


def _positive(value: Any) -> str | None:
    fine = value is None or (isinstance(value, (int, float)) and value > 0)
    return None if fine else "a positive number or None"


def _segments(value: Any) -> str | None:
    fine = value is None or isinstance(value, bool) or (isinstance(value, int) and value > 0)
    return None if fine else "True, False, None or a positive number of segments"


def _anything(value: Any) -> str | None:
    return None


#: setting -> what is expected where the value is not allowed
_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "trainable": _one_of(None, True, False),
    "planner": _function,
    "sorter": _function,
    "simplifications": _functions,
    "inference_only": _one_of(True, False),
    "lif_smoothing": _positive,
    "dtype": _one_of("float32", "float64"),
    "keep_history": _one_of(True, False),
    "stateful": _one_of(True, False),
    "use_loop": _one_of(True, False),
    "learning_phase": _one_of(None, True, False),
    "jit_compile": _one_of(None, True, False),
    "surrogate": _anything,
    "checkpoint_segments": _segments,
}

_TRAINABLE = (nengo.Ensemble, Neurons, nengo.Connection)


def configure_settings(**settings: Any) -> None:
    """Set how nengo_dl runs and trains the network in whose ``with`` block this is called.

    Parameters
    ----------
    trainable : bool or None
        Whether the parameters of Ensembles (encoders, biases) and Connections (weights, decoders)
        are trained; None: all but those that a learning rule changes. Adds a parameter
        ``trainable`` to ``net.config``, so that it can be set for one class or one object:
        ``net.config[nengo.Ensemble].trainable = False``, ``net.config[conn].trainable = True``.
        Applies to objects made before and after; inner networks and instances win.
    planner, sorter : function
        See `nengo_dl.graph_optimizer`.
    simplifications : list of functions
        See `nengo_dl.graph_optimizer`.
    inference_only : bool
        The network will not be trained: nothing that only training needs is kept.
    lif_smoothing : float or None
        Sigma of the `nengo_dl.SoftLIFRate` that stands for LIF neurons in training.
    dtype : "float32" or "float64"
        Precision of the simulation.
    keep_history : bool
        Whether probes keep all steps or only the last one; ``net.config[probe].keep_history`` sets
        it for one probe.
    stateful : bool
        False: every call starts from the state after the last reset.
    use_loop : bool
        False: training unrolls the steps of a sequence instead of running them in a loop.
    learning_phase : bool or None
        Overrides whether neurons act as in training or as in inference.
    jit_compile : bool or None
        Whether TensorFlow compiles with XLA; None: where it can.
    surrogate : optional
        Derivative that stands for that of a spike in training, which then keeps the spikes:
        ``"fast_sigmoid"``, ``"arctan"``, ``"triangle"``, ``"softlif"``, or a function; see
        `nengo_dl.surrogates`.
    checkpoint_segments : bool or int, optional
        Cut sequences into this many segments (True: the square root of the number of steps) of
        which training keeps only the first state; the rest is computed again in the backward pass.
        Takes less memory and about a third more time.

    Raises
    ------
    nengo.exceptions.ConfigError
        Outside of a network, for an unknown setting, and for a value that is not allowed.
    """
    if not nengo.Network.context:
        raise ConfigError(
            "configure_settings has to be called inside the `with` block of a network, whose "
            "settings it changes"
        )
    for name, value in settings.items():
        _check(name, value)
    config = nengo.Network.context[-1].config
    for name, value in settings.items():
        if name == "trainable":
            for cls in _TRAINABLE:
                _set_default(config, cls, name, value)
        else:
            if name == "keep_history":
                _set_default(config, nengo.Probe, name, value)
            _set_default(config, nengo.Network, name, value)


def _check(name: str, value: Any) -> None:
    if name not in _CHECKS:
        known = ", ".join(sorted(_CHECKS))
        raise ConfigError(f"{name!r} is not a setting of nengo_dl; the settings are {known}")
    expected = _CHECKS[name](value)
    if expected is not None:
        raise ConfigError(f"the setting {name!r} was given {value!r}; expected {expected}")


def _set_default(config: Config, cls: type, name: str, value: Any) -> None:
    if cls not in config.params:
        config.configures(cls)
    if name in config[cls]._extra_params:
        setattr(config[cls], name, value)
    else:
        config[cls].set_param(name, Parameter(name, default=value, optional=True))


def get_setting(network: nengo.Network, name: str, default: Any = None) -> Any:
    """The value of a setting of ``network``, or ``default`` where it was not set."""
    config = network.config
    if nengo.Network not in config.params or name not in config[nengo.Network]._extra_params:
        return default
    return getattr(config[nengo.Network], name)


class _Lookup:
    """Finds a configured parameter of an object: instances before classes, inner networks before
    outer.
    """

    def __init__(self, toplevel: nengo.Network, name: str):
        self.name = name
        self.chains: dict[Any, tuple[Config, ...]] = {}
        self._walk(toplevel, ())

    def _walk(self, network: nengo.Network, outer: tuple[Config, ...]) -> None:
        chain = (network.config, *outer)
        for obj in (*network.ensembles, *network.connections, *network.probes):
            self.chains[obj] = chain
        for inner in network.networks:
            self._walk(inner, chain)

    def instance(self, obj: Any, container: Any = None) -> Any:
        """What was set for the object itself, else None."""
        for config in self.chains.get(container or obj, ()):
            if obj in config.params:
                param = config.params[obj]._clsparams.get_param(self.name)
                if config.params[obj] in param:
                    return getattr(config.params[obj], self.name)
        return None

    def cls(self, cls: type, container: Any) -> Any:
        """What was set for the class, else None."""
        for config in self.chains.get(container, ()):
            if cls in config.params and self.name in config[cls]._extra_params:
                value = getattr(config[cls], self.name)
                if value is not None:
                    return value
        return None


class TrainableResolver:
    """Answers whether an object's parameters are to be trained: True, False, or None where nothing
    was said.
    """

    def __init__(self, toplevel: nengo.Network):
        self._lookup = _Lookup(toplevel, "trainable")

    def __call__(self, obj: Any) -> bool | None:
        """For the encoders of an Ensemble, or the weights of a Connection."""
        value = self._lookup.instance(obj)
        cls = nengo.Ensemble if isinstance(obj, nengo.Ensemble) else nengo.Connection
        return self._lookup.cls(cls, obj) if value is None else value

    def bias(self, ens: nengo.Ensemble) -> bool | None:
        """For the biases of an Ensemble: set through its neurons, else with its encoders."""
        value = self._lookup.instance(ens.neurons, ens)
        return self(ens) if value is None else value


def get_keep_history(toplevel: nengo.Network, probe: nengo.Probe) -> bool:
    """Whether a probe keeps all steps."""
    lookup = _Lookup(toplevel, "keep_history")
    value = lookup.instance(probe)
    if value is None:
        value = lookup.cls(nengo.Probe, probe)
    return True if value is None else value
