# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Legendre Memory Units
#
# A Legendre memory stores a sliding window of its input: at any time, its state contains the
# coefficients of the Legendre polynomials that represent the input over the last $\theta$ seconds.
# It is a linear dynamical system,
#
# $$\theta \frac{dm}{dt} = A\,m + B\,u,$$
#
# whose matrices are derived mathematically, not trained (Voelker, Kajić and Eliasmith, 2019,
# "Legendre Memory Units", NeurIPS 32). A neural network reads the state and learns to compute a
# function of the window.
#
# This example first shows the memory in a Nengo network. Then it trains a network on *permuted
# sequential MNIST*: the 784 pixels of a digit arrive one per step, in a shuffled order, and after
# the last pixel the network has to classify the digit. This task is a standard benchmark of memory
# over hundreds of steps.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np
from scipy.special import eval_legendre

import nengo_dl
from nengo_dl.benchmarks.digits import load_digits
from nengo_dl.benchmarks.record import run_record
from nengo_dl.layers import LegendreMemory
from nengo_dl.layers.legendre import Discretization

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few images, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

# %% [markdown]
# ## The memory as a Nengo network
#
# In discrete time, the memory is $m[t] = \bar A\,m[t-1] + \bar B\,u[t]$. In Nengo, this is a Node
# with a connection to itself: a synapse of 0 seconds delays by one step, whereas no synapse
# (`None`) does not delay. `Discretization` computes the two matrices for input that is constant
# during each step.

# %%
theta, order, dt = 0.5, 12, 0.001
memory = Discretization(order, theta, dt)

with nengo.Network(seed=3) as net:
    stimulus = nengo.Node(nengo.processes.WhiteSignal(2.0, high=4, rms=0.5))
    state = nengo.Node(size_in=order)
    nengo.Connection(stimulus, state, transform=memory.b[:, None], synapse=None)
    nengo.Connection(state, state, transform=memory.a, synapse=0)
    p_stimulus = nengo.Probe(stimulus)
    p_state = nengo.Probe(state)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(2.0)

# %% [markdown]
# The input $r$ seconds ago is a weighted sum of the state, whose weights are the shifted Legendre
# polynomials at $r / \theta$. A single state therefore represents all delays up to $\theta$.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
times = sim.trange()
axes[0].plot(times, sim.data[p_stimulus], color="0.7", label="input")
for delay in (0.1, 0.3, 0.5):
    weights = eval_legendre(np.arange(order), 2 * delay / theta - 1)
    axes[0].plot(times, sim.data[p_state] @ weights, label=f"{delay:g} s ago, from the memory")
axes[0].set(xlabel="time (s)", ylabel="input", title="The same state, read for three delays")
axes[0].legend(frameon=False, fontsize=8)

delays = np.linspace(0, theta, 100)
weights = eval_legendre(np.arange(order), 2 * delays[:, None] / theta - 1)
last = len(times) - 1
axes[1].plot(delays, sim.data[p_stimulus][last - np.round(delays / dt).astype(int), 0], color="0.7")
axes[1].plot(delays, weights @ sim.data[p_state][last], "C3--")
axes[1].set(xlabel="seconds ago", title=f"The window at t = {times[-1]:.1f} s")
axes[1].legend(["input", f"from {order} numbers"], frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## The task
#
# Each digit is a sequence of 784 steps with one number each. The pixels of all digits are shuffled
# in the same way, so that neighbours in the image are far apart in time.

# %%
(x, y), (x_test, y_test) = load_digits(few=short)
if short:  # every fourth pixel in both directions
    x, x_test = x[:, ::4, ::4], x_test[:, ::4, ::4]
n_steps = x[0].size
permutation = np.random.RandomState(0).permutation(n_steps)
sequences = x.reshape(len(x), n_steps, 1)[:, permutation]
test_sequences = x_test.reshape(len(x_test), n_steps, 1)[:, permutation]

fig, axes = plt.subplots(1, 3, figsize=(11, 2.4), width_ratios=[1, 1, 3])
axes[0].imshow(x_test[0], cmap="gray_r")
axes[0].set_title(f"a digit {y_test[0]}")
axes[1].imshow(test_sequences[0].reshape(x_test[0].shape), cmap="gray_r")
axes[1].set_title("its pixels shuffled")
axes[2].plot(test_sequences[0, :, 0], linewidth=0.8)
axes[2].set(xlabel="step", ylabel="input", title="what the network gets")
for ax in axes[:2]:
    ax.axis("off")
plt.show()

# %% [markdown]
# ## Training
#
# The network consists of a memory whose window is the whole sequence, a hidden layer of 212
# rectified linear units, and ten outputs. Since only the input is written to the memory, the last
# state is a weighted sum of all inputs. `LegendreMemory(parallel=True)`, the default, computes it
# as one matrix product instead of 784 sequential steps (Chilkuri and Eliasmith, 2021,
# arXiv:2102.11417). An epoch over 60,000 sequences takes seconds.
#
# If the hidden units also write to the memory, as in the paper of 2019, use `nengo_dl.layers.LMU`,
# which computes the steps one after the other.

# %%
keras.utils.set_random_seed(0)
order, hidden, epochs, batch_size = (32, 50, 8, 50) if short else (256, 212, 15, 100)
model = keras.Sequential(
    [
        keras.Input((n_steps, 1)),
        LegendreMemory(order, theta=n_steps, dt=1),
        keras.layers.Dense(hidden, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, name="digit"),
    ]
)
n_updates = epochs * len(x) // batch_size
model.compile(
    optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, n_updates)),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(
    sequences,
    y,
    batch_size=batch_size,
    epochs=epochs,
    validation_data=(test_sequences, y_test),
    validation_batch_size=200,
    verbose=0,
).history
print(f"{model.count_params()} parameters")
print(f"accuracy in Keras: {history['val_accuracy'][-1]:.2%} of {len(x_test)} test digits")

# %%
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(1, epochs + 1), 100 * np.array(history["accuracy"]), label="training (with dropout)")
ax.plot(range(1, epochs + 1), 100 * np.array(history["val_accuracy"]), label="test")
ax.set(xlabel="epoch", ylabel="accuracy (%)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## The trained network in Nengo
#
# `Converter` turns the model into a Nengo network. With `temporal_model=True`, the time axis
# becomes Nengo's time: the network gets one pixel per step and uses the memory's recurrent
# connection, like the network at the top. It reads all test digits; its accuracy, which depends on
# remembering from step to step, is the result of this example.

# %%
converter = nengo_dl.Converter(
    model, allow_fallback=False, inference_only=True, temporal_model=True
)
print(converter.net, "with", converter.net.n_neurons, "neurons")
pixel = converter.inputs[model.inputs[0]]
digit = converter.outputs["digit"]

with converter.net:
    nengo_dl.configure_settings(stateful=False)  # each sequence begins with an empty memory
batch = 200
with nengo_dl.Simulator(converter.net, dt=1, minibatch_size=batch, progress_bar=False) as sim:
    outputs = np.concatenate(
        [
            sim.predict({pixel: test_sequences[i : i + batch]})[digit][:, -1]
            for i in range(0, len(x_test), batch)
        ]
    )
accuracy = np.mean(np.argmax(outputs, axis=1) == y_test)
in_keras = model.predict(test_sequences, batch_size=200, verbose=0)
print(f"largest difference of the outputs from Keras: {np.abs(outputs - in_keras).max():.1e}")

# %% [markdown]
# ## Result

# %%
print(f"accuracy in Nengo: {accuracy:.2%} of {len(x_test)} test digits")
print("documentation of NengoDL 3: 96.15%")
print(run_record(started))
