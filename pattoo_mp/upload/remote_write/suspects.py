"""Series that a receiver refuses although it takes the others of the same polls.

Each is tried again with every batch, in requests of their own, until its samples are taken again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.upload.remote_write.answer import Refused
from pattoo_mp.upload.remote_write.message import request
from pattoo_mp.upload.remote_write.samples import only_sample, some
from pattoo_mp.upload.remote_write.search import (
    ProbeFailedError,
    ProbeStoredError,
    Search,
    first_true,
)
from pattoo_mp.upload.remote_write.transport import compressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.upload.remote_write.message import Block
    from pattoo_mp.upload.remote_write.receiver import Receiver
    from pattoo_mp.upload.remote_write.samples import Batch
    from pattoo_mp.upload.remote_write.transport import RemoteWriteTransport

#: How long suspects are tried after each batch. The samples of the others count as refused then.
_TRYING_S: Final = 30.0


def try_suspects(receiver: Receiver, batch: Batch, transport: RemoteWriteTransport) -> None:
    """Send the samples of the suspects in a batch: all together, and halves of what is refused.

    The order of requests does not matter, since none has samples of the same series.
    """
    blocks = receiver.blocks_of_suspects(batch)
    present = list(dict.fromkeys(labels for block in blocks for labels in block.series))
    receiver.suspects.intersection_update(present)  # others have ended
    groups = [present] if present else []
    reason = "not tried in time"
    until = time.monotonic() + _TRYING_S
    while groups and time.monotonic() < until:
        group = groups.pop()
        of_group = some(blocks, group)
        outcome = transport.post("", compressed(request(of_group)))
        if outcome.delivered:
            receiver.suspects.difference_update(group)
        elif not isinstance(outcome, Refused):
            groups.append(group)
            reason = outcome.error
            break
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[:half], group[half:]]
            reason = outcome.reason
        else:
            _try_alone(receiver, group[0], _samples(of_group), outcome.reason, transport)
    for group in groups:
        receiver.refusals.note(reason, len(_samples(some(blocks, group))))


def _try_alone(
    receiver: Receiver,
    labels: bytes,
    samples: Sequence[tuple[int, float]],
    reason: str,
    transport: RemoteWriteTransport,
) -> None:
    """Send what is acceptable of a series of which something is refused."""
    refused = len(samples)
    if samples:
        refused, reason = _refused(transport, labels, samples, reason)
    if refused < len(samples):  # its last samples were taken
        receiver.suspects.discard(labels)
    if refused:
        receiver.refusals.note(reason, refused)


def _refused(
    transport: RemoteWriteTransport,
    labels: bytes,
    samples: Sequence[tuple[int, float]],
    reason: str,
) -> tuple[int, str]:
    """Send the samples of a series that are acceptable; return how many others there are, and why."""
    search = Search(transport)

    def refusal(number: int) -> str:
        return search.refusal(only_sample(labels, *samples[number]), samples[number][0])

    try:
        if last := refusal(len(samples) - 1):
            return len(samples), last
        begin = first_true(len(samples), lambda n: not refusal(n)) if refusal(0) else 0
    except (ProbeFailedError, ProbeStoredError):
        return len(samples), reason
    message = b"".join(only_sample(labels, *sample) for sample in samples[begin:])
    outcome = transport.post("", compressed(message))
    return (begin, reason) if outcome.delivered else (len(samples), outcome.error)


def _samples(blocks: Sequence[Block]) -> list[tuple[int, float]]:
    """Return the times (ms) and values of the samples of these blocks."""
    return [
        (time_ms, value)
        for block in blocks
        for _, values in block.rows
        for time_ms, value in zip(block.times_ms, values, strict=True)
        if isinstance(value, (int, float))
    ]
