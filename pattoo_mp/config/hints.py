"""What to say of how a value is to be written, where its notation alone is wrong: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config.notation import meant
from pattoo_mp.config.yamlfile import unquoted

if TYPE_CHECKING:
    from collections.abc import Callable


def hint(check: Callable[[object], object], given: object) -> str:
    """To follow what `check` expects of `given`, which it has refused; empty if there is no hint."""
    if _would_take(check, _each(unquoted, given)):
        return ", without quotes"
    return ", in plain decimals" if _would_take(check, _each(meant, given)) else ""


def _would_take(check: Callable[[object], object], value: object) -> bool:
    try:
        check(value)
    except (ValueError, OverflowError):
        return False
    return True


def _each(change: Callable[[object], object], value: object) -> object:
    """The same value with each scalar in it changed."""
    if isinstance(value, list):
        return [_each(change, one) for one in value]
    if isinstance(value, dict):
        return {name: _each(change, one) for name, one in value.items()}
    return change(value)
