"""Networks on which speed is compared, and the comparison with other libraries.

``nengo-dl benchmark`` and ``python -m nengo_dl.benchmarks`` run it.
"""

from nengo_dl.benchmarks.networks import (
    basal_ganglia,
    cconv,
    closed_loop,
    connected,
    integrator,
    lif,
    lmu,
    mnist,
    pes,
    products,
    random_network,
    ring,
    spaun,
    tutorial,
    two_ensembles,
)

__all__ = [
    "basal_ganglia",
    "cconv",
    "closed_loop",
    "connected",
    "integrator",
    "lif",
    "lmu",
    "mnist",
    "pes",
    "products",
    "random_network",
    "ring",
    "spaun",
    "tutorial",
    "two_ensembles",
]
