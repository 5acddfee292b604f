"""Gains for which Nengo does not warn."""

from __future__ import annotations

import nengo
import numpy as np
from nengo import Network
from nengo.transforms import NoTransform, SparseMatrix

from nengo_dl.runtime.parameters.freezing import with_weights

#: current at which neurons fire without doubt
CURRENT = 1.05


def raise_gain(network: Network, ens: nengo.Ensemble) -> None:
    """Give an ensemble gains with which all its neurons fire for an input of 1.

    Nengo's builder computes their rates there, and warns where there is none. The weights of all
    connections to the neurons become less by the same factor, a power of 2, so that nothing is
    rounded.
    """
    short = ens.gain + ens.bias < CURRENT
    if not np.any(short) or np.any(ens.gain[short] <= 0):
        return
    needed = np.max((CURRENT - ens.bias[short]) / ens.gain[short])
    factor = 2.0 ** np.ceil(np.log2(needed))
    ens.gain = ens.gain * factor
    for conn in network.all_connections:
        if conn.post_obj == ens.neurons:
            if isinstance(conn.transform, NoTransform):
                conn.transform = 1 / factor
            elif isinstance(conn.transform, nengo.Sparse):
                init = conn.transform.init
                weights = SparseMatrix(init.indices, init.data / factor, init.shape)
                conn.transform = with_weights(conn, weights)
            else:
                conn.transform = with_weights(conn, np.asarray(conn.transform.init) / factor)
