"""What a pattoo server survives in each place of a post, a rule a function.

A rule takes what stood in the JSON and returns it as the type that it must have, or raises
`Refused` with the reason. Where it stood is added by the caller.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver.post import DATA_TYPES, STRING, Value
from pattoo_mp.receiver.refused import Refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The pattoo server's columns hold 512 bytes.
TEXT_BYTES: Final = 512
#: From here on the pattoo server's DECIMAL(40,10) overflows.
VALUE_LIMIT: Final = 1e30
#: A database's column of milliseconds ends here.
TIME_LIMIT: Final = 2**63

_CHECKSUM: Final = re.compile(r"[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def text(value: object) -> str:
    """Any text that UTF-8 can carry."""
    if not isinstance(value, str):
        raise Refused(f"expected a string, got {shown(value)}")
    _utf8(value)
    return value


def column(value: object) -> str:
    """Text that fits a column of the pattoo server."""
    fitting = text(value)
    size = len(_utf8(fitting))
    if size > TEXT_BYTES:
        raise Refused(f"{size} bytes in UTF-8, expected at most {TEXT_BYTES}: {shown(fitting)}")
    return fitting


def timestamp(value: object) -> int:
    """Unix time in ms; neither a bool nor a float with nothing after its point will do."""
    if type(value) is not int or not 0 <= value < TIME_LIMIT:
        raise Refused(f"expected an integer of milliseconds, got {shown(value)}")
    return value


def interval(value: object) -> int:
    """A polling interval in ms, as the envelope has it."""
    if timestamp(value) == 0:
        raise Refused("expected a positive integer of milliseconds, got 0")
    return timestamp(value)


def interval_text(value: object) -> int:
    """A polling interval in ms, as a datapoint has it: the digits in a string."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise Refused(
            f"expected a positive integer of milliseconds in a string, got {shown(value)}"
        )
    return interval(int(value))


def data_type(value: object) -> int:
    """One of the numbers that the pattoo server knows."""
    if type(value) is not int or value not in DATA_TYPES:
        raise Refused(f"expected a data type of {sorted(DATA_TYPES)}, got {shown(value)}")
    return value


def checksum(value: object) -> str:
    """A SHA-256 digest."""
    if not isinstance(value, str) or not _CHECKSUM.fullmatch(value):
        raise Refused(f"expected 64 hex digits, got {shown(value)}")
    return value


def scalar(value: object) -> Value:
    """A value before its data type is known: text or a number."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Refused(f"expected a number or a string, got {shown(value)}")


def typed(value: Value, of_type: int) -> Value:
    """A value as its data type has it: the pattoo server reads numbers from strings, too."""
    if of_type == STRING:
        return value
    try:
        # By way of a float, as the pattoo server does it: that rounds integers up to the limit.
        number = float(value)
    except ValueError:
        raise Refused(f"expected a number, got {shown(value)}") from None
    except OverflowError:
        number = math.inf
    # A NaN compares false with everything.
    if not -VALUE_LIMIT < number < VALUE_LIMIT:
        raise Refused(f"expected a finite number below {VALUE_LIMIT:g}, got {shown(value)}")
    return number if isinstance(value, str) else value


#: The ten pairs of every datapoint; all others are metadata.
PAIRS: Final[Mapping[str, Callable[[object], object]]] = {
    "pattoo_agent_polling_interval": interval_text,
    "pattoo_agent_hostname": text,
    "pattoo_agent_id": text,
    "pattoo_agent_polled_target": column,
    "pattoo_agent_program": text,
    "pattoo_key": text,
    "pattoo_data_type": data_type,
    "pattoo_value": scalar,
    "pattoo_timestamp": timestamp,
    "pattoo_checksum": checksum,
}


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Refused(f"a lone surrogate, which UTF-8 cannot carry: {shown(value)}") from None
