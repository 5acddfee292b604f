# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimizing a cognitive model with temporal dynamics
#
# In the [other cognitive example](spa_retrieval.ipynb), the input is a trace of bound pairs, and
# the network retrieves from it in a single step. Here, the pairs arrive one after another. The
# network binds each pair and adds it to a memory of spiking neurons, which has to hold the sum. At
# the end, the network is asked for one of the fillers. The final error therefore depends on events
# many steps before, and gradients have to go back through time.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.record import run_record
from nengo_dl.losses import nan_mse

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few dimensions, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

# %% [markdown]
# ## A trial
#
# Two pairs of role and filler are presented for 50 ms each. Then one of the two roles is the cue,
# for 50 ms, and its filler is the target. Each trial uses new random vectors, so the network cannot
# memorize them.

# %%
dimensions, n_pairs, n_fillers = (16, 2, 20) if short else (64, 2, 100)
duration = 0.05  # of each pair and of the cue, in seconds


def unit_vectors(rng, *shape):
    """Random vectors of length 1, along the last axis."""
    vectors = rng.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def bind(a, b):
    """Circular convolution along the last axis."""
    return np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b), n=a.shape[-1])


def inverse(a):
    """The approximate inverse of binding: the elements after the first one, backwards."""
    return np.roll(a[..., ::-1], 1, axis=-1)


def make_trials(rng, fillers, dt):
    """Sequences of shape (n, steps, dimensions), and which pair is cued, for fillers of shape
    (n, pairs, dimensions).
    """
    n, steps = len(fillers), round(duration / dt)  # of each part of a trial
    roles = unit_vectors(rng, *fillers.shape)
    cued = rng.randint(n_pairs, size=n)
    parts = {
        "role": np.concatenate([roles, np.zeros((n, 1, dimensions))], axis=1),
        "filler": np.concatenate([fillers, np.zeros((n, 1, dimensions))], axis=1),
        "cue": np.zeros((n, n_pairs + 1, dimensions)),
        "target": np.zeros((n, n_pairs + 1, dimensions)),
    }
    parts["cue"][:, -1] = roles[np.arange(n), cued]
    parts["target"][:, -1] = fillers[np.arange(n), cued]
    return {name: np.repeat(part, steps, axis=1) for name, part in parts.items()}, cued


n_test = 200 if short else 1000
rng = np.random.RandomState(1)
vocabulary = unit_vectors(rng, n_fillers, dimensions)
words = np.array([rng.choice(n_fillers, n_pairs, replace=False) for _ in range(n_test)])
test_trials, cued = make_trials(rng, vocabulary[words], dt=0.001)
right_words = words[np.arange(n_test), cued]


def accuracy(outputs):
    """Share of trials in which no other word of the vocabulary is more like the output."""
    return np.mean(np.argmax(outputs @ vocabulary.T, axis=1) == right_words)


steps = round(duration / 0.001)
bound = bind(test_trials["role"], test_trials["filler"])[:, ::steps].sum(axis=1)
exact = bind(bound, inverse(test_trials["cue"][:, -1]))
print(f"{n_test} trials of the test, {n_fillers} words")
print(f"chance: {1 / n_fillers:.1%}, with exact arithmetic: {accuracy(exact):.1%}")

# %% [markdown]
# ## The network
#
# One circular convolution binds, with five LIF neurons for each product. The memory is an
# integrator: twenty neurons for each dimension, with a recurrent connection through a synapse of
# 100 ms. A second circular convolution unbinds. An integrator with a synapse of time constant
# $\tau$ computes $\tau^{-1} \int u\,dt$, so a factor of $\tau / 50\,\mathrm{ms}$ makes each pair
# count once; the factor $1/\sqrt{2}$ keeps the length of the sum near 1.
#
# With `amplitude=0.01`, activities are in units of 100 Hz, which makes the decoders a hundred times
# larger and changes nothing else. This prepares the network for training: in each update, Adam
# changes each weight by about the learning rate. Decoders for activities in hertz have a size of
# about 0.001, and a learning rate that suits encoders and biases would destroy them in a few
# updates.

# %%
tau = 0.1
with nengo.Network(seed=0) as net:
    net.config[nengo.Ensemble].neuron_type = nengo.LIF(amplitude=0.01)
    inputs = {
        name: nengo.Node(np.zeros(dimensions), label=name) for name in ("role", "filler", "cue")
    }
    binding = nengo.networks.CircularConvolution(5, dimensions)
    memory = nengo.networks.EnsembleArray(20, dimensions, radius=3 / np.sqrt(dimensions))
    unbinding = nengo.networks.CircularConvolution(5, dimensions, invert_b=True)
    output = nengo.Node(size_in=dimensions, label="output")

    nengo.Connection(inputs["role"], binding.input_a, synapse=None)
    nengo.Connection(inputs["filler"], binding.input_b, synapse=None)
    scale = tau / duration / np.sqrt(n_pairs)
    nengo.Connection(binding.output, memory.input, synapse=tau, transform=scale)
    feedback = nengo.Connection(memory.output, memory.input, synapse=tau)
    nengo.Connection(memory.output, unbinding.input_a)
    nengo.Connection(inputs["cue"], unbinding.input_b, synapse=None)
    nengo.Connection(unbinding.output, output, synapse=None)

    p_bound = nengo.Probe(binding.output, synapse=0.01)
    p_memory = nengo.Probe(memory.output, synapse=0.01)
    p_output = nengo.Probe(output, synapse=0.02)
    nengo_dl.configure_settings(stateful=False)  # each trial begins from rest

