"""Settings of a network and of the objects in it, kept in Nengo's own config system.

A setting of the whole simulation is a parameter of ``network.config[nengo.Network]``; a setting of
objects is a parameter of the classes that it concerns, e.g. ``network.config[nengo.Ensemble]``.
Nothing is stored elsewhere, so a network is copied and pickled together with its settings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nengo import Config, Connection, Ensemble, Network, Probe
from nengo.config import ClassParams, InstanceParams
from nengo.ensemble import Neurons
from nengo.exceptions import ConfigError
from nengo.params import Parameter

from nengo_dl.settings import SETTINGS, check_name, convert


class SettingParam(Parameter):
    """The parameter by which a setting enters a config.

    Its ``default`` is what `configure_settings` was given. A value that is set on a class or on an
    object through ``network.config`` goes before it, and is checked in the same way. With
    ``for_objects`` nothing was said of the class so far.
    """

    def __init__(
        self,
        name: str,
        default: Any,
        earlier: Parameter | None = None,
        for_objects: bool = False,
    ):
        super().__init__(name, default=default, optional=True)
        self.for_objects = for_objects
        if earlier is not None:
            self.data = earlier.data  # what was set on single objects stays

    def coerce(self, instance: Any, value: Any) -> Any:
        """Check a value and bring it to the form in which it is stored."""
        return convert(self.name, super().coerce(instance, value))


# -- setting ---------------------------------------------------------------------------------------


#: in place of a setting that a call of `configure_settings` does not make
NOT_GIVEN: Any = object()


def configure_settings(
    *,
    trainable: bool | None = NOT_GIVEN,
    trainable_attributes: str | Iterable[str] | None = NOT_GIVEN,
    keep_history: bool = NOT_GIVEN,
    regularizer: Callable | None = NOT_GIVEN,
    persistent: bool = NOT_GIVEN,
    planner: Callable | None = NOT_GIVEN,
    sorter: Callable | None = NOT_GIVEN,
    simplifications: Iterable[Callable] | None = NOT_GIVEN,
    inference_only: bool = NOT_GIVEN,
    lif_smoothing: float | None = NOT_GIVEN,
    dtype: Any = NOT_GIVEN,
    build: str | None = NOT_GIVEN,
    stateful: bool = NOT_GIVEN,
    use_loop: bool | None = NOT_GIVEN,
    learning_phase: bool | None = NOT_GIVEN,
    jit_compile: bool | None = NOT_GIVEN,
    quantizer: int | Callable | None = NOT_GIVEN,
    surrogate: str | Callable | None = NOT_GIVEN,
    checkpoint_segments: bool | int | None = NOT_GIVEN,
    **others: Any,
) -> None:
    """Set how nengo_dl runs and trains the network in whose ``with`` block this is called.

    Each call changes only the settings that it names. A setting that is None is as if not made.

    Parameters
    ----------
    trainable : bool or None
        Whether training changes ensembles (their encoders and biases) and connections (their
        decoders or weights). None: all of them, but not what an online learning rule changes.
        Makes ``trainable`` a parameter of ``network.config[nengo.Ensemble]``,
        ``[nengo.ensemble.Neurons]`` and ``[nengo.Connection]`` and of each such object, made before
        or after: ``network.config[ensemble].trainable = False``.
        `nengo_dl.config.TrainableResolver` says which of them counts.
    trainable_attributes : str or list of str or None
        Attributes of neuron types (``"tau_rc"``, ``"amplitude"``, ``"sigma"``, ...) and synapses
        (``"tau"``) that training changes, each object's for itself; those that have to be positive
        stay so. Made for a network it concerns the objects that have such attributes. It is a
        parameter of ensembles, connections and probes:
        ``network.config[connection].trainable_attributes = "tau"``.
    keep_history : bool
        Whether ``sim.data`` keeps all steps of a probe (the default) or only the last one. Makes
        ``keep_history`` a parameter of ``network.config[nengo.Probe]`` and of each probe.
    regularizer : callable or None
        Function of a connection's weights that gives what is added to the loss in training, e.g.
        ``keras.regularizers.L2(1e-4)``. Makes ``regularizer`` a parameter of
        ``network.config[nengo.Connection]`` and of each connection.
    persistent : bool
        Whether ``save_params`` stores a connection's weights (the default), which it need not do
        where other code makes them; a parameter of each connection, as ``regularizer`` is.
    planner : callable or None
        Function that groups the operators, see `nengo_dl.graph_optimizer`.
    sorter : callable or None
        Function that orders the operators inside the groups.
    simplifications : list of callable or None
        Functions that rewrite the operators, in this order; an empty list for none at all.
    build : {"fast", "nengo"} or None
        How a network is built. "fast": nengo_dl solves for the decoders of many connections at
        once, which are those of Nengo's builder to a relative 1e-10. "nengo": Nengo's builder as it
        is. None: "fast" in single precision; with ``dtype="float64"`` Nengo's own solvers run, and
        all is the same to the last bit.
    inference_only : bool
        True: the network will not be trained, so nothing is kept that only training needs.
    lif_smoothing : float or None
        Sigma of the `nengo_dl.SoftLIFRate` that stands for LIF neurons in training; None or 0:
        LIFRate does.
    dtype : {"float32", "float64"}
        Floating point type of the simulation.
    stateful : bool
        False: every run starts from the state after the last reset.
    use_loop : bool or None
        False: the steps are unrolled instead of running in a loop.
    learning_phase : bool or None
        True: neurons and layers always behave as in training; False: never.
    jit_compile : bool or None
        Whether the simulation is compiled with XLA; None: where that is possible.
    quantizer : int or callable or None
        Connections compute with rounded weights (transforms and decoders): a number of bits, a
        `nengo_dl.quantization.Quantizer`, or a function of a tensor. Makes ``quantizer`` a
        parameter of ``network.config[nengo.Connection]`` and of each connection.
    surrogate : str or callable or None
        Derivative that stands for that of a spike in training, which then keeps the spikes:
        ``"fast_sigmoid"``, ``"arctan"``, ``"triangle"``, ``"softlif"``, or a function; see
        `nengo_dl.surrogates`.
    checkpoint_segments : bool or int or None
        Cut sequences into this many segments (True: the square root of the number of steps) of
        which training keeps only the first state; the rest is computed again in the backward pass.
        Takes less memory and about a third more time.

    Raises
    ------
    nengo.exceptions.ConfigError
        Outside of a network, for a setting that does not exist, and for a value that it cannot
        have. None of the settings of the call is made then.

    Examples
    --------
    >>> import nengo, nengo_dl
    >>> with nengo.Network() as net:
    ...     nengo_dl.configure_settings(dtype="float64", trainable=False)
    ...     ensemble = nengo.Ensemble(50, dimensions=1)
    >>> net.config[ensemble].trainable = True  # trained all the same
    """
    named = {name: value for name, value in locals().items() if name != "others"}
    settings = {k: value for k, value in named.items() if value is not NOT_GIVEN} | others
    network = _innermost_network()
    for name in settings:
        check_name(name)
    values = {name: convert(name, value) for name, value in settings.items()}
    _warn_if_unused(network, values)
    for name, value in values.items():
        for cls in SETTINGS[name].classes:
            _set_default(network.config, cls, name, value)


def set_setting(network: Network, name: str, value: Any) -> None:
    """`configure_settings` of one setting, for a network that need not be in a ``with`` block."""
    check_name(name)
    value = convert(name, value)
    for cls in SETTINGS[name].classes:
        _set_default(network.config, cls, name, value)


def set_object_setting(obj: Any, name: str, value: Any) -> None:
    """A setting of one object that is made in the ``with`` block of a network, which any later
    setting of the object goes before.
    """
    config = Network.context[0].config  # each network around the object may change it
    (cls,) = (cls for cls in SETTINGS[name].classes if isinstance(obj, cls))
    if not any(_class_params(config, cls, name)):
        _set_default(config, cls, name, None, for_objects=True)
    setattr(config[obj], name, value)


def _innermost_network() -> Network:
    if len(Network.context) == 0:
        raise ConfigError(
            "configure_settings has to be called inside the `with` block of a network, "
            "whose settings it changes"
        )
    return Network.context[-1]


def _warn_if_unused(network: Network, names: Iterable[str]) -> None:
    unused = [name for name in names if SETTINGS[name].classes == (Network,)]
    if unused and len(Network.context) > 1:
        warnings.warn(
            f"{', '.join(unused)}: set on {network}, which is inside {Network.context[0]}. "
            "A simulation takes these settings from its top-level network; make them there",
            stacklevel=3,
        )


def _set_default(
    config: Config, cls: type, name: str, value: Any, for_objects: bool = False
) -> None:
    """Give a value to a class, and to those of its subclasses that are configured separately.

    It takes the place of one that was set on the class before; those of single objects stay.
    """
    if cls not in config.params:
        config.configures(cls)
    for key, params in config.params.items():
        if isinstance(params, ClassParams) and issubclass(key, cls):
            earlier = params.get_param(name) if name in params.extra_params else None
            params.set_param(name, SettingParam(name, value, earlier, for_objects))


# -- looking up ------------------------------------------------------------------------------------


def get_setting(network: Network | Config, name: str, default: Any = None) -> Any:
    """Value of a setting of a network.

    Parameters
    ----------
    network
        A network or its config; the networks inside and around it are not looked at.
    name
        Name of the setting. Of ``trainable`` and ``keep_history`` it is what was said of the class
        (of ensembles and of probes): `TrainableResolver` and `get_keep_history` know each object's.
    default
        What is returned where the setting was not made, or is None.

    Raises
    ------
    nengo.exceptions.ConfigError
        For a setting that does not exist.
    """
    check_name(name)
    config = network if isinstance(network, Config) else network.config
    for params in _class_params(config, SETTINGS[name].classes[0], name):
        value = getattr(params, name)
        return default if value is None else value
    return default


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
        names = self._configs.resolve(name, obj, default=()) or ()
        said = (config.params.get(obj) for config in configs)
        return names, any(params is not None and _is_set(params, name) for params in said)


class ProbeSettings(_ObjectSettings):
    """The setting ``keep_history`` of every probe of a network, by the rules of
    `TrainableResolver`.
    """

    def keep_history(self, probe: Probe) -> bool:
        """Whether all steps are kept, or only the last."""
        return self._configs.resolve("keep_history", probe, default=True)


class ConnectionSettings(_ObjectSettings):
    """The settings ``regularizer``, ``persistent`` and ``quantizer`` of every connection of a
    network, by the rules of `TrainableResolver`.
    """

    def regularizer(self, conn: Connection) -> Callable | None:
        """What is added to the loss for the connection's weights."""
        return self._configs.resolve("regularizer", conn)

    def persistent(self, conn: Connection) -> bool:
        """Whether the connection's weights are saved."""
        return self._configs.resolve("persistent", conn, default=True)

    def quantizer(self, conn: Connection) -> Callable | None:
        """How the connection's weights are rounded; None for as they are."""
        return self._configs.resolve("quantizer", conn)


