"""Nengo's builders of ensembles, connections and what they consist of, with less around them.

They make the same signals and operators in the same order, from the same random numbers. What Nengo
looks up for each signal and object again is looked up once: the precision, names, the number of
states of a filter; and a generator of random numbers is given a new seed, where a new one takes
thirty times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo.utils.numpy as npext
import numpy as np
from nengo import Ensemble, Node
from nengo.builder import Model, connection, ensemble, neurons, processes, transforms
from nengo.builder.connection import BuiltConnection, slice_signal
from nengo.builder.ensemble import BuiltEnsemble, gen_eval_points, get_gain_bias
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.dists import Distribution, get_samples
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.neurons import Direct, NeuronType
from nengo.processes import Process
from nengo.rc import rc
from nengo.solvers import NoSolver
from nengo.synapses import Alpha, LinearFilter, Lowpass
from nengo.transforms import Dense, NoTransform

from nengo_dl._private.nengo import new_signal
from nengo_dl.compiler.building.decoders import is_known


class ObjectBuilder:
    """Builds objects into a model, in place of functions of Nengo's.

    Attributes
    ----------
    functions
        By the function of Nengo's what takes its place.
    """

    def __init__(self, model: Model):
        self.model = model
        self.dtype = rc.float_dtype
        self.functions: dict[Callable, Callable] = {
            ensemble.build_ensemble: self.build_ensemble,
            connection.build_connection: self.build_connection,
            neurons.build_neurons: self.build_neurons,
            transforms.build_dense: self.build_dense,
            transforms.build_no_transform: self.build_no_transform,
            processes.build_process: self.build_process,
        }
        self._generator = np.random.RandomState(0)
        self._ones: dict[tuple[int, int], Dense] = {}
        self._filters: dict[Any, tuple[int, dict]] = {}

    # -- random numbers and signals ----------------------------------------------------------------

    def _random_state(self, seed: int, *users: Any) -> np.random.RandomState:
        """A generator with a seed; one of its own where it may be kept by a user of it."""
        for user in users:
            if isinstance(user, Distribution | NeuronType) and not _is_nengos(user):
                return np.random.RandomState(seed)
        self._generator.seed(seed)
        return self._generator

    def signal(self, value: np.ndarray, name: str | None, readonly: bool = False) -> Signal:
        """A signal with an initial value."""
        if value.dtype != self.dtype or np.isnan(value.sum()):
            return Signal(value, name=name, readonly=readonly)  # which says what is wrong
        array = np.ascontiguousarray(value) if value.ndim else value  # which would add an axis
        return new_signal(array.view(), name, readonly)

    def zeros(self, shape: int | tuple[int, ...], name: str) -> Signal:
        """A signal that is zero at first."""
        return new_signal(np.zeros(shape, dtype=self.dtype).view(), name, False)

    # -- ensembles ---------------------------------------------------------------------------------

    def build_ensemble(self, model: Model, ens: Ensemble) -> None:
        """As `nengo.builder.ensemble.build_ensemble`."""
        neuron_type = ens.neuron_type
        if isinstance(neuron_type, Direct):
            return ensemble.build_ensemble(model, ens)
        drawn = (ens.eval_points, ens.encoders, ens.gain, ens.bias, ens.max_rates, ens.intercepts)
        rng = self._random_state(model.seeds[ens], *drawn)
        eval_points = gen_eval_points(ens, ens.eval_points, rng=rng, dtype=self.dtype)
        name, neurons = str(ens), ens.neurons
        signals, neuron_signals = model.sig[ens], model.sig[neurons]
        signals["in"] = signal_in = self.zeros(ens.dimensions, f"{name}.signal")
        model.add_op(Reset(signal_in))
        encoders = self._encoders(ens, rng)
        with np.errstate(divide="ignore"):  # in the rates of neurons that never fire
            gain, bias, max_rates, intercepts = get_gain_bias(ens, rng, dtype=self.dtype)

        n_neurons = ens.n_neurons
        neuron_signals["in"] = current = self.zeros(n_neurons, f"{name}.neuron_in")
        neuron_signals["out"] = self.zeros(n_neurons, f"{name}.neuron_out")
        neuron_signals["bias"] = self.signal(bias, f"{name}.bias", readonly=True)
        model.add_op(Copy(neuron_signals["bias"], current))
        model.build(neuron_type, neurons)

        scaled_encoders = encoders * (gain / ens.radius)[:, np.newaxis]
        signals["encoders"] = self.signal(scaled_encoders, f"{name}.scaled_encoders", readonly=True)
        if ens.noise is not None:
            model.build(ens.noise, sig_out=current, mode="inc")
        model.add_op(DotInc(signals["encoders"], signal_in, current, tag=f"{name} encoding"))
        signals["out"] = neuron_signals["out"]
        model.params[ens] = BuiltEnsemble(
            eval_points, encoders, intercepts, max_rates, scaled_encoders, gain, bias
        )
        return None

    def _encoders(self, ens: Ensemble, rng: np.random.RandomState) -> np.ndarray:
        if isinstance(ens.encoders, Distribution):
            encoders = get_samples(ens.encoders, ens.n_neurons, ens.dimensions, rng=rng)
            encoders = np.asarray(encoders, dtype=self.dtype)
        else:
            encoders = npext.array(ens.encoders, min_dims=2, dtype=self.dtype)
        if ens.normalize_encoders:
            encoders /= npext.norm(encoders, axis=1, keepdims=True)
        if np.any(np.isnan(encoders)):
            raise BuildError(
                f"NaNs detected in '{ens}' encoders. This usually means that you had "
                "zero-length encoders that were normalized, resulting in NaNs. Ensure all "
                "encoders have non-zero length, or set `normalize_encoders=False`."
            )
        return encoders

    def build_neurons(self, model, neurontype, neurons, input_sig=None, output_sig=None) -> None:
        """As `nengo.builder.neurons.build_neurons`."""
        signals = model.sig[neurons]
        input_sig = signals["in"] if input_sig is None else input_sig
        output_sig = signals["out"] if output_sig is None else output_sig
        rng = self._random_state(model.seeds[neurons.ensemble] + 1, neurontype)
        initial = neurontype.make_state(neurons.size_in, rng=rng, dtype=input_sig.dtype)
        state = {}
        for key, init in initial.items():
            if key in signals:
                raise BuildError(f"State name '{key}' overlaps with existing signal name")
            if npext.is_array_like(init):
                signals[key] = state[key] = self.signal(np.asarray(init), f"{neurons}.{key}")
            elif isinstance(init, np.random.RandomState):
                state[key] = init
            else:
                raise BuildError(
                    f"State '{key}' is of type '{type(init).__name__}'. Only array-likes "
                    "and RandomStates are currently supported."
                )
        model.add_op(SimNeurons(neurontype, J=input_sig, output=output_sig, state=state))

    # -- connections -------------------------------------------------------------------------------

    def build_connection(self, model: Model, conn: Any) -> None:
        """As `nengo.builder.connection.build_connection`, for connections to other objects than
        neurons without learning rules; all others are Nengo's.
        """
        pre, post, solver = conn.pre_obj, conn.post_obj, conn.solver
        signal_in = model.sig[pre].get("out") if pre in model.sig else None
        signal_out = model.sig[post].get("in") if post in model.sig else None
        usable = all(sig is not None and sig.size for sig in (signal_in, signal_out))
        decoded = isinstance(pre, Ensemble) and not isinstance(pre.neuron_type, Direct)
        if decoded:
            known = type(solver) is NoSolver or (is_known(solver) and not solver.weights)
        else:
            known = isinstance(pre, Node | Neurons) and conn.function is None
            known = known and not solver.weights
        if (
            not (usable and known and isinstance(post, Ensemble | Node))
            or conn.learning_rule is not None
        ):
            return connection.build_connection(model, conn)

        transform = conn.transform
        drawn = (conn.eval_points, getattr(transform, "init", None))
        rng = self._random_state(model.seeds[conn], *drawn)
        signals = model.sig[conn]
        signals["in"], signals["out"] = signal_in, signal_out
        eval_points = decoders = solver_info = None
        if decoded:
            eval_points, decoders, solver_info = model.build(solver, conn, rng)
        else:
            signal_in = slice_signal(model, signal_in, conn.pre_slice)
        encoders, post_slice = None, conn.post_slice
        if decoded and isinstance(post, Ensemble) and solver.weights:
            signals["out"] = signal_out = model.sig[post.neurons]["in"]
            encoders, post_slice = model.params[post].scaled_encoders.T[post_slice], None
        weighted, weights = model.build(
            transform, signal_in, decoders=decoders, encoders=encoders, rng=rng
        )
        signals["weights"] = weights
        if conn.synapse is not None:
            weighted = model.build(conn.synapse, weighted, mode="update")
        signals["weighted"] = weighted
        model.add_op(Copy(weighted, signal_out, dst_slice=post_slice, inc=True, tag=f"{conn}"))
        model.params[conn] = BuiltConnection(
            eval_points, solver_info, getattr(weights, "initial_value", None), transform
        )
        return None

    def build_dense(
        self, model, transform, sig_in, decoders=None, encoders=None, rng=np.random
    ) -> tuple[Signal, Signal]:
        """As `nengo.builder.transforms.build_dense`."""
        dtype, name = self.dtype, str(transform)
        weights = transform.sample(rng=rng).astype(dtype)
        if decoders is not None:
            weights = transforms.multiply(weights, decoders.astype(dtype))
        if encoders is not None:
            weights = transforms.multiply(encoders.astype(dtype).T, weights)
        weight_sig = self.signal(weights, f"{name}.weights", readonly=True)
        size = transform.size_out if encoders is None else weights.shape[0]
        weighted = self.zeros(size, f"{name}.weighted")
        model.add_op(Reset(weighted))
        op = ElementwiseInc if weights.ndim < 2 else DotInc
        model.add_op(op(weight_sig, sig_in, weighted, tag=f"{name}.apply_weights"))
        return weighted, weight_sig

    def build_no_transform(
        self, model, transform: NoTransform, sig_in, decoders=None, encoders=None, rng=np.random
    ) -> tuple[Signal, Signal | None]:
        """As `nengo.builder.transforms.build_no_transform`."""
        if decoders is None and encoders is None:
            return sig_in, None
        shape = transform.size_out, transform.size_in
        if shape not in self._ones:
            self._ones[shape] = Dense(shape, init=1.0)
        dense = self._ones[shape]
        return self.build_dense(model, dense, sig_in, decoders=decoders, encoders=encoders, rng=rng)

    def build_process(
        self, model, process: Process, sig_in=None, sig_out=None, mode="set"
    ) -> Signal:
        """As `nengo.builder.processes.build_process`; how many states a filter has is found out
        once.
        """
        known = type(process) in (Lowpass, Alpha, LinearFilter) and sig_in is not None
        if not known or (sig_out is not None and sig_out.shape != sig_in.shape):
            return processes.build_process(model, process, sig_in, sig_out, mode)
        shape = sig_in.shape
        if sig_out is None:
            sig_out = self.zeros(shape, f"{sig_in.name}.{process}")
        key = process.tau if type(process) is Lowpass else process
        if key not in self._filters:
            made = process.make_state(shape, shape, model.dt, dtype=sig_out.dtype)
            self._filters[key] = len(made["X"]), model.sig[process]
        order, signals = self._filters[key]
        x = np.zeros((order, *shape), dtype=sig_out.dtype)
        signals["_state_X"] = state = self.signal(x, None)
        model.add_op(
            SimProcess(
                process,
                sig_in,
                sig_out,
                model.time,
                mode=mode,
                state={"X": state},
                tag=str(process),
            )
        )
        return sig_out


def _is_nengos(obj: Any) -> bool:
    return type(obj).__module__.startswith("nengo.")
