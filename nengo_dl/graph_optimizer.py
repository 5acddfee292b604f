"""Functions that decide how a network is compiled, for `nengo_dl.configure_settings`.

*Planners* take the list of operators and return the groups that are computed together, in order.
*Sorters* order the operators inside each group. *Simplifications* take the list of operators and
return an equivalent list that is shorter or cheaper. These functions do not change the results of a
network, but they affect how fast it compiles and runs.

Examples
--------
>>> from functools import partial
>>> import nengo
>>> import nengo_dl
>>> from nengo_dl import graph_optimizer
>>> with nengo.Network() as net:
...     nengo_dl.configure_settings(
...         planner=partial(graph_optimizer.tree_planner, max_depth=4),
...         sorter=graph_optimizer.noop_order_signals,
...         simplifications=[graph_optimizer.remove_zero_incs],
...     )
"""

from nengo_dl.compiler.order import noop_order_signals, order_signals
from nengo_dl.compiler.plan import (
    greedy_planner,
    noop_planner,
    transitive_planner,
    tree_planner,
)
from nengo_dl.compiler.simplify import (
    default_simplifications,
    remove_constant_copies,
    remove_identity_muls,
    remove_reset_incs,
    remove_unmodified_resets,
    remove_zero_incs,
    split_outer_products,
)

__all__ = [
    "default_simplifications",
    "greedy_planner",
    "noop_order_signals",
    "noop_planner",
    "order_signals",
    "remove_constant_copies",
    "remove_identity_muls",
    "remove_reset_incs",
    "remove_unmodified_resets",
    "remove_zero_incs",
    "split_outer_products",
    "transitive_planner",
    "tree_planner",
]
