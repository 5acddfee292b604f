"""Names of Nodes and Probes with labels of all kinds."""

import re

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.runtime.inputs.names import clean, named, unique_names

LABELS = {
    "my out": "my_out",
    "a:b": "a_b",
    "out (filtered)": "out_filtered",
    "x^2": "x2",
    "a/b": "a/b",
    "café": "caf",
    "a\\b": "ab",
    "_hidden": "hidden",
    "出力": "probe",
}


class Labelled:
    def __init__(self, label):
        self.label = label


def test_clean_labels_come_first_and_all_names_are_different():
    objects = [Labelled(label) for label in ("my out", "my_out", "my out", None, "n_steps")]
    names = unique_names(objects, ["n_steps"])
    assert list(names.values()) == ["my_out_1", "my_out", "my_out_2", "labelled", "n_steps_1"]
    for key, number in (("my out", 0), ("my_out", 1), ("my_out_2", 2), ("n_steps", 4)):
        assert named(key, names) is objects[number]
    assert named("other", names) is None
    assert [clean(label) for label in ("1.x-y", " a", "::")] == ["1.x-y", "a", ""]


@pytest.mark.core
def test_labels_of_any_characters():
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.5], label="my in")
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(inp, ens, synapse=None)
        probes = [nengo.Probe(ens, label=label) for label in LABELS]
    x, zeros = np.zeros((3, 1, 1)), np.zeros((3, 1, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        assert [sim.get_name(probe) for probe in probes] == list(LABELS.values())
        sim.compile("sgd", {label: "mse" for label in LABELS if label != "出力"}, metrics=["mae"])
        history = sim.fit(
            {"my_in": x}, {name: zeros for name in LABELS.values()}, verbose=0
        ).history
        logs = sim.evaluate({"my in": x}, {probe: zeros for probe in probes}, verbose=0)
        assert set(history) == set(logs)
        assert {f"{name}_loss" for name in LABELS.values() if name != "probe"} < set(logs)
        assert all(re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_./-]*", key) for key in logs)
        with pytest.raises(ValidationError, match="'my' is not a Node .* 'my_in'"):
            sim.predict({"my": x})
