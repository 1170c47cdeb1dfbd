"""The places of hubs: each fetches the polls that it does not have yet, and acknowledges them.

docs/pull.md has the interface. A place is an account of its own in the spool, beside that of the output.
Not thread-safe: the output's thread alone uses it.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import WireError
from pattoo_mp.ipc.messages import UploadState
from pattoo_mp.model import now_ms
from pattoo_mp.spool.account import is_place, output_of, place_of
from pattoo_mp.upload.spooled import Outbox
from pattoo_mp.util import json_text
from pattoo_mp.util.text import counted, duration
from pattoo_mp.wire.safe import sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pattoo_mp.model import Layout
    from pattoo_mp.spool.store import Spool, Spooled

_LOG = logging.getLogger(__name__)

VERSION: Final = 1
#: So many hubs of an output have places.
MAX_PLACES: Final = 8
#: An answer has at most so many polls.
MAX_POLLS: Final = 1000
#: A poll of a usual host takes more; so the polls read for an answer take little more memory than it.
_BYTES_A_POLL: Final = 1000
_LEAST_READ: Final = 20


class NoPlaceError(Exception):
    """All places are taken by other hubs."""


class NotHandedOutError(Exception):
    """A number is acknowledged that was not handed out to the hub."""


@dataclass(slots=True)
class _Place:
    """A hub's place. `seen` is when it came last (monotonic); `handed` are the ids that it may acknowledge."""

    outbox: Outbox
    seen: float
    handed: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_POLLS))
    #: The last id that was ever handed out here, by this process, and the size of the answer with it.
    last_id: int = 0
    answer_bytes: int = 0
    state: UploadState = field(default_factory=UploadState)


