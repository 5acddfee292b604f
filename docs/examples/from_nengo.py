# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coming from Nengo
#
# This example shows users of Nengo what nengo_dl adds: minibatches of simulations, training by
# gradient descent, and Keras inside networks.
#
# The network computes $\sin(x^2)$ with two ensembles of 20 neurons.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np
from keras import ops

import nengo_dl
from nengo_dl.benchmarks.record import run_record

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"
seed = 0

# %%
with nengo.Network(seed=seed) as net:
    stimulus = nengo.Node(nengo.processes.WhiteSignal(1, high=5, rms=0.3), label="x")
    square = nengo.Ensemble(20, 1, label="x^2")
    sine = nengo.Ensemble(20, 1, label="sin(x^2)")
    output = nengo.Node(size_in=1)
    nengo.Connection(stimulus, square)
    nengo.Connection(square, sine, function=np.square)
    nengo.Connection(sine, output, function=np.sin)
    p_stimulus = nengo.Probe(stimulus)
    p_output = nengo.Probe(output, synapse=0.01)

# %% [markdown]
# ## The same simulation
#
# `nengo_dl.Simulator` replaces `nengo.Simulator`. With the same seed, it draws the same random
# numbers, so neurons and signals are the same, and the outputs differ only by rounding to float32.

# %%
with nengo.Simulator(net, seed=seed, progress_bar=False) as reference:
    reference.run(1.0)
with nengo_dl.Simulator(net, seed=seed, progress_bar=False) as sim:
    sim.run(1.0)

difference = np.abs(sim.data[p_output] - reference.data[p_output]).max()
print(f"largest difference from nengo.Simulator: {difference:.1e}")


def plot(ax, sim, item=slice(None)):
    """Input, what is to be computed of it, and the output."""
    x = sim.data[p_stimulus][item]
    ax.plot(sim.trange(), x, color="0.75", label="$x$")
    ax.plot(sim.trange(), np.sin(x**2), label="$\\sin(x^2)$")
    ax.plot(sim.trange(), sim.data[p_output][item], label="output", linewidth=1)
    ax.set_xlabel("time (s)")


fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for ax, simulator, title in zip(
    axes, (reference, sim), ("nengo.Simulator", "nengo_dl.Simulator"), strict=True
):
    plot(ax, simulator)
    ax.set_title(title)
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## Many simulations side by side
#
# With `minibatch_size`, several copies of the network are simulated at once. Random processes, such
# as the signal here, differ between copies, and the first axis of recorded data is the copy. `data`
# replaces the output of Nodes, with one sequence per copy: an array of shape
# `(minibatch_size, n_steps, size)`.

# %%
copies = 3
with nengo_dl.Simulator(net, seed=seed, minibatch_size=copies, progress_bar=False) as sim:
    sim.run(1.0)
    fig, axes = plt.subplots(2, copies, figsize=(10, 4.5), sharex=True, sharey="row")
    for i in range(copies):
        plot(axes[0, i], sim, i)

with nengo_dl.Simulator(net, seed=seed, minibatch_size=copies, progress_bar=False) as sim:
    ramps = np.linspace(0.5, 1, copies)[:, None, None] * np.linspace(-1, 1, 1000)[:, None]
    sim.run(1.0, data={stimulus: ramps})
    for i in range(copies):
        plot(axes[1, i], sim, i)

