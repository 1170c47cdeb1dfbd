"""Series that a receiver refuses although it takes the others of the same polls.

Each is tried again with every batch, in a request of its own, until its samples are taken again.
"""

from __future__ import annotations

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

#: So many series are tried one by one with each batch. Of more, the samples count as refused.
_MOST: Final = 16


def try_suspects(receiver: Receiver, batch: Batch, transport: RemoteWriteTransport) -> None:
    """Send the samples of the suspects in a batch, all together, or one by one if that is refused."""
    blocks = receiver.blocks_of_suspects(batch)
    present = list(dict.fromkeys(labels for block in blocks for labels in block.series))
    receiver.suspects.intersection_update(present)  # others have ended
    if not present:
        return
    outcome = transport.post("", compressed(request(blocks)))
    if outcome.delivered:
        receiver.suspects.clear()
        return
    reason = outcome.reason if isinstance(outcome, Refused) else outcome.error
    for number, labels in enumerate(present):
        samples = _samples(some(blocks, {labels}))
        refused = len(samples)
        if number < _MOST and samples and isinstance(outcome, Refused):
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
    """Return the times (ms) and values of the one series of these blocks."""
    return [
        (time_ms, value)
        for block in blocks
        for _, values in block.rows
        for time_ms, value in zip(block.times_ms, values, strict=True)
        if isinstance(value, (int, float))
    ]
