"""Speed of training against plain Keras, snnTorch and PyTorch, in one process: ``python -m
nengo_dl.benchmarks.training``.

Each row is a ratio of times of two peers that took turns; a peer that is not installed is named as
such.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.measure import seconds_of

N_IN, N_HIDDEN, N_OUT = 784, 256, 10
BPTT_STEPS, BPTT_BATCH = 200, 32
TAU_MEM, DT = 0.02, 0.001


# -- autoencoder against plain Keras ---------------------------------------------------------------


def autoencoder_network(n_hidden: int = 64) -> nengo.Network:
    """784-64-784 rectified linear neurons."""
    with nengo.Network(seed=0) as net:
        net.a = nengo.Node(np.zeros(N_IN))
        kwargs = {
            "neuron_type": nengo.RectifiedLinear(),
            "gain": nengo.dists.Choice([1]),
            "bias": nengo.dists.Choice([0]),
        }
        b = nengo.Ensemble(n_hidden, 1, **kwargs)
        c = nengo.Ensemble(N_IN, 1, **kwargs)
        init = nengo_dl.dists.Glorot()
        nengo.Connection(net.a, b.neurons, transform=init, synapse=None)
        nengo.Connection(b.neurons, c.neurons, transform=init, synapse=None)
        net.p = nengo.Probe(c.neurons)
    return net


def autoencoder_model(n_hidden: int = 64) -> keras.Model:
    """The same in plain Keras."""
    return keras.Sequential(
        [
            keras.layers.Input((N_IN,)),
            keras.layers.Dense(n_hidden, activation="relu"),
            keras.layers.Dense(N_IN, activation="relu"),
        ]
    )


def autoencoder(images: np.ndarray, repeats: int, batch: int = 50) -> dict[str, list[float]]:
    """Seconds of an epoch: ours, Keras with its defaults, and Keras with several batches in an
    execution.
    """
    net = autoencoder_network()
    plain, fast = autoencoder_model(), autoencoder_model()
    plain.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
    fast.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse", steps_per_execution=25)
    with nengo_dl.Simulator(net, minibatch_size=batch, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
        sequences = images[:, None, :]
        runs = {
            "nengo_dl": lambda: sim.fit(sequences, sequences, verbose=0),
            "Keras, its defaults": lambda: plain.fit(images, images, batch_size=batch, verbose=0),
            "Keras, 25 steps per execution": lambda: fast.fit(
                images, images, batch_size=batch, verbose=0
            ),
        }
        return take_turns(runs, repeats)


# -- backpropagation through time against snnTorch and PyTorch -------------------------------------


def spiking_network() -> nengo.Network:
    """784-256-10 LIF neurons without refractory period, trained through their spikes."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(surrogate="fast_sigmoid", trainable=None)
        net.image = nengo.Node(np.zeros(N_IN))
        kwargs = {
            "neuron_type": nengo.LIF(tau_rc=TAU_MEM, tau_ref=0, amplitude=DT),
            "gain": nengo.dists.Choice([1]),
            "bias": nengo.dists.Choice([0]),
        }
        hidden = nengo.Ensemble(N_HIDDEN, 1, **kwargs)
        out = nengo.Ensemble(N_OUT, 1, **kwargs)
        for pre, post in ((net.image, hidden.neurons), (hidden.neurons, out.neurons)):
            nengo.Connection(pre, post, transform=nengo_dl.dists.He(), synapse=None)
        net.p = nengo.Probe(out.neurons)
        # what is compared are the weights between the layers
        net.config[nengo.Ensemble].trainable = False
    return net


def _torch_layers(torch):
    layers = torch.nn.Linear(N_IN, N_HIDDEN), torch.nn.Linear(N_HIDDEN, N_OUT)
    parameters = [p for layer in layers for p in layer.parameters()]
    return layers, torch.optim.SGD(parameters, lr=1e-3)


