# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimizing a cognitive model
#
# In the Semantic Pointer Architecture (Eliasmith, 2013, *How to build a brain*), concepts are
# vectors, and a structure is a sum of bound vectors. For example, a scene with a red circle and a
# blue square can be represented as
#
# $$\mathrm{scene} = \mathrm{CIRCLE} \circledast \mathrm{RED} + \mathrm{SQUARE} \circledast
# \mathrm{BLUE},$$
#
# where $\circledast$ is circular convolution. To ask for the colour of the circle, the scene is
# bound with the approximate inverse of the cue:
# $\mathrm{scene} \circledast \mathrm{CIRCLE}^{-1} \approx \mathrm{RED}$. Nengo builds this
# operation from spiking neurons, and finds the weights of each connection separately, by least
# squares. With few neurons, the result is poor.
#
# This example trains all weights of such a network together, which makes retrieval with the same
# number of spiking neurons far more accurate.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.record import run_record

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few dimensions, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

# %% [markdown]
# ## Vectors and targets
#
# Each trial has its own random vectors: a trace of two bound pairs, the role of one pair as the
# cue, and the filler of that pair as the target. The network therefore cannot memorize vectors; it
# has to learn how to unbind.

# %%
dimensions, n_pairs, n_fillers = (16, 2, 20) if short else (64, 2, 200)


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


def make_traces(rng, fillers):
    """Traces and cues for fillers of shape (n, pairs, dimensions); the first pair is cued."""
    roles = unit_vectors(rng, *fillers.shape)
    traces = bind(roles, fillers).sum(axis=1)
    return traces / np.linalg.norm(traces, axis=-1, keepdims=True), roles[:, 0]


rng = np.random.RandomState(0)
n_train = 2000 if short else 20000
fillers = unit_vectors(rng, n_train, n_pairs, dimensions)
traces, cues = make_traces(rng, fillers)
targets = fillers[:, 0]

# the test has a vocabulary, so that we can say which filler an output is most like
n_test = 200 if short else 1000
vocabulary = unit_vectors(rng, n_fillers, dimensions)
chosen = np.array([rng.choice(n_fillers, n_pairs, replace=False) for _ in range(n_test)])
test_traces, test_cues = make_traces(rng, vocabulary[chosen])


def accuracy(outputs):
    """Share of trials in which no other word of the vocabulary is more like the output."""
    return np.mean(np.argmax(outputs @ vocabulary.T, axis=1) == chosen[:, 0])


print(f"{n_train} trials of training, {n_test} of the test, {n_fillers} words")
print(f"chance: {1 / n_fillers:.1%}")
print(f"with exact arithmetic: {accuracy(bind(test_traces, inverse(test_cues))):.1%}")

# %% [markdown]
# The last figure is the accuracy of exact circular convolution. It is not 100 % because the other
# pair in the trace acts as noise, and because the inverse is an approximation.
#
# ## The network
#
# `nengo.networks.CircularConvolution` computes Fourier coefficients, multiplies them in pairs with
# small ensembles of LIF neurons, and transforms the result back. Here, each of these ensembles has
# only five neurons; 50 or more are usual.
#
# Without synapses, the whole path takes a single time step, which makes training cheap. The second
# probe has a filter for the test, in which neurons spike.

# %%
with nengo.Network(seed=0) as net:
    net.config[nengo.Connection].synapse = None
    trace_input = nengo.Node(np.zeros(dimensions), label="trace")
    cue_input = nengo.Node(np.zeros(dimensions), label="cue")
    unbind = nengo.networks.CircularConvolution(5, dimensions, invert_b=True)
    output = nengo.Node(size_in=dimensions, label="output")
    nengo.Connection(trace_input, unbind.input_a)
    nengo.Connection(cue_input, unbind.input_b)
    nengo.Connection(unbind.output, output)
    p_output = nengo.Probe(output)
    p_filtered = nengo.Probe(output, synapse=0.02)
    nengo_dl.configure_settings(stateful=False)  # each trial begins from rest

