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
        """Make the network spike, with parameters chosen for a given number of steps per input.

        All neurons become `nengo_dl.IntegratedSpiking` with their rate type as base type. The
        height of spikes is chosen for each channel (Diehl et al., 2015, "Fast-classifying,
        high-accuracy spiking deep networks through weight and threshold balancing"; the percentile
        is that of Rueckauer et al., 2017, "Conversion of continuous-valued deep networks to
        efficient event-driven networks for image classification", the channels are those of Kim et
        al., 2020, "Spiking-YOLO"). Outputs are averages over the steps. Voltages start at half the
        threshold (Bu et al., 2022, "Optimized potential initialization for low-latency spiking
        neural networks"), so numbers of spikes are rounded to the nearest integer. Together with
        `nengo_dl.IntegratedSpiking`, this leaves no systematic error that a correction of biases or
        voltages (Li et al., 2021, "A free lunch from ANN") could remove.

        Weights and biases do not change, so parameters of the model and of the network remain
        interchangeable. The objects of the network do not change either; ``firing_rates`` is
        computed again.

        Parameters
        ----------
        data
            An array, list or dict of the model's inputs, of shape (batch, ...); a few hundred
            inputs are enough.
        steps
            Number of steps for which an input is presented. Each input starts from the initial
            state, as in ``sim.predict``.
        target_rate
            The rate in hertz that 0.1 % of the activities of a channel exceed; 1000 Hz by default.
            A lower rate needs fewer spikes, but represents each activity less precisely.
        dt
            Length of a step in seconds.

        Returns
        -------
        rates.Report
            The result of `measure_rates` on ``data``. ``nengo_dl.viz.conversion`` draws it.

        Raises
        ------
        nengo.exceptions.ValidationError
            For temporal models, and for neurons without a rate type.

        Warns
        -----
        UserWarning
            Before the simulation, if rates are too low for this number of steps.

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
        """Train a calibrated network with spikes, starting from the converted weights.

        Neurons spike in the forward pass. In the backward pass, the charge before rounding to whole
        spikes replaces the spikes (Bengio, Léonard and Courville, 2013, "Estimating or propagating
        gradients through stochastic neurons"), so that over all steps, a neuron has the derivative
        of its rate type. Afterwards, ``net`` contains the trained weights and biases, for all
        simulators; the Keras model is not changed.

        Parameters
        ----------
        x
            An array, list or dict of the model's inputs, (batch, ...).
        y
            The targets, an array for each output. None: the outputs of the model for ``x``.
        steps
            Number of steps for which an input is presented.
        updates, batch_size
            Number of updates, and number of inputs per update.
        optimizer
            As in ``sim.compile``; Adam with a learning rate of 3e-4 by default.
        loss
            Loss of the averages over the steps, one for all outputs or a list; by default the loss
            with which the model was compiled, or the mean squared error for ``y=None``.
        target_rate
            The highest mean rate in hertz that a layer should have. A penalty enforces it, so it
            may be exceeded slightly.
        dt
            Length of a step in seconds.
        seed
            Seed of the order of the inputs.

        Returns
        -------
        rates.Report
            The result of `measure_rates` on the first 200 inputs.

        Raises
        ------
        nengo.exceptions.ValidationError
            If `calibrate` was not called before, or if the loss is unknown.

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
        """Measure the firing rates of all neurons in a simulation of inputs.

        Parameters
        ----------
        inputs
            An array, list or dict of the model's inputs, of shape (batch, ...); each input is
            presented for ``n_steps`` steps.
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
            Before the simulation, if even the most active neurons of a layer are not expected to
            spike in this number of steps.

        Examples
        --------
        >>> measured = converter.measure_rates(np.ones((3, 4)), n_steps=20)
        >>> len(measured)  # layers of neurons
        1
        """
        return measuring.measure(self, inputs, checked_count("n_steps", n_steps), dt)
