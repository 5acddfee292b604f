"""What Nengo's builder says of an ensemble, once its scaled encoders and biases have changed.

Nengo scales encoders with the gain: ``scaled = gain * encoders / radius``. Training changes the
product, so it takes a rule to tell the two apart: encoders keep the length with which they were
built, and the gain follows. Needs Nengo and NumPy only.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from nengo import Connection, Ensemble
from nengo.builder import Model
from nengo.builder.ensemble import BuiltEnsemble
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType


def present_ensemble(
    ens: Ensemble,
    built: BuiltEnsemble,
    scaled: np.ndarray,
    bias: np.ndarray,
    neuron_type: NeuronType | None = None,
    lengths: np.ndarray | None = None,
) -> BuiltEnsemble:
    """``built`` with other scaled encoders and biases, and with all that follows from them.

    Parameters
    ----------
    ens
        The ensemble, of neurons.
    built
        What Nengo's builder made of it. Neurons that did not change are exactly as there.
    scaled
        (..., n_neurons, dimensions), where items of a minibatch come first.
    bias
        (..., n_neurons)
    neuron_type
        Where its attributes were trained, with their present values.
    lengths
        (..., n_neurons), of the encoders; those of the built ones by default.
    """
    same = np.array_equal(bias, built.bias) and neuron_type in (None, ens.neuron_type)
    if same and lengths is None and np.array_equal(scaled, built.scaled_encoders):
        return built
    gain, encoders = gain_and_encoders(built, ens.radius, scaled, lengths)
    max_rates, intercepts = _rates_and_intercepts(neuron_type or ens.neuron_type, gain, bias)
    return built._replace(
        scaled_encoders=scaled,
        encoders=encoders,
        gain=gain,
        bias=bias,
        max_rates=max_rates,
        intercepts=intercepts,
    )


def gain_and_encoders(
    built: BuiltEnsemble,
    radius: float,
    scaled: np.ndarray,
    lengths: np.ndarray | None = None,
    keep_gain: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The gains (..., n_neurons) and encoders (..., n_neurons, dimensions) of `present_ensemble`;
    with ``keep_gain`` encoders change their length, and not the gain.

    Encoders that were built as 0 have no length to keep; they keep the gain too.
    """
    old_gain, old_lengths = np.asarray(built.gain), np.linalg.norm(built.encoders, axis=1)
    same = np.all(scaled == built.scaled_encoders, axis=-1)
    if lengths is None:
        lengths = old_lengths
    else:
        same &= np.isclose(lengths, old_lengths)
    size = radius * np.linalg.norm(scaled, axis=-1)
    gain = np.where(old_gain < 0, -size, size) / np.where(lengths == 0, 1, lengths)
    keeps = same | keep_gain | ((lengths == 0) & (old_gain != 0))
    gain = np.where(keeps, old_gain, gain).astype(built.encoders.dtype)
    encoders = encoders_of(scaled, gain, radius, otherwise=built.encoders)
    return gain, np.where(same[..., None], built.encoders, encoders)


def encoders_of(
    scaled: np.ndarray, gain: np.ndarray, radius: float, otherwise: np.ndarray
) -> np.ndarray:
    """Encoders (..., n_neurons, dimensions) without the gains; ``otherwise`` where these are 0."""
    scale = np.asarray(gain)[..., None] / radius
    return np.where(scale == 0, otherwise, scaled / np.where(scale == 0, 1, scale))


def encoder_lengths(scaled: np.ndarray, gain: np.ndarray, radius: float, otherwise: np.ndarray):
    """Lengths of encoders (..., n_neurons) that have these gains; ``otherwise`` where these are
    0.
    """
    size, gain = radius * np.linalg.norm(scaled, axis=-1), np.abs(gain)
    return np.where(gain == 0, otherwise, size / np.where(gain == 0, 1, gain))


def _rates_and_intercepts(neuron_type: NeuronType, gain: np.ndarray, bias: np.ndarray) -> tuple:
    """As the neuron type says, for each item of a minibatch; None where it cannot say."""
    gain, bias = np.broadcast_arrays(gain, bias)
    n = gain.shape[-1]
    items = list(zip(gain.reshape(-1, n), bias.reshape(-1, n), strict=True))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a neuron that never fires has no maximum rate
        try:
            results = [neuron_type.max_rates_intercepts(*item) for item in items]
        except Exception:  # a user's neuron type, of which Nengo asks it only for given gains
            return None, None
    if any(values is None for result in results for values in result):
        return None, None
    rates, intercepts = (np.reshape(values, gain.shape) for values in zip(*results, strict=True))
    return rates, intercepts


def with_fixed_gain(model: Model) -> set[Ensemble]:
    """Ensembles whose gain does more in a simulation than to scale the encoders, so that a network
    with another one is another network: Nengo multiplies with it what is connected to the neurons
    themselves, and rules that learn encoders (Voja) aim at encoders that are scaled with it.
    """
    found = set()
    for obj in model.params:
        if isinstance(obj, Connection) and isinstance(obj.post_obj, Neurons):
            found.add(obj.post_obj.ensemble)
        elif isinstance(obj, LearningRule) and obj.modifies == "encoders":
            found.add(obj.connection.post_obj)
    return found


def ensemble_params(
    ens: Ensemble,
    scaled_encoders: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    encoders: np.ndarray | None = None,
) -> dict[str, Any]:
    """Keyword arguments of an Ensemble.

    Parameters
    ----------
    scaled_encoders
        (n_neurons, dimensions), times gain / radius.
    gain, bias
        (n_neurons,)
    encoders
        Those without the scale, where they are known; needed for neurons with gain 0.
    """
    if np.any(scaled_encoders[np.asarray(gain) == 0]):
        raise ValidationError(
            f"{ens} has neurons with gain 0 whose scaled encoders are not 0; Nengo scales "
            "encoders with the gain, so "
            "it cannot be given these. Give the neurons other gains before training",
            attr="encoders",
        )
    if encoders is None:
        encoders = encoders_of(scaled_encoders, gain, ens.radius, np.zeros_like(scaled_encoders))
    return {
        "gain": np.array(gain),
        "bias": np.array(bias),
        "encoders": np.array(encoders),
        "normalize_encoders": False,
        # others would have no effect, of which Nengo warns
        "max_rates": Ensemble.max_rates.default,
        "intercepts": Ensemble.intercepts.default,
    }