class Places:
    """The places of the hubs that fetch from `output`. `clock` is monotonic, in s."""

    def __init__(
        self,
        spool: Spool,
        output: str,
        report: Callable[[str, UploadState], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._output = output
        self._report = report
        self._clock = clock
        self._places: dict[str, _Place] = {}

    @property
    def names(self) -> list[str]:
        """The names of the hubs that have a place."""
        begin = len(place_of(self._output, ""))
        return [name[begin:] for name in self._spool.state.outputs if self._is_ours(name)]

    def fetch(
        self, hub: str, max_bytes: int, known: Collection[str], agent: dict[str, Any]
    ) -> bytes | None:
        """Return the JSON of the oldest polls that a hub does not have; None if none waits.

        `known` are the layouts that it has. Raises `NoPlaceError`, one of `StorageError`, or `OSError` for
        what cannot be read before the next poll.
        """
        place = self._place(hub)
        limit = min(MAX_POLLS, max(_LEAST_READ, max_bytes // _BYTES_A_POLL))
        while found := place.outbox.oldest(limit):
            answer = _Answer(max_bytes, known, self._spool.layout)
            try:
                for spooled in found:
                    if not answer.add(spooled):
                        break
            except WireError as error:
                self._set_aside(place, found, error)
                continue
            place.handed.extend(
                i for i in answer.ids if i > (place.handed[-1] if place.handed else 0)
            )
            place.last_id = max(place.last_id, answer.ids[-1])
            name = place_of(self._output, hub)
            account = self._account(name)
            head = {"version": VERSION, "agent": agent, "now_ms": now_ms(), "account": account}
            text = answer.text(head, more=account["waiting"] > len(answer.ids))
            place.answer_bytes = len(text)
            return text
        self.report(hub)
        return None

    def acknowledge(self, hub: str, up_to: int) -> None:
        """Note that a hub has the polls up to a number. Raises `NotHandedOutError`, `StorageError`."""
        place = self._places.get(hub)
        if place is None or not 0 < up_to <= place.last_id:
            raise NotHandedOutError
        place.seen = self._clock()
        taken = 0
        while place.handed and place.handed[0] <= up_to:
            place.handed.popleft()
            taken += 1
        if taken:
            place.outbox.sent(up_to, taken)
            place.state = replace(
                place.state,
                posts=place.state.posts + 1,
                sent_bytes=place.state.sent_bytes + place.answer_bytes,
                last_post_ms=now_ms(),
            )
            place.answer_bytes = 0
        self.report(hub)

    def give_up(self, after_s: float) -> None:
        """Remove the places of hubs that have not come for `after_s`, with what waits for them."""
        for hub in self.names:
            place = self._known(hub)
            if self._clock() - place.seen < after_s:
                continue
            waiting = place.outbox.waiting
            self._spool.remove_place(place.outbox.output)
            del self._places[hub]
            _LOG.warning(
                "The hub %s has not come for %s and is given up, with %s that waited for it.",
                hub,
                duration(after_s),
                counted(waiting, "poll"),
            )

    def report(self, hub: str) -> None:
        """Report the state of a hub's place."""
        self._report(place_of(self._output, hub), self._known(hub).state)

    def report_all(self) -> None:
        """Report the states of all places."""
        for hub in self.names:
            self.report(hub)

    def _is_ours(self, name: str) -> bool:
        return is_place(name) and output_of(name) == self._output

    def _known(self, hub: str) -> _Place:
        if hub not in self._places:
            outbox = Outbox(self._spool, place_of(self._output, hub))
            self._places[hub] = _Place(outbox, self._clock(), state=UploadState(server=hub))
        return self._places[hub]

    def _place(self, hub: str) -> _Place:
        """Return a hub's place, and make it if it has none. Raises `NoPlaceError`."""
        names = self.names
        if hub not in names:
            if len(names) >= MAX_PLACES:
                raise NoPlaceError
            self._places.pop(hub, None)
            self._spool.add_place(place_of(self._output, hub))
            _LOG.info("The hub %s is new: it gets the polls from now on.", hub)
        place = self._known(hub)
        place.seen = self._clock()
        return place

    def _set_aside(self, place: _Place, found: list[Spooled], error: WireError) -> None:
        """Move the first unreadable poll to quarantine, unless the next poll may bring its layout."""
        if not place.outbox.has_layouts:
            raise OSError(f"{error}; the next poll may bring what is missing") from error
        for spooled in found:
            try:
                _Answer(0, (), self._spool.layout).add(spooled)
            except WireError as why:
                _LOG.error(
                    "Unreadable poll of %d ms moved to quarantine: %s",
                    spooled.poll.timestamp_ms,
                    why,
                )
                place.outbox.set_aside_unreadable(spooled.id, str(why))
                return
        raise OSError(f"its polls have changed: {error}") from error

    def _account(self, name: str) -> dict[str, Any]:
        state = self._spool.state
        account = state.outputs[name]
        try:
            book = json_text.parse(state.book or "{}")
        except ValueError:
            book = {}
        book = book if isinstance(book, dict) else {}
        return {
            "polled": account.kept,
            "delivered": account.delivered,
            "waiting": account.waiting,
            "quarantined": account.quarantined,
            "dropped": dict(account.dropped),
            "missed": book.get("missed", {}),
            "gaps": book.get("gaps", []),
        }


class _Answer:
    """The layouts and polls of an answer, as JSON, as far as they have room."""

    def __init__(
        self, max_bytes: int, known: Collection[str], layout: Callable[[str], Layout]
    ) -> None:
        self._left = max_bytes
        self._known = set(known)
        self._layout = layout
        self._layouts: list[str] = []
        self._polls: list[str] = []
        self.ids: list[int] = []

    def add(self, spooled: Spooled) -> bool:
        """Add a poll; return whether it had room. The first one always has. Raises `WireError`."""
        poll = spooled.poll
        layout = self._layout(poll.layout_id)
        values = poll.values()
        if len(values) != len(layout.series):
            raise WireError(
                f"a poll of {len(values)} values for a layout of {len(layout.series)} series"
            )
        line = f'[{spooled.id},{poll.timestamp_ms},"{poll.layout_id}",{_values(values)}]'
        new = [] if poll.layout_id in self._known else list(self._new(layout))
        size = len(line) + sum(len(text) for _, text in new)
        if self.ids and size > self._left:
            return False
        self._left -= size
        self._known |= {identifier for identifier, _ in new}
        self._layouts += [text for _, text in new]
        self._polls.append(line)
        self.ids.append(spooled.id)
        return True

    def _new(self, layout: Layout) -> Iterator[tuple[str, str]]:
        """Yield the layout, and those of its parts that are not known, with their texts."""
        origin = layout.origin
        shared: dict[str, Any] = {
            "agent_id": origin.agent_id,
            "hostname": origin.hostname,
            "program": origin.program,
            "interval_ms": layout.interval_ms,
        }
        if layout.parts:
            parts = [part.identifier for part in layout.parts]
            yield layout.identifier, f'"{layout.identifier}":{_json(shared | {"parts": parts})}'
        for part in layout.undivided:
            if part.identifier not in self._known:
                series = [(s.key, s.data_type, s.metadata) for s in part.series]
                yield part.identifier, f'"{part.identifier}":{_json(shared | {"series": series})}'

    def text(self, head: dict[str, Any], *, more: bool) -> bytes:
        """Return the whole answer; `head` has its other members."""
        return (
            f'{_json(head)[:-1]},"layouts":{{{",".join(self._layouts)}}},"polls":[{",".join(self._polls)}],'
            f'"more":{_json(more)}}}\n'
        ).encode("ascii")


def _values(values: list[Any]) -> str:
    try:
        return _json(values)
    except ValueError:  # what JSON has no number for
        return _json([value if sendable(value) else None for value in values])


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
