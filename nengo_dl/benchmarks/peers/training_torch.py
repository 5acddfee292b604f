"""Jobs that train networks of LIF neurons in libraries on PyTorch; a unit of a run is one update.

A layer of neurons is a function ``(currents, n_steps) -> spikes``, where ``currents`` is a function
from a step's input to its current; the dense layers are PyTorch's in all of them. Where a library
takes all steps at once (SpikingJelly's ``step_mode="m"``), it gets them at once. Everything is on
the GPU where PyTorch finds one.
"""

from __future__ import annotations

import torch

from .simulators import Job, versions
from .training_data import BPTT, LAYER, N_HIDDEN, N_IN, N_OUT, SLOPE, Sequences, random_sequences


def spiking(library: str) -> Job:
    """Updates through 200 steps of 784-256-10 LIF neurons, with a mean squared error."""
    return _updates(library, [N_IN, N_HIDDEN, N_OUT], BPTT, torch.nn.functional.mse_loss)


def layer(library: str, n_neurons: int) -> Job:
    """Forward and backward pass through 500 steps of one dense layer of LIF neurons.

    The loss is the sum of the spikes.
    """
    return _updates(library, [n_neurons, n_neurons], LAYER, lambda spikes, y: spikes.sum())


def _updates(library: str, sizes: list[int], shape: Sequences, loss) -> Job:
    make, package = LIBRARIES[library]
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    dense = torch.nn.ModuleList(
        [torch.nn.Linear(*pair, bias=False) for pair in zip(sizes[:-1], sizes[1:])]  # noqa: B905
    ).to(device)
    forward = make(dense, shape)
    optimizer = torch.optim.SGD(dense.parameters(), lr=1e-3)
    # time first, as all of them want it
    x, y = (
        torch.tensor(values, device=device).transpose(0, 1).contiguous()
        for values in random_sequences(shape, sizes[0], sizes[-1])
    )

    def run(n):
        for _ in range(n):
            optimizer.zero_grad()
            loss(forward(x), y).backward()
            optimizer.step()
        if gpu:
            torch.cuda.synchronize()

    name = torch.cuda.get_device_name() if gpu else "cpu"
    return run, {"versions": versions(["torch", *package]), "device": name}


# -- libraries: a function from dense layers to a function from inputs to spikes, time first -------


def _snntorch(dense, shape):
    import snntorch
    from snntorch import surrogate

    gradient = surrogate.fast_sigmoid(slope=SLOPE)
    neurons = [
        snntorch.Leaky(beta=shape.decay, spike_grad=gradient).to(weights.weight.device)
        for weights in dense
    ]

    def forward(x):
        voltages = [lif.init_leaky() for lif in neurons]
        spikes = []
        for values in x:
            for i, (weights, lif) in enumerate(zip(dense, neurons)):  # noqa: B905
                values, voltages[i] = lif(weights(values), voltages[i])
            spikes.append(values)
        return torch.stack(spikes)

    return forward


def _torch(dense, shape):
    decay = shape.decay

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, excess):
            ctx.save_for_backward(excess)
            return (excess > 0).float()

        @staticmethod
        def backward(ctx, gradient):
            (excess,) = ctx.saved_tensors
            return gradient / (1 + SLOPE * excess.abs()) ** 2

    def forward(x):
        voltages, spikes = [torch.zeros(()) for _ in dense], []
        for values in x:
            for i, weights in enumerate(dense):
                voltage = decay * voltages[i] + (1 - decay) * weights(values)
                values = Spike.apply(voltage - 1)
                voltages[i] = voltage * (1 - values.detach())
            spikes.append(values)
        return torch.stack(spikes)

    return forward


def _norse(dense, shape):
    from norse.torch import LIFBoxCell, LIFBoxParameters, SequentialState

    parameters = LIFBoxParameters(
        tau_mem_inv=torch.tensor(1 / shape.tau), alpha=torch.tensor(float(SLOPE))
    )
    model = SequentialState(
        *(module for weights in dense for module in (weights, LIFBoxCell(parameters, dt=shape.dt)))
    ).to(dense[0].weight.device)

    def forward(x):
        state, spikes = None, []
        for values in x:
            values, state = model(values, state)
            spikes.append(values)
        return torch.stack(spikes)

    return forward


def _spikingjelly(dense, shape):
    from spikingjelly.activation_based import functional, neuron, surrogate

    model = torch.nn.Sequential()
    for weights in dense:
        model.append(weights)
        model.append(
            neuron.LIFNode(
                tau=shape.tau / shape.dt,
                surrogate_function=surrogate.SoftSign(alpha=float(SLOPE)),
                detach_reset=True,
                step_mode="m",
            )
        )

    model = model.to(dense[0].weight.device)

    def forward(x):
        functional.reset_net(model)
        return model(x)

    return forward


LIBRARIES = {
    "snntorch": (_snntorch, ["snntorch"]),
    "torch": (_torch, []),
    "norse": (_norse, ["norse"]),
    "spikingjelly": (_spikingjelly, ["spikingjelly"]),
}
