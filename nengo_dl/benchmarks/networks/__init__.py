"""The networks on which speed is compared. Each function returns a network with a probe, ``net.p``.

Every network has a seed, so that two simulators build the same one. Other versions of Nengo and
NengoDL run them too, in interpreters of their own (see `nengo_dl.benchmarks.peers`): nothing here
imports the package that this is a part of, except functions that need layers.
"""

from .core import (
    basal_ganglia,
    cconv,
    closed_loop,
    connected,
    controlled,
    integrator,
    lif,
    pes,
    products,
    random_network,
    ring,
    tutorial,
    two_ensembles,
)
from .deep import lmu, mnist
from .spaun import spaun

__all__ = [
    "basal_ganglia",
    "cconv",
    "closed_loop",
    "connected",
    "controlled",
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
