"""Keras callbacks for ``Simulator.fit``, ``evaluate`` and ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from nengo import Connection, Ensemble, Probe
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from nengo_dl import viz
from nengo_dl._private.keras import flattened
from nengo_dl.runtime import backends
from nengo_dl.runtime.checks import checked_path, listed_values
from nengo_dl.viz.images import probe_image

if TYPE_CHECKING:
    from nengo_dl.simulator import Simulator

__all__ = ["HyperparameterScheduler", "IsolateState", "NengoSummaries", "TensorBoard"]


class TensorBoard(keras.callbacks.TensorBoard):
    """``keras.callbacks.TensorBoard``: loss and metrics by epoch, and parameters with
    ``histogram_freq``.

    Raises
    ------
    ImportError
        If TensorFlow or TensorBoard is not installed; they are needed with every backend.

    Examples
    --------
    ``sim.fit(x, y, callbacks=[nengo_dl.callbacks.TensorBoard("logs")])``, and then
    ``tensorboard --logdir logs`` on the command line.
    """

    def __init__(self, *args, **kwargs):
        _summary_module()
        super().__init__(*args, **kwargs)


class NengoSummaries(keras.callbacks.Callback):
    """Writes histograms of the parameters of Nengo objects, and plots of values recorded by Probes,
    for TensorBoard, before training and after each epoch.

    Parameters
    ----------
    log_dir : str or path
        Folder for the event file, e.g. that of `TensorBoard`.
    sim : Simulator
        The simulator that is trained.
    objects : list of nengo.Ensemble, nengo.ensemble.Neurons, nengo.Connection and nengo.Probe
        For an Ensemble, the encoders and biases are written; for Neurons, the biases; for a
        Connection, the weights (or decoders). For a Probe of spiking neurons, a raster is drawn;
        for other neurons, their rates; for other objects, their values.
    data : dict, list or array, optional
        For Probes: the data to simulate, one minibatch, as for ``Simulator.predict``.
    n_steps : int, optional
        For Probes: the number of steps to simulate if there is no ``data``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object is not in the network, or has neither parameters nor recorded values.
    ImportError
        If TensorFlow or TensorBoard is not installed; they are needed with every backend.

    Examples
    --------
    ``summaries = nengo_dl.callbacks.NengoSummaries("logs", sim, [ens, connection])``, which goes to
    ``sim.fit(x, y, callbacks=[summaries])``; then ``tensorboard --logdir logs`` on the command
    line.
    """

    def __init__(
        self,
        log_dir: str | Path,
        sim: Simulator,
        objects: Iterable[Ensemble | Neurons | Connection | Probe],
        data: Any = None,
        n_steps: int | None = None,
    ):
        super().__init__()
        log_dir = checked_path("log_dir", log_dir)
        _check_simulator(sim)
        objects = listed_values("objects", objects)
        self.sim, self.data, self.n_steps = sim, data, n_steps
        self.probes = [obj for obj in objects if isinstance(obj, Probe)]
        self.objects = [obj for obj in objects if not isinstance(obj, Probe)]
        for obj in self.objects:
            viz.parameter_values(sim, obj)
        for probe in self.probes:
            if probe not in sim.model.probes:
                raise ValidationError(f"{probe} is not in the simulator's network", attr="objects")
        if self.probes and data is None and n_steps is None:
            raise ValidationError(
                "Probes were given, but neither data nor n_steps; give one of them, which says "
                "what to simulate for their pictures",
                attr="n_steps",
            )
        self._summary = _summary_module()
        self._writer = self._summary.create_file_writer(str(log_dir))

    def on_train_begin(self, logs=None):
        self._write(0)

    def on_epoch_end(self, epoch, logs=None):
        self._write(epoch + 1)

    def on_train_end(self, logs=None):
        self._writer.flush()

    def _write(self, step: int) -> None:
        with self._writer.as_default():
            for obj in self.objects:
                for name, values in viz.parameter_values(self.sim, obj).items():
                    self._summary.histogram(_tag(obj, name), values, step=step)
            if self.probes:
                seen = self.sim.predict(self.data, n_steps=self.n_steps)
                for probe in self.probes:
                    image = probe_image(seen, probe, self.sim.dt)
                    self._summary.image(_tag(probe, "picture"), image[None], step=step)


class IsolateState(keras.callbacks.Callback):
    """Starts every minibatch from the state in which the call started, even with ``stateful=True``.
    Weights learned online are kept.

    Parameters
    ----------
    sim : Simulator
        The simulator.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     probe = nengo.Probe(nengo.Node([0.5]), synapse=0.1)
    >>> with nengo_dl.Simulator(net) as sim:
    ...     callbacks = [nengo_dl.callbacks.IsolateState(sim)]
    ...     outputs = sim.predict(n_steps=3, stateful=True, callbacks=callbacks)
    """

    def __init__(self, sim: Simulator):
        super().__init__()
        _check_simulator(sim)
        self.sim = sim
        self._values: dict = {}
        self._state = None

    def on_train_begin(self, logs=None):
        self._values = self.sim.keras_model.state_values()

    on_test_begin = on_train_begin

    def on_train_batch_end(self, batch, logs=None):
        backends.active().finish_batch(self.sim.keras_model)
        self.sim.keras_model.set_state_values(self._values, keep_learned=True)

    on_test_batch_end = on_train_batch_end

    def on_predict_begin(self, logs=None):
        self._state = self.sim._state

    def on_predict_batch_end(self, batch, logs=None):
        self.sim._state = self.sim._engine.keeping_learned(self._state, self.sim._state)


class HyperparameterScheduler(keras.callbacks.Callback):
    """Changes the time step of layers, or another hyperparameter, before each epoch.

    Parameters
    ----------
    schedule : callable
        Takes the number of the epoch, from 0, and returns the value.
    attribute : str
        Name of the hyperparameter.
    objects : list, optional
        The objects that have the attribute. By default all layers of the model whose ``attribute``
        can be set, such as those of `nengo_dl.layers` with a time step.
    compile_again : bool
        Must be True for attributes that are plain numbers, because their value is part of the
        compiled training function, which is then compiled again for each new value. Not needed for
        the time step of layers.

    Raises
    ------
    ValueError
        When training begins, if no layer has the attribute.

    Examples
    --------
    The time step starts at 1, with coarse spikes, and becomes finer:

    >>> model = keras.Sequential(
    ...     [keras.Input((5, 3)), nengo_dl.layers.SpikingActivation("relu"), keras.layers.Dense(2)]
    ... )
    >>> model.compile("sgd", "mse")
    >>> scheduler = nengo_dl.callbacks.HyperparameterScheduler(lambda epoch: 0.5**epoch)
    >>> history = model.fit(
    ...     np.ones((4, 5, 3)), np.ones((4, 5, 2)), epochs=2, callbacks=[scheduler], verbose=0
    ... )
    >>> model.layers[0].dt
    0.5
    """

    def __init__(
        self,
        schedule: Callable[[int], Any],
        attribute: str = "dt",
        objects: Iterable[Any] | None = None,
        compile_again: bool = False,
    ):
        super().__init__()
        if not callable(schedule):
            raise ValidationError(
                f"expected a function of the epoch's number, got {schedule!r}", attr="schedule"
            )
        if not isinstance(attribute, str) or not attribute.isidentifier():
            raise ValidationError(
                f"expected the name of an attribute, got {attribute!r}", attr="attribute"
            )
        self.objects = None if objects is None else listed_values("objects", objects)
        for obj in self.objects or []:
            if not hasattr(obj, attribute):
                raise ValidationError(f"{obj!r} has no attribute {attribute!r}", attr="objects")
        self.schedule, self.attribute = schedule, attribute
        self.compile_again = compile_again
        self._targets: list = []

    def on_train_begin(self, logs=None):
        self._targets = self.objects if self.objects is not None else self._settable_layers()

    def on_epoch_begin(self, epoch, logs=None):
        value = self.schedule(epoch)
        changed = [obj for obj in self._targets if getattr(obj, self.attribute) != value]
        for obj in changed:
            setattr(obj, self.attribute, value)
        if changed and self.compile_again:
            self.model.make_train_function(force=True)

    def _settable_layers(self) -> list:
        found = [
            layer
            for layer in flattened(self.model)
            if getattr(getattr(type(layer), self.attribute, None), "fset", None) is not None
        ]
        if not found:
            raise ValueError(
                f"no layer of the model has an attribute {self.attribute!r} that can be set; name "
                "the objects that have it with objects=[...]"
            )
        return found


def _check_simulator(sim: Any) -> None:
    if not hasattr(sim, "keras_model"):
        raise ValidationError(f"expected a nengo_dl.Simulator, got {sim!r}", attr="sim")


def _tag(obj: Ensemble | Neurons | Connection | Probe, parameter: str) -> str:
    """Name of a histogram or picture; TensorBoard takes no < and >."""
    return f"{str(obj).strip('<>').replace('>', '').replace('<', '')}/{parameter}"


def _summary_module():
    try:
        import tensorboard  # noqa: F401
        import tensorflow.summary as summary
    except ImportError as error:
        raise ImportError(
            f"writing summaries for TensorBoard needs TensorFlow and TensorBoard: {error}; "
            "install them with `pip install tensorflow tensorboard`"
        ) from error
    return summary