def snntorch_update(x: np.ndarray, y: np.ndarray) -> Callable[[], None] | None:
    """One update of the same network in snnTorch; None where it is not installed."""
    try:
        import snntorch
        import torch
        from snntorch import surrogate
    except ImportError:
        return None
    (first, second), optimizer = _torch_layers(torch)
    beta = float(np.exp(-DT / TAU_MEM))
    gradient = surrogate.fast_sigmoid(slope=25)
    lif1 = snntorch.Leaky(beta=beta, spike_grad=gradient)
    lif2 = snntorch.Leaky(beta=beta, spike_grad=gradient)
    x, y = torch.tensor(x), torch.tensor(y)

    def update():
        v1, v2, spikes = lif1.init_leaky(), lif2.init_leaky(), []
        for i in range(BPTT_STEPS):
            s1, v1 = lif1(first(x[:, i]), v1)
            s2, v2 = lif2(second(s1), v2)
            spikes.append(s2)
        _torch_step(torch, optimizer, spikes, y)

    return update


def torch_update(x: np.ndarray, y: np.ndarray) -> Callable[[], None] | None:
    """One update of the same network in plain PyTorch; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    (first, second), optimizer = _torch_layers(torch)
    beta = float(np.exp(-DT / TAU_MEM))
    x, y = torch.tensor(x), torch.tensor(y)

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, excess):
            ctx.save_for_backward(excess)
            return (excess > 0).float()

        @staticmethod
        def backward(ctx, gradient):
            (excess,) = ctx.saved_tensors
            return gradient / (1 + 25 * excess.abs()) ** 2

    def lif(current, voltage):
        voltage = beta * voltage + (1 - beta) * current
        spikes = Spike.apply(voltage - 1)
        return spikes, voltage * (1 - spikes.detach())

    def update():
        v1, v2, spikes = torch.zeros(1), torch.zeros(1), []
        for i in range(BPTT_STEPS):
            s1, v1 = lif(first(x[:, i]), v1)
            s2, v2 = lif(second(s1), v2)
            spikes.append(s2)
        _torch_step(torch, optimizer, spikes, y)

    return update


def _torch_step(torch, optimizer, spikes: list, y) -> None:
    loss = torch.nn.functional.mse_loss(torch.stack(spikes, dim=1), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def spiking(repeats: int) -> dict[str, list[float] | None]:
    """Seconds of one update through 200 steps of 784-256-10 neurons, batch 32; None for a peer
    that is missing.
    """
    rng = np.random.RandomState(0)
    x = rng.rand(BPTT_BATCH, BPTT_STEPS, N_IN).astype(np.float32)
    y = rng.rand(BPTT_BATCH, BPTT_STEPS, N_OUT).astype(np.float32)
    net = spiking_network()
    peers = {"snnTorch": snntorch_update(x, y), "PyTorch": torch_update(x, y)}
    with nengo_dl.Simulator(net, minibatch_size=BPTT_BATCH, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
        runs = {"nengo_dl": lambda: sim.train_on_batch({net.image: x}, {net.p: y})}
        runs.update({name: update for name, update in peers.items() if update is not None})
        times = take_turns(runs, repeats)
    return {**dict.fromkeys(peers), **times}


# -- measuring -------------------------------------------------------------------------------------


def take_turns(runs: dict[str, Callable], repeats: int) -> dict[str, list[float]]:
    """Seconds of each function in each repetition, in turns, after an untimed call of each."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds_of(run))
    return times


def report(title: str, times: dict[str, list[float] | None]) -> None:
    """Print by how much the first peer is faster than the others."""
    print(title)
    ours = times.pop("nengo_dl")
    for name, theirs in times.items():
        if theirs is None:
            print(f"  {name}: not installed")
            continue
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        print(
            f"  {name}: nengo_dl takes {1 / statistics.median(ratios):.2f} times as long, is "
            f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to "
            f"{max(ratios):.2f}); "
            f"medians {statistics.median(ours):.4f} and {statistics.median(theirs):.4f} s"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", help="path of an mnist.npz; random images where not given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["autoencoder", "spiking"])
    arguments = parser.parse_args()
    print(f"backend: {keras.backend.backend()}")
    if arguments.only != "spiking":
        if arguments.images:
            with np.load(arguments.images) as data:
                images = data["x_train"].reshape(-1, N_IN).astype(np.float32)
        else:
            images = np.random.RandomState(0).rand(20000, N_IN).astype(np.float32)
        report("autoencoder 784-64-784, one epoch", autoencoder(images, arguments.repeats))
    if arguments.only != "autoencoder":
        report(
            "backpropagation through 200 steps, 784-256-10 LIF, batch 32, one update",
            spiking(arguments.repeats),
        )


if __name__ == "__main__":
    main()