axes[0, 0].set_ylabel("random signals")
axes[1, 0].set_ylabel("ramps as data")
axes[0, 0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## Training
#
# Nengo finds decoders by least squares for one connection at a time, and does not optimize encoders
# and biases. nengo_dl can optimize all of them together by gradient descent, for the task of the
# whole network.
#
# Two changes make training easier. Without synapses between the ensembles, the output depends only
# on the input in the same step, so sequences of one step are enough for training. Instead, the
# filter of the probe gets longer. A second probe without a filter is used for training.
#
# Only encoders and biases are trained here. `configure_settings` turns training off for the whole
# network, and `net.config` turns it on again for ensembles.

# %%
for connection in net.all_connections:
    connection.synapse = None
p_output.synapse = 0.04
with net:
    p_unfiltered = nengo.Probe(output)
    nengo_dl.configure_settings(trainable=False)
    net.config[nengo.Ensemble].trainable = True

rng = np.random.RandomState(seed)
x = rng.uniform(-1, 1, size=(4096, 1, 1))
x_test = np.tile(rng.uniform(-1, 1, size=(1024, 1, 1)), (1, 100, 1))


def error_at_the_end(targets, outputs):
    """Mean squared error of the last ten steps; before, filters are still charging."""
    return ops.mean(ops.square(outputs[:, -10:] - targets[:, -10:]))


# %% [markdown]
# `compile`, `fit` and `evaluate` work as in Keras; data and losses are dictionaries by Node and
# Probe.
#
# `fit` replaces spikes by firing rates, because spikes have no derivative. In `evaluate`, the
# neurons spike: each value is presented for 100 steps, and the filtered output is evaluated.

# %%
epochs = 3 if short else 25
sim = nengo_dl.Simulator(net, seed=seed, minibatch_size=32, progress_bar=False)
test_data = {stimulus: x_test}, {p_output: np.sin(x_test**2)}

sim.compile(loss={p_output: error_at_the_end})
before = sim.evaluate(*test_data, verbose=0)["loss"]

sim.compile(optimizer=keras.optimizers.Adam(0.01), loss={p_unfiltered: "mse"})
history = sim.fit({stimulus: x}, {p_unfiltered: np.sin(x**2)}, epochs=epochs, verbose=0).history

sim.compile(loss={p_output: error_at_the_end})
after = sim.evaluate(*test_data, verbose=0)["loss"]

# %%
fig, ax = plt.subplots(figsize=(6, 2.8))
ax.semilogy(range(1, epochs + 1), history["loss"])
ax.set(xlabel="epoch", ylabel="mean squared error", title="training with rates")
plt.show()

# %% [markdown]
# `sim.freeze_params(net)` writes the trained parameters into the Nengo objects, so any Nengo
# simulator can run the trained network. Here the input is a ramp, and the output follows with a
# delay of 40 ms, the time constant of the filter:

# %%
sim.freeze_params(net)
sim.close()

values = np.linspace(-1, 1, 1000)
stimulus.output = lambda t: 2 * t - 1

with nengo.Simulator(net, seed=seed, progress_bar=False) as reference:
    reference.run(1.0)

fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(values, np.sin(values**2), label="$\\sin(x^2)$")
ax.plot(values, reference.data[p_output], linewidth=1, label="after training, in nengo.Simulator")
ax.set(xlabel="$x$, from -1 to 1 in a second", ylabel="output")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Keras inside a network
#
# A `TensorNode` is a Node whose output is computed with tensors: by a function, as here, or by a
# Keras layer or model. The computation is part of the compiled simulation, and gradients pass
# through it.

# %%
with net:
    exp_numpy = nengo.Node(lambda t, x: np.exp(x), size_in=1)
    exp_tensor = nengo_dl.TensorNode(lambda t, x: ops.exp(x), shape_in=(1,))
    nengo.Connection(output, exp_numpy)
    nengo.Connection(output, exp_tensor)
    p_numpy = nengo.Probe(exp_numpy, synapse=0.01)
    p_tensor = nengo.Probe(exp_tensor, synapse=0.01)

with nengo_dl.Simulator(net, seed=seed, progress_bar=False) as sim:
    sim.run(1.0)

fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(values, np.exp(np.sin(values**2)), label="$e^{\\sin(x^2)}$")
ax.plot(values, sim.data[p_numpy], linewidth=1, label="Node (NumPy)")
ax.plot(values, sim.data[p_tensor], "--", linewidth=1, label="TensorNode (Keras)")
ax.set(xlabel="$x$", ylim=(0.5, 3))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Result

# %%
print(f"mean squared error with spikes: {before:.4f} before training, {after:.4f} after")
print("documentation of NengoDL 3: 0.0040 before training, 0.0031 after")
print(
    f"loss in training: {history['loss'][0]:.1e} in the first epoch, {history['loss'][-1]:.1e} last"
)
print("documentation of NengoDL 3: 1.5e-03 and 2.9e-04")
print(run_record(started))
