"""Names for the variables of a Keras layer, the same each time that the same code makes the
layer.
"""

from __future__ import annotations

import re
from typing import Any


def layer_variables(layer: Any) -> dict[str, Any]:
    """Name -> variable, of those that training or a step changes.

    A name is the variable's place in the layer and what Keras calls it, without the counter that
    makes it unique in a
    process: ``"00 kernel"``.
    """
    changing = {id(v): v for v in (*layer.trainable_variables, *layer.non_trainable_variables)}
    variables = [v for v in layer.variables if id(v) in changing]
    rest = [v for key, v in changing.items() if key not in {id(v) for v in variables}]
    return {
        f"{place:02d} {_plain(variable.name)}": variable
        for place, variable in enumerate([*variables, *rest])
    }


def _plain(name: str) -> str:
    return re.sub(r"_\d+$", "", name).replace("/", "|")
