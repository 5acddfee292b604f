"""The part of the simulator that hands out, saves and loads parameters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nengo import Node
from nengo.exceptions import ValidationError

from nengo_dl.compat.arguments import older_arguments
from nengo_dl.runtime import checks
from nengo_dl.runtime.parameters import freezing
from nengo_dl.runtime.results import exporting, saving
from nengo_dl.runtime.results.values import PresentValues
from nengo_dl.simulator.parts import SimulatorParts


class ParameterInterface(SimulatorParts):
    """Methods of `nengo_dl.Simulator` that deal with the parameters of Nengo objects."""

    def get_nengo_params(
        self, nengo_objs: Any, as_dict: bool = False, item: int | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return keyword arguments that create equal objects, with the current parameters.

        Parameters
        ----------
        nengo_objs
            An Ensemble, Connection or Probe, or a list of them.
        as_dict
            Whether to return a dict keyed by the labels of the objects.
        item
            The minibatch item whose weights to use, if an online learning rule changed the weights
            of each item separately.

        Returns
        -------
        dict, or list of dicts
            For Ensembles "gain", "bias", "encoders", "normalize_encoders", "max_rates" and
            "intercepts"; for Connections "transform", "solver" if they decode, and "function" if
            they need one; for Probes of decoded values "solver".

        Raises
        ------
        nengo.exceptions.ValidationError
            If an object is not in the network, if weights differ between items, or if labels are
            missing or not unique.

        Examples
        --------
        >>> params = sim.get_nengo_params([ens, connection])
        >>> with nengo.Network() as other:
        ...     copy = nengo.Ensemble(20, dimensions=1, **params[0])
        ...     copied = nengo.Connection(nengo.Node([0.5]), copy, synapse=None, **params[1])
        """
        self._check_open("read parameters")
        as_dict = checks.checked_flag("as_dict", as_dict)
        return freezing.nengo_params(self._live_parameters(item), nengo_objs, as_dict)

    def freeze_params(self, objs: Any, item: int | None = None) -> None:
        """Write the current parameters into the Nengo objects, for any Nengo simulator.

        Freeze the whole network to get the same output: Nengo solves again for decoders that are
        not frozen, using the new encoders and biases.

        Parameters
        ----------
        objs
            A network (with its subnetworks), an Ensemble, a Connection, a Probe, or a list of them.
        item
            As in `get_nengo_params`.

        Raises
        ------
        nengo.exceptions.ValidationError
            As in `get_nengo_params`; in this case, nothing is written.

        Examples
        --------
        >>> sim.freeze_params(net)
        >>> with nengo.Simulator(net, progress_bar=False) as reference:
        ...     reference.run(0.01)
        """
        self._check_open("freeze parameters")
        freezing.freeze(self._live_parameters(item), objs)

    @older_arguments(include_non_trainable="include_state", include_local="include_state")
    def save_params(self, path: str | os.PathLike, include_state: bool = False) -> None:
        """Save the parameters of all objects, trained or not, and the weights of Keras layers.

        The file can be loaded with other settings, another planner or another backend. An existing
        file is only replaced once the new one is complete.

        Parameters
        ----------
        path
            The file; ``.npz`` is added if it is missing.
        include_state
            Whether to also save the state of the simulation: voltages, filters, the number of
            steps. The internal state of Python functions and of processes with an input is not
            saved.

        Examples
        --------
        >>> sim.save_params("trained")  # writes trained.npz
        """
        self._check_open("save parameters")
        include_state = checks.checked_flag("include_state", include_state)
        saving.save(self._running(), path, include_state)

    @older_arguments(include_non_trainable="include_state", include_local="include_state")
    def load_params(self, path: str | os.PathLike, include_state: bool = False) -> None:
        """Load a file that `save_params` wrote.

        Parameters
        ----------
        path
            The file; ``.npz`` is added if it is missing.
        include_state
            Whether to also load the saved state and seed, and continue from there. Recorded data is
            kept.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        nengo.exceptions.ValidationError
            If the file is damaged or does not match the network. The message names the object that
            differs, and nothing is changed.

        Examples
        --------
        >>> sim.save_params("trained")
        >>> sim.load_params("trained")
        """
        self._check_open("load parameters")
        include_state = checks.checked_flag("include_state", include_state)
        self._alone.check()
        loaded = saving.load(self._running(), path, include_state)
        self._state, self.encoder_lengths = loaded.state, loaded.encoder_lengths
        if loaded.seed is not None:
            self._seed = loaded.seed
            self._restart_processes()
            saving.restore_processes(self._running(), loaded)

    def _live_parameters(self, item: int | None) -> freezing.LiveParameters:
        present = PresentValues(self._engine, self._state)
        if item is not None:
            item = checks.checked_item("item", item, self.batch_size)
        return freezing.LiveParameters(
            self.model, present, item, self.trained_attributes, self.encoder_lengths
        )

    def _running(self) -> saving.Running:
        operators = self.program.program.operators
        return saving.Running(
            self.model,
            operators,
            self._engine,
            self._host,
            self._state,
            self._seed,
            self.trained_attributes,
            self.encoder_lengths,
        )

    def export(
        self,
        path: str | os.PathLike,
        n_steps: int,
        inputs: Sequence[Node | str] | None = None,
        format: str = "saved_model",
    ) -> None:
        """Export the network, with its current parameters, to a file for other programs.

        The exported model takes a dict of arrays by the names of Nodes, and returns such a dict by
        the names of Probes (see `get_name`). The arrays have shape
        ``(minibatch_size, n_steps, size)``, with a fixed number of steps. Each call starts from the
        network's initial state, with the weights learned online so far. Neurons spike. Running the
        model requires neither Nengo nor nengo_dl.

        Parameters
        ----------
        path
            The folder (SavedModel) or file (ONNX).
        n_steps
            Number of steps.
        inputs
            The Nodes that take data; by default all Nodes without input. The other Nodes must be
            constant.
        format : {"saved_model", "onnx"}
            TensorFlow's SavedModel, which needs TensorFlow with either backend, or ONNX, which
            needs tf2onnx (with TensorFlow) or jax2onnx (with JAX). The extra ``onnx`` installs
            these.

        Raises
        ------
        nengo.exceptions.ValidationError
            If Python code runs in the network, including random processes.
        ImportError
            If the package that writes the file is not installed; the message names it.
        """
        self._check_open("be exported")
        n_steps = checks.checked_count("n_steps", n_steps)
        known = {self._names[node]: node for node in self._inputs if node in self._names}
        given = known if inputs is None else checks.listed_values("inputs", inputs)
        wanted = [self._input_name(node, known) for node in given]
        start = self._engine.keeping_learned(self._engine.initial_state(), self._state)
        with self._engine.scope(), self._training.loaded(start):
            exporting.export(
                self.keras_model,
                path,
                n_steps,
                list(wanted),
                format,
                self._host.labels_in_loop(),
            )

    def _input_name(self, node: Node | str, known: dict[str, Node]) -> str:
        name = node if isinstance(node, str) else checks.looked_up(node, self._names)
        if name not in known:
            raise ValidationError(
                f"{node} is not a Node without input of this network; these are {', '.join(known)}",
                attr="inputs",
            )
        return name
