"""The Keras variables that a function uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class UsedVariables(keras.StatelessScope):
    """Scope that lists the variables whose value is asked for in it; what it is assigned is
    dropped.
    """

    def __init__(self):
        super().__init__()
        self._found: dict[int, keras.Variable] = {}

    def get_current_value(self, variable: keras.Variable) -> Any:
        self._found.setdefault(id(variable), variable)
        return super().get_current_value(variable)

    @property
    def used(self) -> list[keras.Variable]:
        """The variables in the order of their first use."""
        return list(self._found.values())


class FunctionVariables(keras.layers.Layer):
    """The variables of a function as those of a layer, for Keras to find."""

    def __init__(self, used: Sequence[keras.Variable]):
        super().__init__(name="function_variables")
        self.used = list(used)
        self.built = True
