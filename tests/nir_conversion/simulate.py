"""What tests of NIR share: simulations, and NIR's nodes computed step by step with NumPy."""

import nengo
import numpy as np

DT = 0.001


def chip_lif(**kwargs):
    """LIF neurons of which NIR can express everything."""
    start = {"voltage": nengo.dists.Choice([0])}
    return nengo.LIF(**{"tau_ref": 0, "min_voltage": -np.inf, "initial_state": start, **kwargs})


def record(net, n_steps=100, dt=DT, probes=None):
    """What the probes of a network record in nengo.Simulator, by label."""
    with nengo.Simulator(net, dt=dt, progress_bar=False) as sim:
        sim.run_steps(n_steps)
    probes = net.all_probes if probes is None else probes
    return {probe.label: sim.data[probe] for probe in probes}


def signal(size, seed=0, scale=1.0):
    """A function of time for a Node."""
    rng = np.random.RandomState(seed)
    frequency, phase = rng.uniform(2, 20, size), rng.uniform(0, 6, size)
    return lambda t: scale * np.sin(frequency * t * 6 + phase)


def rows(function, n_steps=100, dt=DT):
    """The values of such a function in each step."""
    return np.array([function((i + 1) * dt) for i in range(n_steps)])


def neuron(x, tau, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0, dt=DT, start=0.0, decay=None):
    """Spikes of NIR's LIF for currents (n_steps, n), solved exactly for each step."""
    decay = np.exp(-dt / np.asarray(tau)) if decay is None else decay
    v = np.zeros(x.shape[1]) + start
    spikes = []
    for row in x:
        target = v_leak + r * row
        v = target + (v - target) * decay
        spikes.append(v > v_threshold)
        v = np.where(spikes[-1], v_reset, v)
    return np.array(spikes, dtype=float)


def lowpass(x, tau, r=1.0, v_leak=0.0, dt=DT):
    """NIR's LI, whose output in Nengo is a step later."""
    decay = np.exp(-dt / np.asarray(tau))
    v, result = np.zeros(x.shape[1]), []
    for row in x:
        result.append(v)
        v = decay * v + (1 - decay) * (v_leak + r * row)
    return np.array(result)


def convolve(image, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """A convolution of an image (channels, *sizes), by its definition."""
    n = weight.ndim - 2
    stride, padding, dilation = (np.broadcast_to(v, n) for v in (stride, padding, dilation))
    image = np.pad(image, [(0, 0), *((p, p) for p in padding)])
    kernel = weight.shape[2:]
    sizes = [
        (image.shape[1 + i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i in range(n)
    ]
    result = np.zeros((len(weight), *sizes))
    per_group_out, per_group_in = len(weight) // groups, weight.shape[1]
    for place in np.ndindex(*sizes):
        window = image[
            (
                slice(None),
                *(
                    slice(p * s, p * s + (k - 1) * d + 1, d)
                    for p, s, k, d in zip(place, stride, kernel, dilation, strict=True)
                ),
            )
        ]
        for out in range(len(weight)):
            first = out // per_group_out * per_group_in
            part = window[first : first + per_group_in]
            result[(out, *place)] = np.sum(part * weight[out])
    if bias is not None:
        result += np.reshape(bias, (-1, *[1] * n))
    return result
