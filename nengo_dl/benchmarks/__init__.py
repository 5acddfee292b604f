"""Networks on which speed is compared, and the comparison with nengo.Simulator.

``nengo-dl benchmark`` and ``python -m nengo_dl.benchmarks`` run it.
"""

from nengo_dl.benchmarks.networks import (
    basal_ganglia,
    cconv,
    closed_loop,
    integrator,
    pes,
    random_network,
    tutorial,
)

__all__ = [
    "basal_ganglia",
    "cconv",
    "closed_loop",
    "integrator",
    "pes",
    "random_network",
    "tutorial",
]
