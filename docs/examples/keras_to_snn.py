# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Converting a Keras model to a spiking neural network
#
# `nengo_dl.Converter` turns a Keras model into a Nengo network: activations become neurons, and
# weights become connections. With `swap_activations`, the neurons spike. A network that was trained
# with rectified linear units rarely works with spikes right away; this example shows why, and how
# to improve it.

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
from nengo_dl.converter.rates import table

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few images, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

# %% [markdown]
# ## A Keras model
#
# The model has two convolutional layers and a dense one, and is trained in Keras as usual, without
# spikes.

# %%
(x, y), (x_test, y_test) = load_digits(few=short)
x, x_test = x[..., None], x_test[..., None]

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1), name="image"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="conv_1"),
        keras.layers.Conv2D(64, 3, strides=2, activation="relu", name="conv_2"),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, name="digit"),
    ]
)
epochs, batch_size = (3, 50) if short else (8, 100)
rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // batch_size)
model.compile(
    optimizer=keras.optimizers.Adam(rate),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    steps_per_execution=20,
)
model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
in_keras = model.evaluate(x_test, y_test, verbose=0)[1]
print(f"accuracy in Keras: {in_keras:.2%} of {len(x_test)} test images")

# %% [markdown]
# ## The same model in Nengo
#
# First, the model is converted with rectified linear rates, to check that the conversion itself
# changes nothing. `verify` compares the outputs with those of Keras and raises an error if they
# differ.

# %%
converter = nengo_dl.Converter(model, allow_fallback=False, inference_only=True)
converter.verify()
print(f"{converter.net.n_neurons} neurons, as in Keras")

# %% [markdown]
# ## Spikes
#
# `test` converts the model with spiking neurons and presents each image for `n_steps` milliseconds.
# It records the outputs in all steps and, for the first images, the spikes of those neurons of the
# first layer that see the middle of the image.

# %%
n_steps = 60
batch = 100


def test(n_images, **options):
    """Accuracy, outputs in time (images, steps, 10), and spikes (first images, steps, neurons)."""
    converter = nengo_dl.Converter(
        model,
        allow_fallback=False,
        inference_only=True,
        swap_activations={keras.activations.relu: nengo.SpikingRectifiedLinear()},
        **options,
    )
    image, probe = converter.inputs["image"], converter.outputs["digit"]
    with converter.net:
        nengo_dl.configure_settings(stateful=False)  # each image begins from rest
        row = 13 * 32  # neurons: 13 positions with 32 filters each
        p_spikes = nengo.Probe(converter.layers["conv_1"][6 * row : 7 * row])
    outputs, spikes = [], None
    with nengo_dl.Simulator(converter.net, minibatch_size=batch, progress_bar=False) as sim:
        for i in range(0, n_images, batch):
            shown = np.repeat(x_test[i : i + batch].reshape(batch, 1, -1), n_steps, axis=1)
            result = sim.predict({image: shown})
            outputs.append(result[probe])
            spikes = result[p_spikes][:3] if spikes is None else spikes
    outputs = np.concatenate(outputs)
    return np.mean(np.argmax(outputs[:, -1], axis=1) == y_test[:n_images]), outputs, spikes


few = min(500, len(x_test))
plain, plain_outputs, plain_spikes = test(few)
print(f"activations exchanged, nothing else: {plain:.2%} of {few} images")

# %% [markdown]
# ## Why that fails
#
# Nengo interprets activations as firing rates in hertz. An activation of 1 is one spike per second,
# so most neurons do not spike in the 60 ms for which an image is presented. `scale_firing_rates`
# multiplies the input of the neurons and divides the height of their spikes by the same number,
# which gives more spikes with the same mean output. On event-driven hardware, more spikes cost more
# energy.
#
# `synapse` filters the spikes on their way to the next layer. It averages over time, but adds a
# delay.

# %%
scales = (50,) if short else (2, 10, 50, 250)
synapses = (0.01,) if short else (None, 0.01)
shares = np.array(
    [[test(few, scale_firing_rates=s, synapse=syn)[0] for s in scales] for syn in synapses]
)

fig, ax = plt.subplots(figsize=(6, 3))
for synapse, row, style in zip(synapses, shares, ("o-", "s--"), strict=False):
    label = "no synapse" if synapse is None else f"synapse of {1000 * synapse:g} ms"
    ax.plot(scales, 100 * row, style, label=label)
ax.axhline(100 * in_keras, color="0.6", linestyle=":", label="Keras")
ax.set(xscale="log", xlabel="scale of the firing rates", ylabel="accuracy (%)", ylim=(0, 103))
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0.95))
plt.show()

# %% [markdown]
# ## Scales from the data
#
# `scale_firing_rates="auto"` finds a scale for each layer: Keras computes the layer's outputs for
# `sample_inputs`, and the scale is chosen so that 99.9 % of them are at or below `target_rate`
# (1000 Hz by default). The table shows the rates of each layer before and after scaling.

# %%
options = {
    "scale_firing_rates": "auto",
    "sample_inputs": x[:200],
    "synapse": 0.01,
}
auto = nengo_dl.Converter(
    model,
    inference_only=True,
    swap_activations={keras.activations.relu: nengo.SpikingRectifiedLinear()},
    **options,
)
print(table(auto.firing_rates))

accuracy, outputs, spikes = test(len(x_test), **options)

# %% [markdown]
# The plot shows the accuracy as a function of the presentation time. Ten milliseconds are enough
# for most images, although the outputs take about forty to settle.

# %%
in_time = np.mean(np.argmax(outputs, axis=2) == y_test[:, None], axis=0)
plain_in_time = np.mean(np.argmax(plain_outputs, axis=2) == y_test[:few, None], axis=0)
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(1, n_steps + 1), 100 * in_time, label='scale "auto", synapse of 10 ms')
ax.plot(range(1, n_steps + 1), 100 * plain_in_time, label="activations exchanged only")
ax.axhline(100 * in_keras, color="0.6", linestyle=":", label="Keras")
ax.set(xlabel="time (ms)", ylabel="accuracy (%)", ylim=(0, 103))
ax.legend(frameon=False, loc="center right")
plt.show()

# %% [markdown]
# The last plot shows, for three images, the spikes of the neurons of the first layer that see the
# middle of the image, and the ten outputs.

# %%
fig, axes = plt.subplots(2, 3, figsize=(10, 4.5), sharex=True, sharey="row")
for i in range(3):
    steps, neurons = np.nonzero(spikes[i])
    axes[0, i].scatter(steps + 1, neurons, s=1, linewidths=0, color="k")
    axes[0, i].set_title(f"a digit {y_test[i]}")
    axes[1, i].plot(range(1, n_steps + 1), outputs[i], color="0.8", linewidth=0.8)
    axes[1, i].plot(range(1, n_steps + 1), outputs[i][:, y_test[i]], label="its class")
    axes[1, i].set_xlabel("time (ms)")
axes[0, 0].set_ylabel("neuron")
axes[1, 0].set_ylabel("output")
axes[1, 0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Result

# %%
print(f"accuracy in Keras: {in_keras:.2%}")
print(f"accuracy with spikes: {accuracy:.2%} of {len(x_test)} test images, {n_steps} ms each")
print("documentation of NengoDL 3: 98.25%")
print(run_record(started))
