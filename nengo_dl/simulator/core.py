"""The public face: a drop-in replacement for nengo.Simulator."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from nengo import Network, Node, Probe
from nengo.builder import Model
from nengo.exceptions import SimulatorClosed, ValidationError
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress, ProgressTracker

from nengo_dl.compat.arguments import ignored_arguments, nengo_places, older_arguments
from nengo_dl.compat.simulator import IGNORED_BY_SIMULATOR, OlderCalls
from nengo_dl.compiler.compiled import Compiled
from nengo_dl.runtime import backends, build, checks
from nengo_dl.runtime.inputs.names import Endpoints
from nengo_dl.runtime.results import snapshot
from nengo_dl.runtime.results.data import SimulationData
from nengo_dl.runtime.results.recording import ProbeRecord
from nengo_dl.runtime.results.signals import PresentSignals, SignalIndex
from nengo_dl.runtime.results.values import LastValues
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.guards import OneThread
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.fitting import Training
from nengo_dl.simulator.display import simulator_html, simulator_text
from nengo_dl.simulator.operators import OperatorInterface
from nengo_dl.simulator.parameters import ParameterInterface
from nengo_dl.simulator.running import RunningInterface
from nengo_dl.simulator.state import StateInterface
from nengo_dl.simulator.training import TrainingInterface


class Simulator(
    RunningInterface,
    StateInterface,
    TrainingInterface,
    ParameterInterface,
    OperatorInterface,
    OlderCalls,
):
    """Simulates and trains a Nengo network, compiled for Keras's backend.

    Parameters
    ----------
    network : nengo.Network or None
        The network to build; None if ``model`` contains one that has been built already.
    dt : float
        Length of a time step in seconds.
    seed : int, optional
        Seed of processes without their own seed, from 0 to 2**32 - 1. By default the network's seed
        + 1, or a random seed if the network has none.
    model : nengo.builder.Model, optional
        A model to build the network into.
    device : str, optional
        Where to run, e.g. ``"/cpu:0"`` or ``"/gpu:0"``. By default the backend chooses.
    unroll_simulation : int
        Number of steps in the body of the compiled loop, 8 at most. More steps may run faster but
        take longer to compile. This does not restrict the number of steps in a run.
    minibatch_size : int, optional
        Number of items to simulate side by side. Recorded data has a leading axis of this length,
        even if it is 1. None simulates one item, without this axis.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        As in nengo.Simulator.
    optimize : bool
        Accepted for compatibility with nengo.Simulator; the network is compiled in any case.

    Raises
    ------
    nengo.exceptions.ValidationError
        For an invalid argument.

    Examples
    --------
    The examples of the methods continue this one.

    >>> with nengo.Network(seed=0) as net:
    ...     stimulus = nengo.Node([0.5], label="stimulus")
    ...     ens = nengo.Ensemble(20, dimensions=1, label="ens")
    ...     connection = nengo.Connection(stimulus, ens, synapse=None)
    ...     probe = nengo.Probe(ens, label="probe")
    >>> sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    >>> sim.run(0.02)
    >>> sim.data[probe].shape  # (minibatch_size, n_steps, size)
    (2, 20, 1)
    """

    @ignored_arguments(**IGNORED_BY_SIMULATOR)
    @nengo_places(4, "progress_bar", "optimize")
    def __init__(
        self,
        network: Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        device: str | None = None,
        unroll_simulation: int = 1,
        minibatch_size: int | None = None,
        progress_bar: Any = True,
        optimize: bool = True,
    ):
        self.closed = True  # until everything is there
        checks.check_network(network, model)
        checks.check_dt(dt, model)
        seed = checks.checked_seed(seed)
        progress_bar = checks.checked_progress_bar(progress_bar)
        optimize = checks.checked_flag("optimize", optimize)
        unroll_simulation = checks.checked_count("unroll_simulation", unroll_simulation)
        unrolled = checks.unrolled(unroll_simulation)
        if minibatch_size is not None:
            minibatch_size = checks.checked_count("minibatch_size", minibatch_size)
        if device is not None:
            device = checks.device_name(device, backends.active())
        self.minibatch_size = minibatch_size
        self.batch_size = 1 if minibatch_size is None else minibatch_size
        self.unroll_simulation = unroll_simulation
        self.device = device
        self.progress_bar, self.optimize = progress_bar, optimize
        with ProgressTracker(progress_bar, Progress("Building", "Build")) as progress:
            target = build.Target(self.batch_size, device, unrolled)
            built = build.build(network, dt, model, target, progress)
        self.model, self.program = built.model, built.compiled
        self._built, self._engine, self._host = built, built.engine, built.host
        self._last: LastValues | None = None
        self._alone = OneThread()
        self.trained_attributes = built.attributes.of
        self._inputs, self._names = built.inputs, built.names
        self._input_names = {node: built.names[node] for node in built.inputs}
        self._seed = _choose_seed(network, seed)
        self.records = {
            probe: ProbeRecord(probe, self.dt, keep, built.choices.data_dtype)
            for probe, keep in zip(self.model.probes, built.keras_model.kept, strict=True)
        }
        endpoints = Endpoints(self._inputs, self.model.probes, self._names)
        self._training = Training(built.keras_model, self._engine, endpoints)
        self._signal_index = SignalIndex(self.model, self.program.program.operators)
        self.closed = False
        self.reset()

    # -- attributes --------------------------------------------------------------------------------

    program: Compiled
    """The compiled network; print it to see its groups."""

    # what looks at the simulator is made when it is asked for: kept, it would be a cycle, for which
    # the simulator stays in memory until Python's collector finds it

    @property
    def data(self) -> SimulationData:
        """Maps probes to recorded data, and other objects to their current parameters."""
        return SimulationData(self)

    @property
    def signals(self) -> PresentSignals:
        """Maps Nengo's signals to their current values."""
        return PresentSignals(self, self._signal_index)

    @property
    def keras_model(self) -> NengoModel:
        """The ``keras.Model`` that contains the parameters; a closed simulator has none."""
        if self.closed:
            raise SimulatorClosed("Cannot access Simulator.keras_model after Simulator is closed")
        return self._built.keras_model

    @property
    def n_steps(self) -> int:
        """Number of steps since the last reset."""
        return self._state.n_steps

    @property
    def time(self) -> float:
        """Simulated time in seconds."""
        return self.n_steps * self.dt

    def trange(self, sample_every: float | None = None, dt: float | None = None) -> np.ndarray:
        """Times of the steps in seconds, or only those that a probe with ``sample_every`` recorded.

        Examples
        --------
        >>> len(sim.trange()) == sim.n_steps
        True
        """
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warnings.warn(
                "`dt` is deprecated. Use `sample_every` instead.", DeprecationWarning, stacklevel=2
            )
            sample_every = dt
        period = 1.0
        if sample_every is not None:
            period = checks.checked_duration("sample_every", sample_every) / self.dt
        steps = np.arange(1, self.n_steps + 1)
        return self.dt * steps[steps % period < 1]

    @older_arguments(obj="node_or_probe")
    def get_name(self, node_or_probe: Node | Probe) -> str:
        """The unique name of a Node or Probe in Keras.

        Examples
        --------
        >>> sim.get_name(probe)
        'probe'
        """
        name = checks.looked_up(node_or_probe, self._names)
        if name is None:
            raise ValidationError(
                f"{node_or_probe} is neither a Node without input nor a Probe of this network",
                attr="node_or_probe",
            )
        return name

    # -- closing, showing, pickling ----------------------------------------------------------------

    def close(self) -> None:
        """Free the resources of the simulation: the Keras model with all tensors on the device, and
        functions compiled only for this simulator. ``sim.data`` can still be read; running again
        raises SimulatorClosed.

        Examples
        --------
        >>> sim.close()
        >>> sim.closed
        True
        """
        if self.closed:
            return
        if sys is None or sys.is_finalizing():  # all is freed, and modules may be gone
            self.closed = True
            return
        self._alone.check()
        self._last = LastValues(self._engine, self._state)
        self._state = State((), self.n_steps)
        self.closed = True
        self._training.release()
        del self._built, self._engine, self._host, self._training

    def __enter__(self) -> Simulator:
        if self.closed:
            raise SimulatorClosed("Cannot re-open after simulator is closed")
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return simulator_text(self)

    def _repr_html_(self) -> str:
        return simulator_html(self)

    def __del__(self):
        # where Python ends, all is freed, and modules may be gone before
        if sys is None or sys.is_finalizing():
            return
        if not getattr(self, "closed", True):
            self._training.release()  # else only Python's collector finds it
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                "simulators manually to ensure resources are properly freed.",
                ResourceWarning,
                stacklevel=2,
            )

    def __getstate__(self) -> dict[str, Any]:
        if self._last is not None:
            return snapshot.take(self, self._last, None)
        return snapshot.take(self, LastValues(self._engine, self._state), self._engine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        Simulator.__init__(self, None, dt=model.dt, model=model, **state["arguments"])
        self._state = snapshot.restore(self, self._engine, state)
        if state["closed"]:
            self.close()


def _choose_seed(network: Network | None, seed: int | None) -> int:
    if seed is None and network is not None and network.seed is not None:
        seed = checks.checked_seed(network.seed + 1)
    return np.random.randint(maxint) if seed is None else seed
