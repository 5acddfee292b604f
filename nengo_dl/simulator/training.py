"""The part of the simulator that trains and evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_dl.runtime.checks import checked_flag, checked_number, listed_values
from nengo_dl.runtime.training.data import Start
from nengo_dl.runtime.training.gradients import GradientCheck
from nengo_dl.simulator.parts import SimulatorParts


class TrainingInterface(SimulatorParts):
    """Methods of `nengo_dl.Simulator` that train and evaluate its Keras model."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        jit_compile: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training and evaluation; see ``keras.Model.compile``.

        Parameters
        ----------
        optimizer
            A Keras optimizer or its name.
        loss, metrics, loss_weights
            One value for all probes, a list in the order of the probes, or a dict keyed by Probe or
            name. Functions are called with (targets, outputs), both of shape (minibatch_size,
            n_steps, probe.size_in).
        jit_compile
            Whether Keras compiles with XLA; by default whenever XLA supports the network.
        kwargs
            Passed on to ``keras.Model.compile``.

        Examples
        --------
        >>> adam = keras.optimizers.Adam(1e-4)
        >>> sim.compile(optimizer=adam, loss={probe: "mse"}, metrics={probe: ["mae"]})
        """
        self._check_open("compile")
        jit = self._built.choices.jit_compile if jit_compile is None else jit_compile
        if jit not in (None, "auto"):
            jit = checked_flag("jit_compile", jit)
        with self._alone:
            self._training.compile(optimizer, loss, metrics, loss_weights, jit, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the parameters; see ``keras.Model.fit``.

        Parameters
        ----------
        x
            Values for Nodes: a dict {Node or name: array}, a list in the order of the Nodes, or one
            array, each of shape (batch, n_steps, node.size_out). The last minibatch may be smaller
            than ``minibatch_size``. Alternatively a generator, ``keras.utils.PyDataset`` or
            ``tf.data.Dataset`` of minibatches ``(x, y)`` or ``(x, y, sample_weight)`` in these
            forms; ``x`` may then include the number of steps, as ``"n_steps"`` or as the last of
            several inputs. Nodes without data use their own output.
        y
            Targets of the probes that have a loss or metric, in the same forms, of shape (batch,
            n_steps, probe.size_in). For a custom loss function, they may have any number of steps.
        n_steps
            Number of steps; required if ``x`` is None.
        stateful
            Whether each minibatch, and the next call, continues where the previous one ended. Data
            is then not shuffled by default, and all minibatches must be full. Validation starts
            from the state in which ``fit`` started. Weights learned online are kept in any case,
            except those learned in validation.
        kwargs
            Passed on to ``keras.Model.fit``. ``validation_data`` is ``(x, y)``, ``(x, y,
            sample_weight)`` or batches, as above; ``sample_weight`` has shape (batch,) or (batch,
            n_steps), as one array, a list or a dict by Probe; ``class_weight`` is for a single
            probe.

        Returns
        -------
        keras.callbacks.History
            In ``history``: ``"loss"``, ``"<name>_loss"`` and ``"<name>_<metric>"``, and the same
            with ``"val_"``.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the data does not fit the network.
        nengo.exceptions.SimulationError
            If there is nothing to train, if the data has too few steps for gradients to pass
            through the synapses, or if `compile` was not called.

        Notes
        -----
        Probes are compared with their targets in every step, even those with ``sample_every``.
        Probes with ``keep_history=False`` (see `configure_settings`) are compared only in the last
        step, and their targets have one step.

        Examples
        --------
        >>> values = np.linspace(-1, 1, 8)[:, None, None]  # eight items of one step
        >>> history = sim.fit({stimulus: values}, {probe: values**2}, epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        self._check_open("fit")
        with self._alone:
            history, self._state = self._training.fit(
                x, y, self._start(n_steps, stateful), **{"verbose": self._verbosity(), **kwargs}
            )
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Compute the loss and metrics on data; the arguments are those of `fit`.

        Returns
        -------
        dict
            ``"loss"`` and for each probe ``"<name>_loss"`` and ``"<name>_<metric>"``.

        Examples
        --------
        >>> values = np.linspace(-1, 1, 8)[:, None, None]
        >>> results = sim.evaluate({stimulus: values}, {probe: values**2}, verbose=0)
        >>> results["probe_mae"] < 1
        True
        """
        self._check_open("evaluate")
        with self._alone:
            logs, self._state = self._training.evaluate(
                x, y, self._start(n_steps, stateful), **{"verbose": self._verbosity(), **kwargs}
            )
        return logs

    def train_on_batch(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Make one update with at most one minibatch; returns the loss and metrics.

        Examples
        --------
        >>> logs = sim.train_on_batch({stimulus: np.ones((2, 1, 1))}, {probe: np.zeros((2, 1, 1))})
        >>> "loss" in logs
        True
        """
        self._check_open("train_on_batch")
        start = self._start(n_steps, stateful)
        with self._alone:
            logs, self._state = self._training.train_on_batch(x, y, start, **kwargs)
        return logs

    def _start(self, n_steps: int | None, stateful: bool) -> Start:
        stateful = checked_flag("stateful", stateful) and self._built.choices.stateful
        return Start(self._state, n_steps, stateful)

    def check_gradients(
        self,
        inputs: Any = None,
        outputs: Probe | Sequence[Probe] | None = None,
        atol: float = 1e-5,
        rtol: float = 1e-3,
        n_steps: int | None = None,
    ) -> None:
        """Compare the gradients of probes' outputs with finite differences, along random
        directions of each parameter and input.

        The comparison allows for rounding and for the thresholds of neurons, so there are no false
        alarms in ``float32``. To detect small errors, use ``configure_settings(dtype="float64")``.
        A warning says if there was nothing to compare.

        Parameters
        ----------
        inputs
            Values of the Nodes for one minibatch, as `predict` takes them: arrays of shape
            (minibatch_size, n_steps, size). By default the Nodes' own outputs.
        outputs
            Probes to check; all by default.
        atol, rtol
            Allowed absolute and relative difference.
        n_steps
            Number of steps for backpropagation; by default the number of steps of the inputs, or 5.

        Raises
        ------
        nengo.exceptions.SimulationError
            If the gradients differ, or if outputs or gradients are NaN or infinite.

        Examples
        --------
        >>> sim.check_gradients(outputs=probe, n_steps=2)
        """
        self._check_open("check_gradients")
        atol, rtol = checked_number("atol", atol, 0), checked_number("rtol", rtol, 0)
        probes = self.model.probes if outputs is None else listed_values("outputs", outputs)
        names = [self.get_name(probe) for probe in probes]
        if not names or not all(isinstance(probe, Probe) for probe in probes):
            raise ValidationError(
                f"expected Probes of this network, got {outputs!r}", attr="outputs"
            )
        if inputs is None and n_steps is None:
            n_steps = 5
        examples, _ = self._training.data.named_inputs(inputs, n_steps, self._state)
        with self._alone, self._engine.scope(), self._training.loaded(self._state):
            GradientCheck(
                self.keras_model,
                {name: x[: self.batch_size] for name, x in examples.items()},
                names,
                atol,
                rtol,
            ).run(self._engine.backend)

    def _verbosity(self) -> str | int:
        return "auto" if self.progress_bar else 0