print(f"{net.n_neurons} neurons, {set(ens.neuron_type for ens in net.all_ensembles)}")

# %% [markdown]
# ## Before training
#
# Trace and cue are presented for 100 ms, and the neurons spike. The result is the filtered output
# at the end.

# %%
n_steps, minibatch_size = 100, 100


def run_with_spikes(sim):
    """The filtered output of all trials of the test, (n_test, n_steps, dimensions)."""
    result = []
    for i in range(0, n_test, minibatch_size):
        batch = slice(i, i + minibatch_size)
        data = {
            trace_input: np.repeat(test_traces[batch, None], n_steps, axis=1),
            cue_input: np.repeat(test_cues[batch, None], n_steps, axis=1),
        }
        result.append(sim.predict(data)[p_filtered])
    return np.concatenate(result)


sim = nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False)
outputs_before = run_with_spikes(sim)
before = accuracy(outputs_before[:, -1])
print(f"retrieval accuracy before training: {before:.1%}")

# %% [markdown]
# ## Training
#
# `fit` replaces spikes by firing rates, because spikes have no derivative, and changes the
# encoders, biases and decoders of all ensembles so that the output approaches the filler. One step
# per trial is enough, because rates respond immediately.

# %%
epochs = 2 if short else 30
rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * n_train // minibatch_size)
sim.compile(optimizer=keras.optimizers.Adam(rate), loss={p_output: "mse"})
history = sim.fit(
    {trace_input: traces[:, None], cue_input: cues[:, None]},
    {p_output: targets[:, None]},
    epochs=epochs,
    verbose=0,
).history

fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(range(1, epochs + 1), history["loss"], label="training")
ax.axhline(1 / dimensions, color="0.6", linestyle=":", label="an output of zero")
ax.set(xlabel="epoch", ylabel="mean squared error")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## After training
#
# The same simulator now runs with spikes again.

# %%
outputs_after = run_with_spikes(sim)
after = accuracy(outputs_after[:, -1])
print(f"retrieval accuracy after training: {after:.1%}")

# %% [markdown]
# The similarities (cosines of the angle) between output and vocabulary show the reason for the
# improvement: the right word stands out from the best of the 199 others.


# %%
def similarities(outputs):
    """Of each output with the right word, and with the most similar wrong one."""
    cosines = outputs @ vocabulary.T / np.linalg.norm(outputs, axis=1, keepdims=True)
    right = cosines[np.arange(n_test), chosen[:, 0]]
    cosines[np.arange(n_test), chosen[:, 0]] = -1
    return right, cosines.max(axis=1)


fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for ax, outputs, title in zip(
    axes, (outputs_before, outputs_after), ("before training", "after training"), strict=True
):
    right, wrong = similarities(outputs[:, -1])
    bins = np.linspace(-0.5, 1, 61)
    ax.hist(right, bins, alpha=0.7, label="right word")
    ax.hist(wrong, bins, alpha=0.7, label="best wrong word", color="0.6")
    ax.set(xlabel="similarity with the output", title=title)
axes[0].set_ylabel("trials")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The plot shows one trial over time: the output approaches the right word within two time constants
# of its filter.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
times = np.arange(1, n_steps + 1)
for ax, outputs, title in zip(
    axes, (outputs_before, outputs_after), ("before training", "after training"), strict=True
):
    ax.plot(times, outputs[0] @ vocabulary.T, color="0.8", linewidth=0.5)
    ax.plot(times, outputs[0] @ vocabulary[chosen[0, 0]], color="C0", label="right word")
    ax.set(xlabel="time (ms)", title=title)
axes[0].set_ylabel("dot product with words")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The trained weights belong to the simulator. `sim.freeze_params(net)` would write them into the
# network, for `nengo.Simulator` or any other backend.
#
# ## Result

# %%
sim.close()
print(f"retrieval accuracy: {before:.3f} before training, {after:.3f} after, with spikes")
print("documentation of NengoDL 3: 0.06 before training, 0.86 after")
print(run_record(started))
