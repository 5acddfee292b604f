"""Where values enter a network that may be a part of a larger one."""

from __future__ import annotations

from typing import Any

import nengo
from nengo.exceptions import ValidationError
from nengo.node import OutputParam
from nengo.params import Default
from nengo.processes import Process

__all__ = ["ConstantNode", "InputNode"]


class _Source(OutputParam):
    """An output that makes a Node with inputs one without, of the same size."""

    def coerce(self, node, output):
        size = node.size_in if node.size_out is None else node.size_out
        before = node.size_in
        node.size_in = size if output is None else 0
        # None: Nengo finds it; processes and passthrough Nodes have the size that they are given
        node.size_out = size if isinstance(output, Process) else None
        try:
            output = super().coerce(node, output)
            found = output.default_size_out if isinstance(output, Process) else node.size_out
            if found != size and not (isinstance(output, Process) and found == 1):
                raise ValidationError(
                    f"the output has {found} values; expected {size}, the size of the model's "
                    "input",
                    attr=self.name,
                    obj=node,
                )
        except ValidationError:
            node.size_in = before
            raise
        finally:
            node.size_out = size
        return output


class InputNode(nengo.Node):
    """A Node that passes on its input, or data if it has no incoming connections.

    Without incoming connections, ``nengo_dl.Simulator`` takes data for it as for a Node without
    input; without data, its output is zero. Other simulators treat it as ``nengo.Node(size_in=n)``.
    If ``output`` is set to an array of n values, a function of time or a process, it is a
    ``nengo.Node(output)`` in all simulators; None makes it an input again.

    Parameters
    ----------
    size_in : int
        Number of values.
    label, seed
        As in nengo.Node.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     node = nengo_dl.InputNode(3)
    >>> images = np.random.RandomState(0).uniform(size=(10, 3))
    >>> node.output = nengo.processes.PresentInput(images, presentation_time=0.1)
    """

    output = _Source("output", default=None)

    def __init__(self, size_in: int, label: Any = Default, seed: Any = Default):
        super().__init__(output=None, size_in=size_in, label=label, seed=seed)


class ConstantNode(nengo.Node):
    """A Node with an array as output, for which no data is given: it is not an input."""
