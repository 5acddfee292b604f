"""Running and training small networks."""

import nengo_dl


def run(net, n_steps, minibatch_size=2, data=None, **kwargs):
    """What each probe saw, (minibatch_size, n_steps, size)."""
    with nengo_dl.Simulator(
        net, minibatch_size=minibatch_size, progress_bar=False, **kwargs
    ) as sim:
        sim.run_steps(n_steps, data=data)
        return {probe: sim.data[probe].copy() for probe in net.all_probes}


def fit(net, x, y, optimizer="sgd", minibatch_size=2, epochs=1, **kwargs):
    """The losses of the epochs."""
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.compile(optimizer, loss="mse")
        history = sim.fit(x, y, epochs=epochs, shuffle=False, verbose=0, **kwargs)
    return history.history["loss"]
