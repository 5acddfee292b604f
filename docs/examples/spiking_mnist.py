# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimizing a spiking neural network
#
# In this example, a convolutional network of LIF neurons is trained on MNIST and tested with
# spikes. Spikes have no derivative, so training needs a substitute for them. This example uses two,
# one after the other:
#
# 1. The neurons' firing rates. The response of a LIF neuron to constant input has a derivative,
#   and takes one step to compute. This is what `fit` does when nothing else is said.
# 2. The spikes themselves, with a *surrogate* derivative. What few spikes in a few milliseconds
#   do to the layer that comes after shows in simulation only, so training ends with it.
#
# The network and its tests are in `nengo_dl.benchmarks.spiking_mnist`, which is also a program.

# %%
import inspect
import os
import time

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks import spiking_mnist
from nengo_dl.benchmarks.digits import load_digits
from nengo_dl.benchmarks.record import run_record

started = time.time()
plt.rcParams.update({"figure.dpi": 80, "figure.constrained_layout.use": True})

# the short form runs in seconds, with few images, and serves to test this example
short = os.environ.get("NENGO_DL_EXAMPLES") == "short"

(x, y), (x_test, y_test) = load_digits(few=short)
x, x_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)

# %% [markdown]
# ## The network
#
# The network has three convolutional layers of LIF neurons, and a dense layer with ten outputs.
# `nengo_dl.Layer` adds Keras layers and Nengo's neurons to a network, one after another. The
# convolutions are connection weights; only the neurons' voltages have a state over time. A neuron
# whose input is one fires at 250 Hz, which is about seven spikes while an image is presented.

# %%
print(inspect.getsource(spiking_mnist.make_network))
net = spiking_mnist.make_network()
print(f"{net.n_neurons} neurons")

# %% [markdown]
# ## Training with rates
#
# Each image is presented for one step, in each of four epochs.

# %%
epochs, n_steps = (1, 15) if short else (4, 30)
spiking_mnist.train_rates(net, x, y, epochs, minibatch_size=50 if short else 200)

few = min(1000, len(x_test))
after_rates = spiking_mnist.test(net, x_test[:few], y_test[:few], n_steps)
print(f"accuracy with spikes: {after_rates:.2%} of {few} images, {n_steps} ms each")

# %% [markdown]
# ## Training with spikes
#
# Each image is presented for 10 ms, and the gradient goes back through all steps. In the forward
# pass, the neurons spike. In the backward pass, the derivative of a fast sigmoid of the voltage
# replaces the derivative of a spike (Zenke and Ganguli, 2018, "SuperSpike"). This takes one line in
# the network: `nengo_dl.configure_settings(surrogate="fast_sigmoid")`.

# %%
n_updates = 3 if short else 3000
minibatch_size = 20 if short else 100
spiking_mnist.train_spikes(
    net, x, y, n_updates, n_steps=5 if short else 10, minibatch_size=minibatch_size
)

# %% [markdown]
# ## The test
#
# All 10,000 test images are presented for 30 ms each. The predicted class has the largest mean
# output from the fourth step on, as in training, because the first spikes have to pass through the
# layers.

# %%
accuracy = spiking_mnist.test(net, x_test, y_test, n_steps)
print(f"accuracy with spikes: {accuracy:.2%} of {len(x_test)} images")

# %% [markdown]
# The plot shows the spikes of some 300 neurons of each layer, and the outputs, while an image is
# presented.

# %%
with net:
    layers = [ens.neurons for ens in net.all_ensembles]
    p_spikes = [nengo.Probe(neurons[:: neurons.size_in // 300]) for neurons in layers]
n_shown = 3
with nengo_dl.Simulator(net, minibatch_size=n_shown, progress_bar=False) as sim:
    result = sim.predict({net.image: np.repeat(x_test[:n_shown, None], n_steps, axis=1)})

fig, axes = plt.subplots(
    5, n_shown, figsize=(10, 8), height_ratios=[1.2, 1, 1, 1, 1], sharex="row", sharey="row"
)
times = np.arange(1, n_steps + 1)
for i in range(n_shown):
    axes[0, i].imshow(x_test[i].reshape(28, 28), cmap="gray_r")
    axes[0, i].axis("off")
    for layer, probe in enumerate(p_spikes):
        steps, neurons = np.nonzero(result[probe][i])
        axes[layer + 1, i].scatter(steps + 1, neurons, s=1.5, linewidths=0, color="k")
        axes[layer + 1, i].set_xlim(0, n_steps + 1)
        axes[layer + 1, 0].set_ylabel(f"layer {layer + 1}\nneuron")
    outputs = np.cumsum(result[net.out][i], axis=0) / times[:, None]
    axes[4, i].plot(times, outputs, color="0.8", linewidth=0.8)
    axes[4, i].plot(times, outputs[:, y_test[i]], label="its class")
    axes[4, i].set(xlabel="time (ms)", xlim=(0, n_steps + 1))
axes[4, 0].set_ylabel("mean output")
axes[4, 0].legend(frameon=False)
plt.show()

# %%
mean_rates = [np.mean(result[probe] > 0) / sim.dt for probe in p_spikes]
print("mean firing rates:", ", ".join(f"{rate:.0f} Hz" for rate in mean_rates))

# %% [markdown]
# `sim.freeze_params` wrote the trained weights into the network. It runs in any Nengo simulator
# that supports Keras layers; for other simulators, see *Converting a Keras model*.
#
# ## Result

# %%
print(f"accuracy with spikes: {accuracy:.2%} of {len(x_test)} test images, {n_steps} ms each")
print("documentation of NengoDL 3: 98.74%")
print(run_record(started))
