# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coming from TensorFlow
#
# This example introduces users of Keras to the main ideas of Nengo: networks that are simulated
# over time, spiking neurons, synapses, and networks that are designed instead of trained. nengo_dl
# runs such networks on Keras, with TensorFlow or JAX.
#
# ## The same network twice
#
# An autoencoder with one hidden layer, in Keras and in Nengo:

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.digits import load_digits
from nengo_dl.benchmarks.record import run_record

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few images, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

# %%
keras.utils.set_random_seed(0)
n_in, n_hidden, minibatch_size = 784, 64, 50

model = keras.Sequential(
    [
        keras.Input((n_in,)),
        keras.layers.Dense(n_hidden, activation="relu"),
        keras.layers.Dense(n_in, activation="relu"),
    ]
)

with nengo.Network(seed=0) as autoencoder:
    # neurons compute relu(gain * input + bias): gains of 1 and biases of 0, as in Keras
    autoencoder.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
    autoencoder.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
    autoencoder.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
    autoencoder.config[nengo.Connection].synapse = None

    image = nengo.Node(np.zeros(n_in))
    hidden = nengo.Ensemble(n_hidden, 1)
    decoded = nengo.Ensemble(n_in, 1)
    nengo.Connection(image, hidden.neurons, transform=nengo_dl.dists.Glorot())
    nengo.Connection(hidden.neurons, decoded.neurons, transform=nengo_dl.dists.Glorot())
    probe = nengo.Probe(decoded.neurons)

# %% [markdown]
# In Nengo, layers and the connections between them are separate objects, because connections have
# many properties: weights, the function that they compute, a synapse, a learning rule. A `Probe`
# selects values to record, like the outputs of a Keras model.
#
# The counterpart of `model.predict` is `Simulator.predict`. Data have an additional axis for time
# steps; here, there is one step.

# %%
ones = np.ones((minibatch_size, n_in))
print("Keras:", model.predict(ones, verbose=0).shape)

with nengo_dl.Simulator(autoencoder, minibatch_size=minibatch_size, progress_bar=False) as sim:
    print("Nengo:", sim.predict(ones[:, None])[probe].shape)

# %% [markdown]
# ## Training
#
# `compile`, `fit` and `evaluate` work as in Keras. Both autoencoders are trained on images with
# pixels from 0 to 255, with the same optimizer, for two epochs.

# %%
(x, _), (x_test, _) = load_digits(few=short)
x, x_test = (255 * images.reshape(len(images), -1) for images in (x, x_test))
epochs, seconds, losses = 2, {}, {}

model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
start = time.perf_counter()
model.fit(x, x, batch_size=minibatch_size, epochs=epochs, verbose=0)
seconds["Keras"] = time.perf_counter() - start
losses["Keras"] = model.evaluate(x_test, x_test, verbose=0)
decoded_by_keras = model.predict(x_test[:5], verbose=0)

with nengo_dl.Simulator(
    autoencoder, seed=0, minibatch_size=minibatch_size, progress_bar=False
) as sim:
    sim.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
    start = time.perf_counter()
    sim.fit(x[:, None], x[:, None], epochs=epochs, verbose=0)
    seconds["Nengo"] = time.perf_counter() - start
    losses["Nengo"] = sim.evaluate(x_test[:, None], x_test[:, None], verbose=0)["loss"]
    decoded_by_nengo = sim.predict(x_test[:minibatch_size, None])[probe][:5, 0]

for name in losses:
    print(f"{name}: loss {losses[name]:.0f} on the test images, {seconds[name]:.1f} s of training")

# %%
fig, axes = plt.subplots(3, 5, figsize=(6, 3.8))
rows = {"image": x_test, "Keras": decoded_by_keras, "Nengo": decoded_by_nengo}
for row, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, pixels in zip(row, images[:5], strict=True):
        ax.imshow(pixels.reshape(28, 28), cmap="gray_r", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %% [markdown]
# ## Time and spikes
#
# Nengo simulates networks in steps of one millisecond by default. Spiking neurons have a state, the
# membrane voltage, and communicate by spikes. Here, a sine wave drives ten rectified linear neurons
# and the same ten neurons with spikes. The network generates its own input, so it needs no data.

# %%
with nengo.Network(seed=1) as net:
    sine = nengo.Node(lambda t: np.sin(2 * np.pi * t))
    rate = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(), seed=2)
    spiking = nengo.Ensemble(10, 1, neuron_type=nengo.SpikingRectifiedLinear(), seed=2)
    nengo.Connection(sine, rate)
    nengo.Connection(sine, spiking)
    p_rate = nengo.Probe(rate.neurons)
    p_spikes = nengo.Probe(spiking.neurons)
    # a synapse is a filter: each spike becomes a decaying current in the neuron that receives it
    p_filtered = nengo.Probe(spiking.neurons, synapse=nengo.Lowpass(0.05))

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(1.0)

