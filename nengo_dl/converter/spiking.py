"""What a conversion can do with spikes: choose them from data, train with them, count them."""

from __future__ import annotations

from typing import Any

from nengo_dl.converter import calibration, fine_tuning, lookup, measuring, rates
from nengo_dl.converter.parts import Conversion
from nengo_dl.runtime.checks import checked_count


class Spiking(Conversion):
    """The part of `nengo_dl.Converter` that is about spikes."""

    def calibrate(
        self,
        data: Any,
        steps: int,
        target_rate: float | None = None,
        dt: float = 0.001,
    ) -> rates.Report:
        """Make the network spike, so that it tells what an input is in a given number of steps.

        Whatever the neurons were, they become `nengo_dl.IntegratedSpiking` of their rate type. The
        height of the spikes is chosen for each channel (Diehl et al., 2015, "Fast-classifying,
        high-accuracy spiking deep networks through weight and threshold balancing"; the percentile
        is that of Rueckauer et al., 2017, "Conversion of continuous-valued deep networks to
        efficient event-driven networks for image classification", the channels are those of Kim et
        al., 2020, "Spiking-YOLO"). The outputs are averages over the steps. Voltages begin at half
        the threshold (Bu et al., 2022, "Optimized potential initialization for low-latency spiking
        neural networks"), so that numbers of spikes are rounded, not cut off. With that and
        with what `nengo_dl.IntegratedSpiking` does, nothing is left that a correction of biases
        or voltages (Li et al., 2021, "A free lunch from ANN") could take away.

        Weights and biases stay as they are, so parameters of the model and of the network remain
        interchangeable. The objects of the network stay too; ``firing_rates`` is new.

        Parameters
        ----------
        data
            An array, list or dict of the model's inputs, (batch, ...); some hundred are enough.
        steps
            For how many steps an input is shown. Each begins from the initial state, as in
            ``sim.predict``.
        target_rate
            The rate in hertz that 0.1 % of the activity of a channel is above; 1000 Hz by default.
            A lower one takes fewer spikes and tells less of each activity.
        dt
            Length of a step in seconds.

        Returns
        -------
        rates.Report
            What `measure_rates` says of the network on ``data``. ``nengo_dl.viz.conversion``
            draws it.

        Raises
        ------
        nengo.exceptions.ValidationError
            For temporal models, and neurons that have no rate type.

        Warns
        -----
        UserWarning
            Before anything is simulated, if rates are too low to say anything in so many steps.

        Examples
        --------
        >>> converter = nengo_dl.Converter(model)
        >>> report = converter.calibrate(np.random.rand(50, 4), steps=20)
        >>> report.n_steps
        20
        """
        steps = checked_count("steps", steps)
        return calibration.calibrate(self, data, steps, target_rate, dt)

    def fine_tune(
        self,
        x: Any,
        y: Any = None,
        *,
        steps: int,
        updates: int = 300,
        batch_size: int = 100,
        optimizer: Any = None,
        loss: Any = None,
        target_rate: float | None = None,
        dt: float = 0.001,
        seed: int = 0,
    ) -> rates.Report:
        """Train a calibrated network with its spikes, from where the conversion left it.

        Neurons spike in the forward pass; in the backward pass the charge that they round to whole
        spikes stands for these (Bengio, Léonard and Courville, 2013, "Estimating or propagating
        gradients through stochastic neurons"), so that over the steps a neuron has the derivative
        of its rate type. The trained weights and biases are in ``net`` afterwards, for all
        simulators; the Keras model is as it was.

        Parameters
        ----------
        x
            An array, list or dict of the model's inputs, (batch, ...).
        y
            The targets, an array for each output. None: what the model computes of ``x``.
        steps
            For how many steps an input is shown.
        updates, batch_size
            Number of updates, and of inputs for each.
        optimizer
            As in ``sim.compile``; Adam with a learning rate of 3e-4 by default.
        loss
            Of the averages over the steps, one for all outputs or a list; by default that with
            which the model was compiled, and the mean squared error for ``y=None``.
        target_rate
            The largest mean rate in hertz that a layer is to have. It is reached by a penalty, so
            it may be missed a little.
        dt
            Length of a step in seconds.
        seed
            Of the order of the inputs.

        Returns
        -------
        rates.Report
            What `measure_rates` says of the network on the first 200 inputs.

        Raises
        ------
        nengo.exceptions.ValidationError
            If `calibrate` was not called before, and if no loss is known.

        Examples
        --------
        >>> x = np.random.rand(50, 4)
        >>> report = converter.fine_tune(x, steps=20, updates=2, target_rate=100)
        """
        steps = checked_count("steps", steps)
        updates = checked_count("updates", updates)
        options = (batch_size, optimizer, loss, target_rate, dt, seed)
        fine_tuning.fine_tune(self, x, y, steps, updates, *options)
        arrays = lookup.input_arrays(self.graph, x, "x")
        return measuring.measure(self, [array[:200] for array in arrays], steps, dt)

    def measure_rates(self, inputs: Any, n_steps: int = 50, dt: float = 0.001) -> rates.Report:
        """Firing rates of all neurons in the network while it is given inputs.

        Parameters
        ----------
        inputs
            An array, list or dict of the model's inputs, (batch, ...); each is shown for
            ``n_steps``.
        n_steps
            Number of steps.
        dt
            Length of a step in seconds.

        Returns
        -------
        rates.Report
            A list with the ``rates.MeasuredRates`` of each layer of neurons; ``print`` shows it as
            a table.

        Warns
        -----
        UserWarning
            Before the simulation, if in a layer not even the most active neurons can be expected to
            spike in so many steps.

        Examples
        --------
        >>> measured = converter.measure_rates(np.ones((3, 4)), n_steps=20)
        >>> len(measured)  # layers of neurons
        1
        """
        return measuring.measure(self, inputs, checked_count("n_steps", n_steps), dt)