class TrainableResolver(_ObjectSettings):
    """Answers for every object of a network whether the user wants it to be trained.

    1. What is said of an object (``config[ensemble].trainable``) counts before what is said of
       classes, and among that what the network says that holds the object counts before what the
       networks around it say.
    2. Then each network is asked, the one that holds the object first: what it says of the class
       (``config[nengo.Ensemble].trainable``) counts before its
       ``configure_settings(trainable=...)``, and that before anything the next network says.

    The neurons of an ensemble (their biases) follow their ensemble, unless something is said of
    the neurons in the same place.

    An object that is in none of the networks is taken to be in the top-level network.
    """

    def __call__(self, obj: Ensemble | Neurons | Connection) -> bool | None:
        """For encoders (Ensemble), biases (Neurons), decoders or weights (Connection).

        True, False, or None where nothing was said and the rules of nengo_dl apply.
        """
        if isinstance(obj, Neurons):
            return self._configs.resolve("trainable", obj, obj.ensemble)
        return self._configs.resolve("trainable", obj)

    def bias(self, ensemble: Ensemble) -> bool | None:
        """For the biases of an ensemble, which are its neurons'."""
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

    def resolve(self, name: str, *objects: Any, default: Any = None) -> Any:
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
            self._class_values[key] = _of_classes(configs, name, kinds, default)
        return self._class_values[key]


def _of_classes(
    configs: tuple[Config, ...], name: str, kinds: tuple[type, ...], default: Any
) -> Any:
    """What the innermost config says of a setting for the first of ``kinds``."""
    for config in configs:
        classes = [
            p
            for kind in kinds
            for p in _class_params(config, kind, name)
            if _is_set(p, name) or not p.get_param(name).for_objects
        ]
        chosen = [p for p in classes if _is_set(p, name)] or classes
        if chosen:
            return getattr(chosen[0], name)
    return default


def _class_params(config: Config, cls: type, name: str) -> Iterator[ClassParams]:
    """What a config holds for a class and its base classes, where that includes the setting."""
    for base in cls.__mro__:
        params = config.params.get(base)
        if params is not None and name in params.extra_params:
            yield params


def _is_set(params: ClassParams | InstanceParams, name: str) -> bool:
    """Whether a value was set on this class or object itself."""
    try:
        return name in params
    except AttributeError:  # an object of a class that does not have this setting
        return False
