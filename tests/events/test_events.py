"""Recordings of events as frames, as batches, and from images."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import events, layers

FIELDS = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")]
SIZE = (4, 3, 2)  # width, height, polarities
#: t, x, y, p
EVENTS = [(100, 0, 0, 1), (1099, 3, 2, 0), (1100, 3, 2, 0), (1500, 3, 2, 0), (4200, 1, 0, 1)]


def structured(rows=EVENTS, fields=FIELDS):
    return np.array([tuple(row) for row in rows], dtype=fields)


def frames_by_hand(step_of, n_steps):
    frames = np.zeros((n_steps, 3, 4, 2))
    for i, (t, x, y, p) in enumerate(EVENTS):
        frames[step_of(i, t), y, x, p] += 1
    return frames


@pytest.mark.parametrize("dt, factor", [(0.001, 1), (0.001, 1e-3), (0.002, 1)])
def test_frames_of_a_duration(dt, factor):
    """They begin with the first event; times are in the unit that is given."""
    recording = structured(fields=[("t", "<f8"), *FIELDS[1:]])
    recording["t"] *= factor
    given = events.to_frames(recording, SIZE, dt, time_unit=1e-6 / factor)
    expected = frames_by_hand(lambda i, t: int((t - 100) // (dt * 1e6)), 5 if dt == 0.001 else 3)
    np.testing.assert_array_equal(given, expected)
    assert given.dtype == "float32"


def test_forms_of_recordings():
    expected = events.to_frames(structured(), SIZE)
    array = np.array(EVENTS)
    for columns in ("txyp", "xytp", "ptyx"):
        order = ["txyp".index(name) for name in columns]
        given = events.to_frames(array[:, order], SIZE, columns=columns)
        np.testing.assert_array_equal(given, expected)
    # as the datasets of tonic: another order, other types, truth values
    other = np.zeros(len(array), [("x", "<i2"), ("y", "<u2"), ("p", "?"), ("t", "<u4")])
    for name in other.dtype.names:
        other[name] = structured()[name]
    np.testing.assert_array_equal(events.to_frames(other, SIZE), expected)
    sound = np.array([(0, 5, 1), (1200, 6, 1)], dtype=[("t", int), ("x", int), ("p", int)])
    given = events.to_frames(sound, (700, 1, 2))
    assert given.shape == (2, 1, 700, 2) and given[0, 0, 5, 1] == given[1, 0, 6, 1] == 1


def test_frames_of_a_number_of_events():
    given = events.to_frames(structured(), SIZE, count=2)
    np.testing.assert_array_equal(given, frames_by_hand(lambda i, t: i // 2, 3))


def test_flat_frames_are_images():
    image = events.to_frames(structured(), SIZE)
    flat = events.to_frames(structured(), SIZE, flat=True, height=1000.0, dtype="float64")
    assert flat.shape == (5, 24) and flat.dtype == "float64"
    np.testing.assert_array_equal(flat, 1000 * image.reshape(5, 24))


def test_start_end_and_padding():
    whole = events.to_frames(structured(), SIZE)
    np.testing.assert_array_equal(events.to_frames(structured(), SIZE, n_steps=2), whole[:2])
    absolute = events.to_frames(structured(), SIZE, start=0)
    np.testing.assert_array_equal(absolute, frames_by_hand(lambda i, t: t // 1000, 5))
    np.testing.assert_array_equal(
        events.to_frames(structured(), SIZE, start=0.0011), frames_after(1100)
    )
    batch = events.to_frames(
        [structured(EVENTS[:2]), structured(), structured([])], SIZE, padding=-1
    )
    assert batch.shape == (3, 5, 3, 4, 2)
    np.testing.assert_array_equal(batch[1], whole)
    assert np.all(batch[0, 1:] == -1) and np.all(batch[2] == -1) and np.all(batch[0, :1] >= 0)


def frames_after(start):
    late = [row for row in EVENTS if row[0] >= start]
    return events.to_frames(structured(late), SIZE)


WRONG = [
    (structured([*EVENTS, (3, 0, 0, 0)]), {}, "the time of event 5, 3, is before that of event 4"),
    (structured([(0, 4, 0, 0)]), {}, "event 0 has x=4; expected an integer from 0 to 3"),
    (structured([(0, 0, -1, 0)]), {}, "event 0 has y=-1; expected an integer from 0 to 2"),
    (structured([(0, 0, 0, 2)]), {}, "event 0 has p=2; expected an integer from 0 to 1"),
    (structured([(0, 0, 0, -1)]), {}, r"set events\['p'\] to events\['p'\] > 0"),
    (np.array([[0, 0.5, 0, 0]]), {}, "event 0 has x=0.5; expected an integer"),
    (np.array([[np.nan, 0, 0, 0]]), {}, "some times are not finite"),
    (np.zeros((3, 5)), {}, r"shape \(3, 5\) and type float64; expected a structured array, or"),
    (np.zeros(3, [("t", int), ("x", int)]), {}, r"fields t, x; expected .* with t, x, p"),
    (np.zeros((2, 3)), {"columns": "txy"}, "columns was given 'txy'; expected the letters"),
    (np.zeros((3, 4)), {"columns": "txyz"}, "columns was given 'txyz'; expected the letters"),
    (structured(), {"dt": 0.001, "count": 2}, "leave one of them out"),
    (structured(), {"dt": 0}, "expected a number of seconds > 0"),
    (structured(), {"count": 0}, "expected an integer of at least 1"),
    (structured(), {"n_steps": 1.5}, "expected an integer of at least 1"),
    (structured([(0, 0, 0, 0), (2e9, 0, 0, 0)]), {"time_unit": 1}, "give the time_unit of its"),
    (structured(), {"flat": "no"}, "expected True or False"),
    (structured(), {"sensor_size": (4, 3)}, r"was given \(4, 3\); expected \(width, height, pol"),
]


@pytest.mark.parametrize("recording, arguments, message", WRONG)
def test_errors(recording, arguments, message):
    with pytest.raises(ValueError, match=message):
        events.to_frames(recording, **{"sensor_size": SIZE, **arguments})


def test_unsigned_times():
    """Those of a smaller number of bits, in which a difference below 0 is a large one."""
    recording = structured(fields=[("t", "<u4"), *FIELDS[1:]])
    np.testing.assert_array_equal(
        events.to_frames(recording, SIZE), events.to_frames(structured(), SIZE)
    )
    with pytest.raises(ValueError, match="is before that of event"):
        events.to_frames(recording[::-1], SIZE)


def test_events_of_images():
    """Events add up to the change of the brightness, at every time."""
    rng, threshold = np.random.RandomState(0), 0.07
    images = rng.uniform(0, 1, (3, 6, 7))
    recordings = events.from_images(
        images, 0.02, threshold=threshold, path=[(0, 0), (1.5, 0), (1.5, -2)], time_unit=1e-9
    )
    moved, end = np.zeros_like(images), np.zeros_like(images)
    moved[:, :, 1:] = 0.5 * images[:, :, :-1]
    moved[:, :, 2:] += 0.5 * images[:, :, :-2]
    end[:, :4] = moved[:, 2:]
    for image, at_middle, at_end, recording in zip(images, moved, end, recordings, strict=True):
        for until, expected in [(1e7, at_middle), (2e7, at_end)]:
            chosen = recording[recording["t"] <= until]
            change = np.zeros((6, 7))
            np.add.at(change, (chosen["y"], chosen["x"]), threshold * (2 * chosen["p"] - 1.0))
            assert np.abs(image + change - expected).max() < threshold
        assert np.all(np.diff(recording["t"]) >= 0) and recording["t"].min() >= 0


def test_errors_of_images():
    with pytest.raises(ValueError, match=r"images: an array of shape \(8, 8\)"):
        events.from_images(np.zeros((8, 8)))
    with pytest.raises(ValueError, match=r"path: an array of shape \(1, 2\)"):
        events.from_images(np.zeros((1, 8, 8)), path=[(0, 0)])
    with pytest.raises(ValueError, match="threshold was given 0.0; expected a positive number"):
        events.from_images(np.zeros((1, 8, 8)), threshold=0)
    assert len(events.from_images(np.zeros((2, 8, 8)))[1]) == 0
    assert events.from_images(np.zeros((0, 8, 8))) == []


def bars(n=40):
    """Recordings of bars that move: horizontal ones (label 0) and vertical ones."""
    rng, labels = np.random.RandomState(0), np.arange(n) % 2
    images = np.zeros((n, 6, 6))
    for image, label, place in zip(images, labels, rng.randint(1, 5, n), strict=True):
        image[place] = 1
        image[:] = image.T if label else image
    return events.from_images(images, 0.01), labels


class Pairs:
    """As a dataset of tonic: items are pairs."""

    def __init__(self, recordings, labels):
        self.recordings, self.labels = recordings, labels

    def __len__(self):
        return len(self.recordings)

    def __getitem__(self, index):
        return self.recordings[index], int(self.labels[index])


ARGUMENTS = {"sensor_size": (6, 6, 2), "dt": 0.001, "n_steps": 10}


def test_batches():
    recordings, labels = bars(10)
    expected = events.to_frames(recordings, **ARGUMENTS)
    for data in (
        events.EventDataset(Pairs(recordings, labels), batch_size=4, **ARGUMENTS),
        events.EventDataset(recordings, labels, batch_size=4, **ARGUMENTS),
    ):
        batches = [data[i] for i in range(len(data))]
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), expected)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels)
    only = events.EventDataset(recordings, batch_size=10, **ARGUMENTS)
    np.testing.assert_array_equal(only[0], expected)


def test_order_of_batches():
    recordings, labels = bars(10)
    orders = []
    for _ in range(2):
        data = events.EventDataset(
            recordings, np.arange(10), batch_size=10, shuffle=True, seed=1, **ARGUMENTS
        )
        for _ in range(2):
            x, order = data[0]
            np.testing.assert_array_equal(x, events.to_frames(recordings, **ARGUMENTS)[order])
            orders.append(order.tolist())
            data.on_epoch_end()
    assert orders[:2] == orders[2:] and orders[0] != orders[1] and sorted(orders[0]) == [*range(10)]


def test_errors_of_batches():
    recordings, labels = bars(4)
    with pytest.raises(ValueError, match=r"labels: an array of shape \(3,\) for 4 recordings"):
        events.EventDataset(recordings, labels[:3], **ARGUMENTS)
    with pytest.raises(ValueError, match="recordings: there are none"):
        events.EventDataset([], **ARGUMENTS)
    with pytest.raises(ValueError, match="expected a number of seconds > 0"):
        events.EventDataset(recordings, **{**ARGUMENTS, "dt": 0})


@pytest.mark.core
def test_training_in_keras():
    """A recurrent spiking layer tells bars apart by their events, with masks for what is padded."""
    recordings, labels = bars()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((10, 72)),
            keras.layers.Masking(-1.0),
            keras.layers.Dense(20),
            layers.RecurrentLIF(amplitude=0.01, threshold=0.1),
            layers.Lowpass(0.02, return_sequences=False),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    data = events.EventDataset(
        recordings, labels, batch_size=20, flat=True, padding=-1, **ARGUMENTS
    )
    model.fit(data, epochs=20, verbose=0)
    assert model.evaluate(data, verbose=0)[1] > 0.95


@pytest.mark.core
def test_training_in_a_simulator():
    recordings, labels = bars(20)
    frames = {**ARGUMENTS, "n_steps": 1, "dt": 0.01, "flat": True}
    data = events.EventDataset(recordings, labels[:, None, None], batch_size=10, **frames)
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(np.zeros(72))
        neurons = nengo.Ensemble(20, 1, neuron_type=nengo.RectifiedLinear()).neurons
        output = nengo.Node(size_in=2)
        glorot = nengo_dl.dists.Glorot()
        nengo.Connection(stimulus, neurons, transform=glorot, synapse=None)
        nengo.Connection(neurons, output, transform=glorot, synapse=None)
        probe = nengo.Probe(output)
    with nengo_dl.Simulator(net, minibatch_size=10, progress_bar=False) as sim:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        sim.compile(keras.optimizers.Adam(0.01), loss={probe: loss})
        losses = sim.fit(data, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.1 < 0.3 < losses[0]
