"""What ``nengo.Simulator`` gives for currents into neurons."""

import keras
import nengo
import numpy as np


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def in_nengo(neuron_type, currents):
    """Spikes, (steps, units), for currents of the same shape."""
    steps, units = currents.shape
    with nengo.Network(seed=0) as net:
        # half of it, times the gain: Nengo has no rates for neurons of gain 1
        halves = nengo.processes.PresentInput(currents / 2, 0.001)
        stimulus = nengo.Node(halves, size_out=units)
        ens = nengo.Ensemble(
            units, 1, neuron_type=neuron_type, gain=np.full(units, 2.0), bias=np.zeros(units)
        )
        nengo.Connection(stimulus, ens.neurons, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(steps)
        return sim.data[probe]
