"""Many simulations of one kind: a network for each point of a grid of parameters.

Points whose networks have equal structure are simulated side by side, in one compiled program; an
executor spreads them over processes and machines. `nengo_dl.sweep` is where to begin.
"""

from nengo_dl.sweeps.results import Results
from nengo_dl.sweeps.run import Sweep, sweep

__all__ = ["Results", "Sweep", "sweep"]
