"""What ``sim.data`` had in earlier versions."""

from __future__ import annotations

from typing import Any

from nengo.ensemble import Neurons

from nengo_dl.compat.arguments import warn


class OlderData:
    """Base class of what ``sim.data`` is."""

    def get_params(self: Any, *obj_attrs: tuple[Any, str]) -> list[Any]:
        """Deprecated: the present values of attributes of objects.

        Parameters
        ----------
        obj_attrs
            Pairs of an object and the name of an attribute: ``(ensemble, "encoders")``,
            ``(ensemble.neurons, "bias")``, ``(connection, "weights")``.
        """
        warn("sim.data.get_params", "sim.data[ensemble].bias, sim.data[connection].weights, ...")
        return [
            getattr(self[obj.ensemble if isinstance(obj, Neurons) else obj], attribute)
            for obj, attribute in obj_attrs
        ]
