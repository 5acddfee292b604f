"""The settings that there are, and how they are made.

They are kept in Nengo's own config system. A setting of the whole simulation is a parameter of
``network.config[nengo.Network]``; a setting of objects is a parameter of the classes that it
concerns, e.g. ``network.config[nengo.Ensemble]``. Nothing is stored elsewhere, so a network is
copied and pickled together with its settings. `nengo_dl.config` looks them up.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nengo import Config, Connection, Ensemble, Network, Probe
from nengo.config import ClassParams
from nengo.ensemble import Neurons
from nengo.exceptions import ConfigError
from nengo.params import Parameter

from nengo_dl import setting_values


@dataclass(frozen=True)
class Definition:
    """What a setting accepts, what it is where it was not made, and which classes of objects have
    it.
    """

    convert: Callable[[Any], Any]
    expected: str
    default: Any = None
    optional: bool = True
    classes: tuple[type, ...] = (Network,)


SETTINGS: dict[str, Definition] = {
    "trainable": Definition(
        setting_values.flag, "one of None, True, False", classes=(Ensemble, Neurons, Connection)
    ),
    "trainable_attributes": Definition(
        setting_values.names,
        "the name of an attribute, a list of names or None",
        classes=(Ensemble, Connection, Probe),
    ),
    "planner": Definition(setting_values.function, "a function or None"),
    "sorter": Definition(setting_values.function, "a function or None"),
    "simplifications": Definition(setting_values.functions, "a list of functions or None"),
    "build": Definition(setting_values.build, "one of None, 'fast', 'nengo'"),
    "inference_only": Definition(setting_values.flag, "one of True, False", False, optional=False),
    "lif_smoothing": Definition(setting_values.smoothing, "0, a positive number or None"),
    "dtype": Definition(
        setting_values.dtype,
        f"one of {setting_values.quoted(setting_values.DTYPES)}",
        "float32",
        optional=False,
    ),
    "keep_history": Definition(
        setting_values.flag, "one of True, False", True, optional=False, classes=(Probe,)
    ),
    "stateful": Definition(setting_values.flag, "one of True, False", True, optional=False),
    "use_loop": Definition(setting_values.flag, "one of None, True, False", True),
    "learning_phase": Definition(setting_values.flag, "one of None, True, False"),
    "jit_compile": Definition(setting_values.flag, "one of None, True, False"),
    "quantizer": Definition(
        setting_values.quantizer,
        "a number of bits from 2 to 16, a nengo_dl.quantization.Quantizer, a function or None",
        classes=(Connection,),
    ),
    "surrogate": Definition(setting_values.anything, "anything"),
    "regularizer": Definition(setting_values.function, "a function or None", classes=(Connection,)),
    "persistent": Definition(
        setting_values.flag, "one of True, False", True, optional=False, classes=(Connection,)
    ),
    "checkpoint_segments": Definition(
        setting_values.segments, "True, False, a positive integer, 'auto' or None"
    ),
    "sequence_kernels": Definition(setting_values.flag, "one of None, True, False"),
    "threads": Definition(setting_values.positive_integer, "a positive integer or None"),
}


def convert(name: str, value: Any) -> Any:
    """The form in which a value is stored."""
    definition = SETTINGS[name]
    if value is None and definition.optional:
        return None
    try:
        return definition.convert(value)
    except ConfigError:  # it says more
        raise
    except ValueError:
        raise ConfigError(
            f"the setting {name!r} was given {value!r}; expected {definition.expected}"
        ) from None


def check_name(name: str) -> None:
    """Raise a ConfigError for a setting that does not exist."""
    if not isinstance(name, str) or name not in SETTINGS:
        close = difflib.get_close_matches(str(name), SETTINGS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(
            f"{name!r} is not a setting of nengo_dl; "
            f"the settings are {', '.join(sorted(SETTINGS))}{hint}"
        )


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
    checkpoint_segments: bool | int | str | None = NOT_GIVEN,
    sequence_kernels: bool | None = NOT_GIVEN,
    threads: int | None = NOT_GIVEN,
    **others: Any,
) -> None:
    """Set how nengo_dl runs and trains the network in whose ``with`` block this is called.

    Each call changes only the settings that it names. None restores the default.

    Parameters
    ----------
    trainable : bool or None
        Whether training changes ensembles (their encoders and biases) and connections (their
        decoders or weights). None: all of them, except those that an online learning rule changes.
        Adds ``trainable`` to ``network.config[nengo.Ensemble]``, ``[nengo.ensemble.Neurons]`` and
        ``[nengo.Connection]``, and to each such object, whether created before or after:
        ``network.config[ensemble].trainable = False``. `nengo_dl.config.TrainableResolver`
        describes the precedence.
    trainable_attributes : str or list of str or None
        Attributes of neuron types (``"tau_rc"``, ``"amplitude"``, ``"sigma"``, ...) and synapses
        (``"tau"``) that training changes, separately for each object. Positive attributes stay
        positive. The setting of a network applies to all objects that have such attributes. It can
        also be set for ensembles, connections and probes:
        ``network.config[connection].trainable_attributes = "tau"``.
    keep_history : bool
        Whether ``sim.data`` keeps all steps of a probe (the default) or only the last one. Adds
        ``keep_history`` to ``network.config[nengo.Probe]`` and to each probe.
    regularizer : callable or None
        Function of a connection's weights that returns a penalty, which is added to the loss in
        training, e.g. ``keras.regularizers.L2(1e-4)``. Adds ``regularizer`` to
        ``network.config[nengo.Connection]`` and to each connection.
    persistent : bool
        Whether ``save_params`` stores a connection's weights (the default). Set it to False if
        other code generates them. It can be set for each connection, like ``regularizer``.
    planner : callable or None
        Function that groups the operators; see `nengo_dl.graph_optimizer`.
    sorter : callable or None
        Function that orders the operators inside the groups.
    simplifications : list of callable or None
        Functions that rewrite the operators, in this order; an empty list for none.
    build : {"fast", "nengo"} or None
        How a network is built. "fast": nengo_dl solves for the decoders of many connections at
        once; they agree with those of Nengo's builder to a relative 1e-10. "nengo": Nengo's own
        builder. None: "fast" in single precision; with ``dtype="float64"``, Nengo's own solvers
        run, and the result is identical to the last bit.
    inference_only : bool
        True: the network will not be trained, so values that only training needs are not stored.
    lif_smoothing : float or None
        Sigma of the `nengo_dl.SoftLIFRate` that replaces LIF neurons in training; None or 0 uses
        LIFRate.
    dtype : {"float32", "float64", "mixed_bfloat16", "mixed_float16"}
        Floating point type of the simulation; or one of Keras's policies for mixed precision, also
        as a `keras.DTypePolicy`. With those, products of signals and matrices with at least 16 rows
        and columns have operands in half precision and sums in ``float32``, and so have their
        gradients; everything else is ``float32``. Keras's global policy has no effect here:
        ``dtype=keras.config.dtype_policy()`` follows it.
    stateful : bool
        False: every run starts from the state after the last reset.
    use_loop : bool or None
        False: the steps are unrolled instead of running in a loop.
    learning_phase : bool or None
        True: neurons and layers always behave as in training; False: never.
    jit_compile : bool or None
        Whether the simulation is compiled with XLA; None: if possible.
    quantizer : int or callable or None
        Rounds the weights of connections (transforms and decoders): a number of bits, a
        `nengo_dl.quantization.Quantizer`, or a function of a tensor. Adds ``quantizer`` to
        ``network.config[nengo.Connection]`` and to each connection.
    surrogate : str or callable or None
        Surrogate derivative of a spike; training then uses spikes. ``"fast_sigmoid"``,
        ``"arctan"``, ``"triangle"``, ``"softlif"``, or a function; see `nengo_dl.surrogates`.
    checkpoint_segments : bool or int or "auto" or None
        Divide sequences into this many segments (True: the square root of the number of steps;
        "auto": as few as it takes, by an estimate, to fit into the memory that the device has left,
        and no segments on devices that do not tell, as processors and all with TensorFlow).
        Training stores only the first state of each and recomputes the others in the backward pass,
        which takes less memory and about a third more time.
    sequence_kernels : bool or None
        True: in training, on a GPU with JAX, all steps of a layer of neurons are one kernel, and
        their gradient is another; products are taken out of the loop for that, whatever their size.
        It concerns whatever computes each element by itself (neurons, filters of first order), in
        single precision; all else runs in loops, as it does everywhere with False and None.
    threads : int or None
        The most threads that nengo_dl starts: for the items of a minibatch, for the random numbers
        of processes, and for decoders. None: one for each core that the process may use. The
        results are the same up to rounding. XLA, TensorFlow and NumPy's matrix library have threads
        of their own.

    Raises
    ------
    nengo.exceptions.ConfigError
        If it is called outside a network, for an unknown setting, and for an invalid value. In
        these cases, the call changes nothing.

    Examples
    --------
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
    if not any(class_params(config, cls, name)):
        _set_default(config, cls, name, None, for_objects=True)
    setattr(config[obj], name, value)


def _innermost_network() -> Network:
    if len(Network.context) == 0:
        raise ConfigError(
            "configure_settings must be called inside the `with` block of a network, "
            "whose settings it changes"
        )
    return Network.context[-1]


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


def class_params(config: Config, cls: type, name: str) -> Iterator[ClassParams]:
    """What a config holds for a class and its base classes, where that includes the setting."""
    for base in cls.__mro__:
        params = config.params.get(base)
        if params is not None and name in params.extra_params:
            yield params