times = sim.trange()
fig, axes = plt.subplots(1, 3, figsize=(11, 3))
axes[0].plot(times, sim.data[p_rate])
axes[0].set(title="rates (Hz)", xlabel="time (s)")
steps, neurons = np.nonzero(sim.data[p_spikes])
axes[1].scatter(times[steps], neurons, s=2, c=[f"C{i}" for i in neurons])
axes[1].set(title="spikes", xlabel="time (s)", ylabel="neuron")
axes[2].plot(times, sim.data[p_filtered])
axes[2].set(title="spikes, filtered with 50 ms (Hz)", xlabel="time (s)")
plt.show()

similarity = np.corrcoef(
    nengo.Lowpass(0.05).filt(sim.data[p_rate], dt=sim.dt)[300:].ravel(),
    sim.data[p_filtered][300:].ravel(),
)[0, 1]
print(f"correlation of filtered spikes with filtered rates: {similarity:.3f}")

# %% [markdown]
# ## Keras layers in a Nengo network
#
# `nengo_dl.Layer` applies a Keras layer, or a function of tensors, to objects of a network. The
# weights of the layer are trained together with the rest of the network.

# %%
with net:
    normalized = nengo_dl.Layer(keras.layers.BatchNormalization())(rate.neurons)
    squared = nengo_dl.Layer(keras.ops.square)(normalized)
    p_squared = nengo.Probe(squared)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(10)
    print("recorded:", sim.data[p_squared].shape)
    print("trainable:", [weight.path for weight in sim.keras_model.trainable_weights])

# %% [markdown]
# ## Networks without training
#
# In Nengo, an ensemble represents a vector by the activity of many neurons, and a connection
# computes a function of that vector. When the network is built, Nengo finds the weights by least
# squares from the neurons' tuning curves (this method is the Neural Engineering Framework). A
# network that computes $\sin(x^2)$ with spiking neurons therefore takes only a few lines, and no
# data.

# %%
with nengo.Network(seed=0) as net:
    stimulus = nengo.Node(nengo.processes.WhiteSignal(1, high=5, rms=0.3))
    square = nengo.Ensemble(50, 1)
    sine = nengo.Ensemble(50, 1)
    output = nengo.Node(size_in=1)
    nengo.Connection(stimulus, square)
    nengo.Connection(square, sine, function=np.square)
    nengo.Connection(sine, output, function=np.sin)
    p_stimulus = nengo.Probe(stimulus)
    p_output = nengo.Probe(output, synapse=0.01)

with nengo_dl.Simulator(net, seed=0, progress_bar=False) as sim:
    sim.run(1.0)

fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(sim.trange(), sim.data[p_stimulus], color="0.75", label="$x$")
ax.plot(sim.trange(), np.sin(sim.data[p_stimulus] ** 2), label="$\\sin(x^2)$")
ax.plot(sim.trange(), sim.data[p_output], linewidth=1, label="output")
ax.set_xlabel("time (s)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The network is not tied to nengo_dl: `nengo.Simulator` can run the same object, with the same
# spikes, and so can neuromorphic hardware.

# %%
with nengo.Simulator(net, seed=0, progress_bar=False) as reference:
    reference.run(1.0)
difference = np.abs(reference.data[p_output] - sim.data[p_output]).max()
print(f"largest difference from nengo.Simulator: {difference:.1e}")

# %% [markdown]
# ## Result
#
# In the documentation of NengoDL 3, the autoencoder in Keras reached a loss of 918 and the
# autoencoder in Nengo a loss of 943, with the same sizes, images, optimizer and epochs.

# %%
print(f"loss of the autoencoder in Nengo: {losses['Nengo']:.0f}, in Keras: {losses['Keras']:.0f}")
print("documentation of NengoDL 3: 943, and in Keras 918")
print(f"training in Nengo took {seconds['Nengo'] / seconds['Keras']:.2f} of the time of Keras")
print(run_record(started))
