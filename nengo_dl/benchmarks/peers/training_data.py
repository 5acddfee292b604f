"""What is trained on, and the sizes of networks; the same for all libraries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_IN, N_HIDDEN, N_OUT = 784, 256, 10


@dataclass(frozen=True)
class Sequences:
    """Shape of a batch of sequences, and time constants, in seconds."""

    batch: int
    n_steps: int
    tau: float = 0.02
    dt: float = 0.001

    @property
    def decay(self) -> float:
        """What is left of a voltage after a step."""
        return float(np.exp(-self.dt / self.tau))


BPTT = Sequences(batch=32, n_steps=200)
LAYER = Sequences(batch=16, n_steps=500)
SLOPE = 25  # of the surrogate derivative, 1 / (1 + slope * |excess|)²


def random_sequences(shape: Sequences, n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (batch, steps, n_in) and targets (batch, steps, n_out), in single precision."""
    rng = np.random.RandomState(0)
    draw = rng.random_sample
    inputs = draw((shape.batch, shape.n_steps, n_in))
    targets = draw((shape.batch, shape.n_steps, n_out))
    return inputs.astype(np.float32), targets.astype(np.float32)


def images(n: int) -> np.ndarray:
    """Pixels (n, 784)."""
    return np.random.RandomState(0).random_sample((n, N_IN)).astype(np.float32)