print(f"{net.n_neurons} neurons, {set(ens.neuron_type for ens in net.all_ensembles)}")

# %% [markdown]
# ## Before training

# %%
minibatch_size = 100


def run_with_spikes():
    """Outputs of all trials of the test, {Probe: (n_test, steps, dimensions)}."""
    result = {p_memory: [], p_output: []}
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        for i in range(0, n_test, minibatch_size):
            data = {
                node: test_trials[name][i : i + minibatch_size] for name, node in inputs.items()
            }
            outputs = sim.predict(data)
            for probe, values in result.items():
                values.append(outputs[probe])
    return {probe: np.concatenate(values) for probe, values in result.items()}


outputs_before = run_with_spikes()
before = accuracy(outputs_before[p_output][:, -1])
print(f"retrieval accuracy before training: {before:.1%}")

# %% [markdown]
# ## Training
#
# `fit` replaces spikes by firing rates. Rates have no state, so only the synapses change over time,
# and steps of 10 ms are short enough for them. `Simulator(net, dt=0.01)` needs a tenth of the
# steps, and the trained parameters are valid for any time step.
#
# Since the purpose of each part of the network is known, each part gets a target: the bound pair
# for the binding network, the sum so far for the memory, and the filler for the output. When a
# target does not matter, as in the first half of each pair while the filters are still settling, it
# is NaN, which `nan_mse` ignores.
#
# The memory keeps the weights that Nengo found, which hold the sum for the length of a trial.
# Training changes how the memory is written and read, and the error of the output goes back through
# the memory's synapses to the binding of each pair.

# %%
with net:
    nengo_dl.configure_settings(trainable=None)
    net.config[feedback].trainable = False
with memory:
    nengo_dl.configure_settings(trainable=False)

dt, batch_size = 0.01, 32
epochs, updates = (2, 5) if short else (40, 250)


def targets_of(trials):
    """What each probe should record, NaN where it does not matter."""
    steps = round(duration / dt)
    bound = bind(trials["role"], trials["filler"])
    total = np.cumsum(bound, axis=1) / steps / np.sqrt(n_pairs)
    charging = np.arange(bound.shape[1]) % steps < steps // 2
    bound[:, charging] = np.nan
    bound[:, n_pairs * steps :] = np.nan
    output = np.where(charging[:, None], np.nan, trials["target"])
    output[:, : n_pairs * steps] = np.nan
    return {p_bound: bound, p_memory: total, p_output: output}


def batches():
    """New trials without end."""
    rng = np.random.RandomState(0)
    while True:
        fillers = unit_vectors(rng, batch_size, n_pairs, dimensions)
        trials, _ = make_trials(rng, fillers, dt)
        yield {node: trials[name] for name, node in inputs.items()}, targets_of(trials)


rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * updates)
with nengo_dl.Simulator(net, dt=dt, minibatch_size=batch_size, progress_bar=False) as sim:
    losses = {probe: nan_mse for probe in (p_bound, p_memory, p_output)}
    sim.compile(optimizer=keras.optimizers.Adam(rate), loss=losses)
    history = sim.fit(batches(), steps_per_epoch=updates, epochs=epochs, verbose=0).history
    curves = {
        name: history[f"{sim.get_name(probe)}_loss"]
        for name, probe in (("binding", p_bound), ("memory", p_memory), ("output", p_output))
    }
    sim.freeze_params(net)

fig, ax = plt.subplots(figsize=(6, 2.8))
for name, curve in curves.items():
    ax.semilogy(range(1, epochs + 1), curve, label=name)
ax.axhline(1 / dimensions, color="0.6", linestyle=":", label="an output of zero")
ax.set(xlabel="epoch", ylabel="mean squared error", title="training with rates")
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## After training
#
# `freeze_params` wrote the trained values into the network. It now runs with spikes again, in steps
# of a millisecond.

# %%
outputs_after = run_with_spikes()
after = accuracy(outputs_after[p_output][:, -1])
print(f"retrieval accuracy after training: {after:.1%}")

# %% [markdown]
# The plot shows one trial: the similarity of the memory to the two pairs, and the similarity of the
# output to the words of the vocabulary. Grey lines are wrong words.

# %%
trial = 0
pairs = bind(test_trials["role"], test_trials["filler"])[trial, ::steps][:n_pairs]
times = np.arange(1, 3 * steps + 1)
fig, axes = plt.subplots(2, 2, figsize=(10, 4.6), sharex=True, sharey="row")
for column, outputs, title in zip(
    axes.T, (outputs_before, outputs_after), ("before training", "after training"), strict=True
):
    column[0].plot(times, outputs[p_memory][trial] @ pairs.T)
    column[0].set_title(title)
    words_like = outputs[p_output][trial] @ vocabulary.T
    column[1].plot(times, words_like, color="0.85", linewidth=0.6)
    column[1].plot(times, words_like[:, right_words[trial]], color="C2", label="right word")
    column[1].set_xlabel("time (ms)")
    for ax in column:
        ax.axvline(steps, color="0.6", linewidth=0.6)
        ax.axvline(2 * steps, color="0.6", linewidth=0.6)
axes[0, 0].set_ylabel("memory,\ndot product with pairs")
axes[0, 0].legend(["first pair", "second pair"], frameon=False, fontsize=8)
axes[1, 0].set_ylabel("output,\ndot product with words")
axes[1, 0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## Result
#
# This run shared its two cores with other programs and took five minutes of processor time.

# %%
print(f"retrieval accuracy: {before:.3f} before training, {after:.3f} after, with spikes")
print("documentation of NengoDL 3: 0.031 before training, 0.75 after")
print(run_record(started))
