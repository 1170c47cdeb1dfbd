"""The current frequency of each processor that is online.

On x86, `/proc/cpuinfo` has it. Elsewhere a policy of cpufreq has it: one clock for one or several
processors, which it lists if they are online. See the kernel's
Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._sysfs import attribute, entries, whole_number, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Frequencies = dict[int, float | Exception]

NONE: Final = "the kernel reports no processor frequency"

_CPUS: Final = "devices/system/cpu"
_POLICY: Final = re.compile(r"policy([0-9]{1,9})")
_CPU: Final = re.compile(r"cpu([0-9]{1,9})")
#: Names in `/proc/cpuinfo`; the second ones are those of IBM Z.
_NUMBERS: Final = ("processor", "cpu number")
_FREQUENCIES: Final = ("cpu MHz", "cpu MHz dynamic")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
#: Before the lines of each processor.
_NEXT: Final = re.compile(r"\n(?=processor\s|cpu number)")
#: No kernel numbers processors beyond this.
_MOST: Final = 65535


def by_processor() -> Frequencies:
    """Return MHz, or an error, by the kernel's number of each processor that is online.

    Raises `NotImplementedError` if no processor has a frequency, and `OSError`.
    """
    with suppress(FileNotFoundError):
        found = parse(host.proc("cpuinfo"))
        if found:
            return found
    found = {}
    for number, mhz in _by_policy():
        twice = ValueError("two policies have this processor")
        found[number] = twice if number in found else mhz
    if not found:
        raise NotImplementedError(NONE)
    return dict(sorted(found.items()))


def parse(lines: str) -> Frequencies:
    r"""Return MHz by the numbers of the processors. Processors that are offline have no lines.

    >>> parse("processor\t: 0\ncpu MHz\t\t: 2600.5\n\nprocessor\t: 2\ncpu MHz\t\t: 800.0\n")
    {0: 2600.5, 2: 800.0}
    """
    found: Frequencies = {}
    for processor in _NEXT.split(lines):
        number = _field(processor, _NUMBERS)
        mhz = _field(processor, _FREQUENCIES)
        if mhz is not None and number is not None and _NUMBER.fullmatch(number):
            found[int(number)] = _mhz(mhz)
    return found


def _field(lines: str, names: Iterable[str]) -> str | None:
    """Return the text of the first line that has one of the names; None if there is no such line.

    It does not look at each line: there are thirty for each of what may be hundreds of processors.
    """
    for name in names:
        at = 0 if lines.startswith(name) else lines.find(f"\n{name}") + 1
        field, _, text = lines[at:].partition("\n")[0].partition(":")
        if field.rstrip() == name:
            return text.strip()
    return None


def _mhz(text: str) -> float | Exception:
    with suppress(ValueError):
        frequency = float(text)
        if 0 < frequency < math.inf:
            return frequency
    return ValueError(f"{text[:40]!r} is not a frequency")


def _by_policy() -> Iterator[tuple[int, float | Exception]]:
    """Yield each processor that is online, with the frequency of its policy."""
    for number, policy in _policies():
        try:
            numbers = _affected(number, policy)
        except (OSError, ValueError) as error:
            yield number, error
            continue
        if numbers:  # of processors that are offline, there is none to be had
            frequency = _current(policy)
            for each in numbers:
                yield each, frequency


def _policies() -> Iterator[tuple[int, str]]:
    """Yield the number and the directory of each policy. Old kernels have them at the processors."""
    policies = [match for match in map(_POLICY.fullmatch, entries(f"{_CPUS}/cpufreq")) if match]
    if policies:
        for match in policies:
            yield int(match[1]), f"{host.SYS}/{_CPUS}/cpufreq/{match[0]}"
        return
    for match in filter(None, map(_CPU.fullmatch, entries(_CPUS))):
        if entries(f"{_CPUS}/{match[0]}/cpufreq"):
            yield int(match[1]), f"{host.SYS}/{_CPUS}/{match[0]}/cpufreq"


def _affected(number: int, policy: str) -> list[int]:
    """Return the numbers of the processors of a policy that are online.

    Raises `OSError` and `ValueError`.
    """
    try:
        texts = attribute(f"{policy}/affected_cpus").split()
        return [int(within(whole_number(text), 0, _MOST, "as a processor")) for text in texts]
    except FileNotFoundError:
        with suppress(FileNotFoundError):  # the first processor cannot be taken offline
            if attribute(f"{host.SYS}/{_CPUS}/cpu{number}/online") == "0":
                return []
        return [number]


def _current(policy: str) -> float | Exception:
    try:
        try:
            khz = whole_number(attribute(f"{policy}/scaling_cur_freq"))
        except FileNotFoundError:
            khz = whole_number(attribute(f"{policy}/cpuinfo_cur_freq"))
    except (OSError, ValueError) as error:
        return error
    return khz / 1000 if khz > 0 else ValueError(f"{khz} kHz is not a frequency")
