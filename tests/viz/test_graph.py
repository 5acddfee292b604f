"""Networks as graphs."""

import itertools
import math
import xml.etree.ElementTree as ElementTree

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl import viz
from nengo_dl.viz import graph_drawing
from nengo_dl.viz.graph_layout import GAP, place


@pytest.mark.core
def test_graph_of_a_simulator_counts_what_is_trained(run):
    graph = viz.network_graph(run.sim)
    vertices = {v.name: v for v in graph.vertices}
    assert vertices["a"].lines == ("30 LIF", "2 dimensions", "90 trained")
    assert vertices["b"].place == ("inner",)
    assert vertices["dense"].lines == ("(2,) → (3,)", "9 trained")
    assert vertices["stim"].lines == ("2 values",)
    index = {v.name: i for i, v in enumerate(graph.vertices)}
    edges = {(e.pre, e.post, e.kind): e.lines for e in graph.edges}
    assert edges[index["stim"], index["a"], "connection"] == ("2, 5 ms",)
    assert edges[index["a"], index["a"], "connection"] == ("2, 100 ms", "60 trained")
    assert "PES" in edges[index["a"], index["b"], "connection"][1]
    assert (index["error"], index["b"], "learning") in edges
    assert (index["a"], index["spikes"], "probe") in edges
    total = sum(math.prod(w.shape) for w in run.sim.keras_model.trainable_weights)
    counted = [
        int(line.split()[0].replace(",", ""))
        for part in (*graph.vertices, *graph.edges)
        for line in part.lines
        if line.endswith(" trained")
    ]
    assert sum(counted) == total


def test_graph_of_a_network_hides_what_is_deep(run):
    graph = viz.network_graph(run.net, depth=0, probes=False)
    assert {v.kind for v in graph.vertices} == {"node", "ensemble", "tensor_node", "network"}
    assert not any("trained" in line for v in graph.vertices for line in v.lines)
    (inner,) = [v for v in graph.vertices if v.kind == "network"]
    assert inner.lines == ("20 neurons",)


def test_several_connections_are_one_edge():
    with nengo.Network() as net:
        a, b = nengo.Node(np.zeros(2)), nengo.Node(size_in=2)
        nengo.Connection(a[0], b[1])
        nengo.Connection(a[1], b[0], synapse=nengo.Alpha(0.1))
        nengo.Connection(b, b, transform=np.eye(2), synapse=0)
    first, second = viz.network_graph(net).edges
    assert first.lines == ("2 connections",)
    assert second.lines == ("2 → 2, 0 ms",)


def test_mermaid_and_dot():
    with nengo.Network(label="net") as net:
        x = nengo.Node([1], label='"x" #1')
        with nengo.Network(label="outer"):
            with nengo.Network(label="<inner>"):
                y = nengo.Ensemble(10, 1, label="y\\z")
            z = nengo.Node(size_in=1, label="z")
        nengo.Connection(x, y, synapse=None)
        nengo.Connection(y, z, synapse=0.1)
        nengo.Probe(z, label="seen")
    assert viz.network_graph(net, "mermaid") == (
        "flowchart LR\n"
        '  v0["#quot;x#quot; #35;1<br/>1 value"]\n'
        '  v1>"seen<br/>1 value"]\n'
        '  subgraph n0["outer"]\n'
        '    v2["z<br/>passes on 1"]\n'
        '    subgraph n1["#lt;inner#gt;"]\n'
        '      v3("y\\z<br/>10 LIF<br/>1 dimension")\n'
        "    end\n"
        "  end\n"
        '  v0 -->|"1"| v3\n'
        '  v3 -->|"1, 100 ms"| v2\n'
        "  v2 -.-> v1\n"
    )
    dot = viz.network_graph(net, format="dot")
    assert 'v0 [label="\\"x\\" #1\\n1 value", shape=box];' in dot
    assert 'v3 [label="y\\\\z\\n10 LIF\\n1 dimension"' in dot
    assert 'v3 -> v2 [label="1, 100 ms"];' in dot
    assert dot.count("{") == dot.count("}") == 3 and "subgraph cluster_1" in dot


def test_nothing_overlaps_in_the_picture(run):
    for graph in (viz.network_graph(run.sim), viz.network_graph(_basal_ganglia())):
        boxes, routes = graph_drawing._lay_out(graph)
        for a, b in itertools.combinations(boxes, 2):
            apart = abs(a.x - b.x) >= (a.width + b.width) / 2 or (
                abs(a.y - b.y) >= (a.height + b.height) / 2
            )
            assert apart
        for edge, route in zip(graph.edges, routes, strict=True):
            pre, post = boxes[edge.pre], boxes[edge.post]
            if edge.pre != edge.post:
                assert route[0][0] in (pre.left, pre.right)
                assert route[-1][0] in (post.left, post.right)
        ax = graph.draw()
        assert len(ax.texts) >= len(graph.vertices)


def _basal_ganglia():
    with nengo.Network() as net:
        ganglia, thalamus = nengo.networks.BasalGanglia(2), nengo.networks.Thalamus(2)
        nengo.Connection(ganglia.output, thalamus.input)
    return net


def test_layout_of_random_graphs():
    rng = np.random.RandomState(0)
    for n in (1, 2, 7, 20):
        edges = [tuple(map(int, pair)) for pair in rng.randint(n, size=(2 * n, 2))]
        heights = rng.uniform(0.2, 1, size=n)
        found = place(n, edges, heights)
        for (pre, post), bends in zip(edges, found.bends, strict=True):
            distance = abs(found.columns[pre] - found.columns[post])
            assert (distance > 0) == (pre != post)
            assert len(bends) == max(distance - 1, 0)
        for i, j in itertools.combinations(range(n), 2):
            if found.columns[i] == found.columns[j]:
                least = (heights[i] + heights[j]) / 2 + GAP
                assert abs(found.y[i] - found.y[j]) >= least - 1e-9
    assert place(3, [(0, 1), (1, 2), (2, 0)], [1, 1, 1]).columns == [0, 1, 2]


def test_notebooks_show_pictures(run):
    bundle = viz.network_graph(run.net)._repr_mimebundle_()
    assert ElementTree.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    assert "NetworkGraph of" in bundle["text/plain"]
    with nengo.Network() as net:
        for _ in range(200):
            nengo.Node(0)
    large = viz.network_graph(net)
    assert "text/vnd.mermaid" in large._repr_mimebundle_()
    with pytest.raises(ValidationError, match="200 objects, and 1 to 150 can be drawn"):
        large.draw()
    for text in (run.sim.program._repr_html_(), run.sim._repr_html_()):
        ElementTree.fromstring(text.replace("<br>", "<br/>"))
    assert "SimNeurons" in run.sim.program._repr_html_()
    assert "50 neurons in 2 ensembles" in run.sim._repr_html_()
    assert "100 samples of 30 values" in run.sim._repr_html_()


def test_errors_say_what_to_do():
    with pytest.raises(ValidationError, match="expected a nengo.Network or a Simulator"):
        viz.network_graph(3)
    with pytest.raises(ValidationError, match="'mermaid', 'dot' or None, got 'svg'"):
        viz.network_graph(nengo.Network(), format="svg")
