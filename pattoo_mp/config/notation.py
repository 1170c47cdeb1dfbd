"""Numbers as people write them, and as YAML 1.1 reads them: pure.

To YAML 010 is eight, in octal, and 1:30 is ninety, in sixties. Nobody who writes a configuration
means that. What a programmer writes, 0x1f or 1_000, is read as it is meant.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Misread:
    """What stands in a file as a number, and is another to YAML: no check takes it for one."""

    written: str
    value: float

    def __repr__(self) -> str:
        """As a message shows it."""
        return f"{self.written}, which YAML reads as {self.value}"


def as_written(text: str, value: float) -> float | Misread:
    """The number that YAML makes of `text`, if a person reads the same there."""
    if ":" in text:
        return Misread(text, value)
    try:
        is_same = int(text.replace("_", "")) == value
    except ValueError:  # a fraction, or a number in hexadecimal or binary
        return value
    return value if is_same else Misread(text, value)


def meant(value: object) -> object:
    """The number that is most likely meant by what is none to YAML; all else as it is."""
    if isinstance(value, Misread):
        return value.value
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number
