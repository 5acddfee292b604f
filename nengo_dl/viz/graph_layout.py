"""Where the vertices of a directed graph go: in columns, so that most edges go to the right.

The steps are those of K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of
hierarchical system structures", IEEE Transactions on Systems, Man and Cybernetics, 1981: edges that
close a cycle are turned round, vertices are put into columns, edges over several columns get a bend
in each, the columns are sorted, and then everything moves to the height of what it is connected to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

#: between two rows, and height that a bend of an edge takes, in the unit of the sizes
GAP, BEND = 0.28, 0.12
SWEEPS = 12


@dataclass(frozen=True)
class Placement:
    """Attributes
    ----------
    columns
        Of each vertex, from 0.
    y
        Height of the centre of each vertex.
    bends
        For each edge its heights in the columns between its ends, from left to right.
    """

    columns: list[int]
    y: list[float]
    bends: list[list[float]]


def place(n: int, edges: Sequence[tuple[int, int]], heights: Sequence[float]) -> Placement:
    """Place ``n`` vertices of these heights; edges are (from, to), and may form cycles."""
    forward = _without_cycles(n, edges)
    columns = _columns(n, forward)
    layers: list[list[int]] = [[] for _ in range(max(columns, default=0) + 1)]
    for vertex, column in enumerate(columns):
        layers[column].append(vertex)
    sizes, links, chains = list(heights), [], []
    for pre, post in forward:
        chain = []
        for column in range(columns[pre] + 1, columns[post]):
            layers[column].append(len(sizes))
            chain.append(len(sizes))
            sizes.append(BEND)
        path = [pre, *chain, post] if pre != post else []
        links += list(zip(path[:-1], path[1:], strict=True))
        chains.append(chain)
    y = _heights(layers, links, sizes)
    return Placement(columns, [float(v) for v in y[:n]], [[float(y[i]) for i in c] for c in chains])


def _without_cycles(n: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, those turned round that go back to a vertex on the way to their start."""
    following: list[list[int]] = [[] for _ in range(n)]
    for pre, post in edges:
        following[pre].append(post)
    entered = {post for pre, post in edges if pre != post}
    open_: set[int] = set()
    done: set[int] = set()
    backward: set[tuple[int, int]] = set()
    # from the sources first, then whatever cycles they do not reach
    for start in sorted(range(n), key=lambda v: v in entered):
        stack = [(start, iter(following[start]))] if start not in done else []
        open_.update(vertex for vertex, _ in stack)
        while stack:
            vertex, rest = stack[-1]
            after = next(rest, None)
            if after is None:
                stack.pop()
                open_.discard(vertex)
                done.add(vertex)
            elif after in open_:
                backward.add((vertex, after))
            elif after not in done:
                open_.add(after)
                stack.append((after, iter(following[after])))
    return [(b, a) if (a, b) in backward else (a, b) for a, b in edges]


def _columns(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each vertex to the right of all that lead to it, and what nothing leads to close to what it
    leads to.
    """
    columns = [0] * n
    for _ in range(n):
        changed = False
        for pre, post in edges:
            if pre != post and columns[post] <= columns[pre]:
                columns[post], changed = columns[pre] + 1, True
        if not changed:
            break
    entered = {post for pre, post in edges if pre != post}
    for vertex in range(n):
        after = [columns[post] for pre, post in edges if pre == vertex != post]
        if vertex not in entered and after:
            columns[vertex] = min(after) - 1
    return columns


def _heights(layers, links, sizes) -> np.ndarray:
    """Sort the layers, and give each vertex and bend its height."""
    neighbours: list[list[list[int]]] = [[[], []] for _ in sizes]
    for a, b in links:
        neighbours[a][1].append(b)
        neighbours[b][0].append(a)
    y = np.zeros(len(sizes))
    for layer in layers:
        y[layer] = _spread(np.zeros(len(layer)), [sizes[v] for v in layer])
    for sweep in range(2 * SWEEPS):
        to_the_right = sweep % 2 == 0
        for layer in layers if to_the_right else layers[::-1]:
            wanted = {}
            for v in layer:
                one_side = neighbours[v][0 if to_the_right else 1]
                both = neighbours[v][0] + neighbours[v][1]
                near = one_side if sweep < SWEEPS and one_side else both
                wanted[v] = np.mean(y[near]) if near else y[v]
            if sweep < SWEEPS:  # later the order stays
                layer.sort(key=wanted.__getitem__)
            y[layer] = _spread(np.array([wanted[v] for v in layer]), [sizes[v] for v in layer])
    return y


def _spread(wanted: np.ndarray, sizes: Sequence[float]) -> np.ndarray:
    """Heights closest to those wanted, in this order, at which nothing overlaps."""
    if not len(wanted):
        return wanted
    size = np.asarray(sizes)
    centres = np.cumsum(size + GAP) - size / 2
    return isotonic_regression(np.asarray(wanted, dtype=float) - centres).x + centres
