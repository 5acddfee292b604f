"""What a conversion cannot express: errors, or warnings where that was asked for."""

from __future__ import annotations

import warnings
from typing import Any

from nengo.exceptions import ValidationError


class Findings:
    """Raises errors and warnings that name the object.

    Parameters
    ----------
    strict
        Whether what can only be approximated is an error.
    """

    def __init__(self, strict: bool = True):
        self.strict = strict

    def refuse(self, obj: Any, why: str, attr: str = "network") -> ValidationError:
        """The error for something that NIR has no means for; to be raised."""
        return ValidationError(f"{obj} cannot be written as NIR: {why}", attr=attr)

    def approximate(self, obj: Any, why: str, instead: str, result: str) -> None:
        """Something that NIR has not, and what would be written in its place."""
        if self.strict:
            raise ValidationError(
                f"{obj} cannot be written as NIR: {why}. {instead}, or pass strict=False and get "
                f"{result}",
                attr="strict",
            )
        warnings.warn(f"{obj}: {why}; the NIR graph has {result}", stacklevel=2)
