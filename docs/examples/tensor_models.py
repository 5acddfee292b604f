# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A Keras model inside a Nengo network
#
# Models of cognition need perceptual input. In this example, a network that was trained in Keras
# recognizes two handwritten digits, and a spiking Nengo network adds them. The Keras model is a
# *TensorNode*: a Nengo Node whose output is computed with tensors.

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

# %% [markdown]
# ## Vision, in Keras
#
# The vision model is a small convolutional network. It could also be loaded from a file.

# %%
(x, y), (x_test, y_test) = load_digits(few=short)
keras.utils.set_random_seed(0)
vision = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, activation="softmax"),
    ],
    name="vision",
)
epochs, batch_size = (3, 50) if short else (5, 100)
rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // batch_size)
vision.compile(
    optimizer=keras.optimizers.Adam(rate),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    steps_per_execution=20,
)
vision.fit(x[..., None], y, batch_size=batch_size, epochs=epochs, verbose=0)
vision_accuracy = vision.evaluate(x_test[..., None], y_test, verbose=0)[1]
print(f"accuracy of the vision model: {vision_accuracy:.2%} of {len(x_test)} test images")

# %% [markdown]
# ## Numbers, as vectors
#
# In the Semantic Pointer Architecture, a concept is a vector, and vectors are bound by circular
# convolution, $\circledast$. Let ONE be a random *unitary* vector, whose Fourier coefficients all
# have magnitude 1, and let the number $n$ be ONE bound with itself $n$ times,
# $\mathrm{ONE}^n = \mathrm{ONE} \circledast \cdots \circledast \mathrm{ONE}$. Then binding adds:
# $\mathrm{ONE}^a \circledast \mathrm{ONE}^b = \mathrm{ONE}^{a + b}$.

# %%
dimensions = 16 if short else 64
rng = np.random.RandomState(2)
coefficients = np.exp(1j * rng.uniform(-np.pi, np.pi, size=dimensions // 2 + 1))
coefficients[[0, -1]] = 1  # those of real vectors are real here
numbers = np.fft.irfft(coefficients ** np.arange(19)[:, None], n=dimensions)

others = (numbers @ numbers.T)[~np.eye(19, dtype=bool)]
print(f"dot product of a number with itself: {numbers[3] @ numbers[3]:.2f}")
print(f"with another number: {others.mean():.2f} on average, at most {others.max():.2f}")

# %% [markdown]
# ## The network
#
# Both images pass through the *same* Keras model, so there is one set of weights. For each image, a
# connection turns the ten outputs into a vector: the sum of the digits' vectors, weighted by the
# model's confidence. The rest of the network consists of spiking neurons: two ensembles that
# represent the digits, and Nengo's circular convolution.

# %%
n_neurons = 20 if short else 50  # for each dimension
with nengo.Network(seed=0) as net:
    images = [nengo.Node(np.zeros(28 * 28), label=f"image {side}") for side in ("a", "b")]
    digits = [nengo_dl.Layer(vision)(image, shape_in=(28, 28, 1)) for image in images]
    concepts = [
        nengo.networks.EnsembleArray(n_neurons, dimensions, radius=3 / np.sqrt(dimensions))
        for _ in digits
    ]
    addition = nengo.networks.CircularConvolution(n_neurons, dimensions)
    for digit, concept, target in zip(
        digits, concepts, (addition.input_a, addition.input_b), strict=True
    ):
        nengo.Connection(digit, concept.input, transform=numbers[:10].T)
        nengo.Connection(concept.output, target)
    p_sum = nengo.Probe(addition.output, synapse=0.02)

print(f"{net.n_neurons} spiking neurons")

# %% [markdown]
# ## One simulation over time
#
# Four pairs of digits are presented one after the other, for 200 ms each. The output is compared
# with the vectors of all sums from 0 to 18.

# %%
n_shown, n_steps = 4, 200
pairs = rng.permutation(len(x_test))[: 2 * n_shown].reshape(2, n_shown)
flat = x_test.reshape(len(x_test), -1)
data = {
    image: np.repeat(flat[chosen], n_steps, axis=0)[None]
    for image, chosen in zip(images, pairs, strict=True)
}
with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(n_shown * n_steps, data=data)
similarity = sim.data[p_sum] @ numbers.T

# %%
fig = plt.figure(figsize=(10, 4.5))
grid = fig.add_gridspec(2, n_shown, height_ratios=[1, 2.2])
for i in range(n_shown):
    ax = fig.add_subplot(grid[0, i])
    ax.imshow(np.hstack([x_test[pairs[0, i]], x_test[pairs[1, i]]]), cmap="gray_r")
    ax.axis("off")
ax = fig.add_subplot(grid[1, :])
times = np.arange(1, n_shown * n_steps + 1)
ax.plot(times, similarity, color="0.85", linewidth=0.7)
for i in range(n_shown):
    total = y_test[pairs[0, i]] + y_test[pairs[1, i]]
    span = slice(i * n_steps, (i + 1) * n_steps)
    ax.plot(times[span], similarity[span, total], color=f"C{i}")
    ax.text((i + 0.5) * n_steps, 1.25, f"{total}", color=f"C{i}", ha="center")
    ax.axvline(i * n_steps, color="0.6", linewidth=0.6)
ax.set(xlabel="time (ms)", ylabel="dot product with numbers", ylim=(-0.6, 1.45))
ax.set_xlim(0, n_shown * n_steps)
plt.show()

# %% [markdown]
# ## Accuracy
#
# Pairs of test images are presented for 100 ms each, starting from rest, many side by side. The
# network's answer is the number whose vector is most similar to the final output.

# %%
with net:
    nengo_dl.configure_settings(stateful=False)
n_pairs, n_steps, minibatch_size = (100, 100, 50) if short else (2000, 100, 100)
pairs = np.array([rng.choice(len(x_test), 2, replace=False) for _ in range(n_pairs)])
outputs = []
with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
    for i in range(0, n_pairs, minibatch_size):
        chosen = pairs[i : i + minibatch_size]
        data = {
            image: np.repeat(flat[chosen[:, side], None], n_steps, axis=1)
            for side, image in enumerate(images)
        }
        outputs.append(sim.predict(data)[p_sum][:, -1])
answers = np.argmax(np.concatenate(outputs) @ numbers.T, axis=1)
accuracy = np.mean(answers == y_test[pairs].sum(axis=1))

seen = np.argmax(vision.predict(x_test[pairs.ravel()][..., None], verbose=0), axis=1)
given_vision = np.mean(seen.reshape(-1, 2).sum(axis=1) == y_test[pairs].sum(axis=1))
print(f"right sums by the spiking network: {accuracy:.2%} of {n_pairs}")
print(f"by exact addition of what the vision model sees: {given_vision:.2%}")

# %% [markdown]
# Almost all errors come from the vision model. To train both parts together, call `sim.compile` and
# `sim.fit`: unless `vision.trainable = False`, `sim.keras_model.trainable_weights` contains the
# weights of the Keras model as well as those of the neurons.
#
# ## Result

# %%
print(f"right sums with spikes: {accuracy:.2%} of {n_pairs} pairs of test images")
print("documentation of NengoDL 3: no figure")
print(run_record(started))
