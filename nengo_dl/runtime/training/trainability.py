"""Whether training can change anything: parameters, and gradients that reach them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from nengo.exceptions import SimulationError

from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.training.delays import Delays
from nengo_dl.runtime.training.gradients import GradientPaths


class Trainability:
    """What is known of the gradients of a network, found once for what the loss looks at.

    Parameters
    ----------
    model
        The network, which knows what the loss looks at.
    """

    def __init__(self, model: NengoModel):
        self._model, self._probes = model, ", ".join(model.active_outputs)
        paths = GradientPaths(
            model.lowered.flow, map(model.network_outputs.index, model.active_outputs)
        )
        self._unreached, self._blocking = paths.without_gradient(), paths.blocking()
        program = model.lowered.compiled.program
        probes = zip(model.network_outputs, program.model.probes, strict=True)
        self._delays = Delays(
            program, [probe for name, probe in probes if name in model.active_outputs]
        )
        self._synapses = self._delays.synapses()

    def check(self, count: Callable[[], int]) -> None:
        """Training needs parameters, gradients that reach them, and steps enough for these to get
        through the synapses.

        Parameters
        ----------
        count
            Gives the number of steps of the data; called where it matters.

        Raises
        ------
        SimulationError
            Where there is nothing to train. Where only some paths are cut off, a warning says
            which.
        """
        self._check_parameters()
        self._check_steps(count)

    def _check_parameters(self) -> None:
        if not self._model.trainable_variables:
            raise SimulationError(
                "the network has no trainable parameters; see configure_settings(trainable=...) "
                "and inference_only"
            )
        blocking, layers = self._blocking, self._model.lowered.layers
        if self._unreached and not any(layer.trainable_weights for layer in layers):
            raise SimulationError(
                "no gradient reaches any trainable parameter from the probes with a loss "
                f"({self._probes})"
                + (
                    f", because Python code is in the way: {'; '.join(blocking)}"
                    if blocking
                    else ""
                )
            )
        if blocking:
            warnings.warn(
                "no gradient passes through operators that run as Python code; parameters before "
                f"them are trained only through other paths, if at all: {'; '.join(blocking)}",
                stacklevel=5,
            )

    def _check_steps(self, count: Callable[[], int]) -> None:
        needed = self._delays.from_parameters() or 1
        n_steps = count() if needed > 1 or self._synapses else needed
        if needed > n_steps:
            raise SimulationError(
                "no gradient reaches any trainable parameter from the probes with a loss "
                f"({self._probes}) in {n_steps} step{'s'[: n_steps - 1]}, because "
                "each synapse delays by one step; give data of at least "
                f"{needed} steps, or remove the synapses for training"
            )
        if self._synapses and n_steps == 1:
            warnings.warn(
                "the data has one step, but each synapse delays by one step, so nothing before a "
                "synapse is used or trained; give data of more steps, or remove the synapse for "
                f"training: {'; '.join(self._synapses)}",
                stacklevel=5,
            )
