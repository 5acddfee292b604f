"""Whether training can change anything: parameters, and gradients that reach them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from nengo.exceptions import SimulationError

from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.training.delays import Delays
from nengo_dl.runtime.training.gradients import GradientPaths


def check_parameters(model: NengoModel) -> None:
    """Training needs parameters, and gradients that reach them, through whatever number of steps.

    Raises
    ------
    SimulationError
        Where there is nothing to train. Where only some paths are cut off, a warning says
        which.
    """
    layers = model.lowered.layers
    if not model.trainable_variables:
        raise SimulationError(
            "the network has no trainable parameters; see configure_settings(trainable=...) "
            "and inference_only"
        )
    numbers = [model.network_outputs.index(n) for n in model.active_outputs]
    paths = GradientPaths(model.lowered.layout, numbers)
    blocking = paths.blocking()
    if paths.without_gradient() and not any(layer.trainable_weights for layer in layers):
        raise SimulationError(
            "no gradient reaches any trainable parameter from the probes with a loss "
            f"({', '.join(model.active_outputs)})"
            + (f", because Python code is in the way: {'; '.join(blocking)}" if blocking else "")
        )
    if blocking:
        warnings.warn(
            "no gradient goes through operators that run as Python code; what lies behind "
            "them is trained "
            f"by other paths only, or not at all: {'; '.join(blocking)}",
            stacklevel=4,
        )


def check_steps(model: NengoModel, count: Callable[[], int]) -> None:
    """Whether there are steps enough for gradients to get through the synapses.

    Parameters
    ----------
    model
        The network, which knows what the loss looks at.
    count
        Gives the number of steps of the data; called where it matters.

    Raises
    ------
    SimulationError
        Where they reach no parameter. Where a synapse lets nothing through, because there is
        only one step, a warning says which.
    """
    program = model.lowered.compiled.program
    probes = zip(model.network_outputs, program.model.probes, strict=True)
    delays = Delays(program, [probe for name, probe in probes if name in model.active_outputs])
    needed, synapses = delays.from_parameters() or 1, delays.synapses()
    n_steps = count() if needed > 1 or synapses else needed
    if needed > n_steps:
        raise SimulationError(
            "no gradient reaches any trainable parameter from the probes with a loss "
            f"({', '.join(model.active_outputs)}) in {n_steps} step{'s'[: n_steps - 1]}, because "
            "a synapse shows what it is given one step later; give data of at least "
            f"{needed} steps, or leave out the synapses in training"
        )
    if synapses and n_steps == 1:
        warnings.warn(
            "the data has one step, and a synapse shows what it is given one step later, so that "
            "nothing that comes before it is seen or trained; give data of more steps, or leave "
            f"out the synapse in training: {'; '.join(synapses)}",
            stacklevel=4,
        )
