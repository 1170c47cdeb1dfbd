"""What a spool hands on to the next uploader, and to the uploader of the next control process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.ipc.link import Link
from pattoo_mp.upload.report import send_account
from tests.spool.polls import LAYOUTS, fill, polls, times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_channel_counts_its_own_polls_from_zero(home: Path) -> None:
    """Its sequence numbers begin at 1 again, and are no numbers of the channel before."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 5, "first")
    spool.close()
    spool = open_spool(path, AMPLE)
    new = [(number - 5, poll) for number, poll in polls(6, 7)]
    assert spool.append(new, LAYOUTS, "second") == 2
    state = spool.state
    assert (state.channel, state.sequence, state.kept_of_channel) == ("second", 2, 2)
    assert (state.kept, state.outputs[OUTPUT].waiting) == (7, 7)
    assert times(spool) == [1, 2, 3, 4, 5, 6, 7]
    spool.close()


def test_control_gets_no_sequence_number_of_an_earlier_control_process(home: Path) -> None:
    """It would take polls that are still in its channel for kept, and drop them."""
    spool = open_spool(home / "spool.sqlite", AMPLE)
    fill(spool, 1, 5, "first")
    for channel, sequence in (("first", 5), ("second", 0)):
        ours, theirs = Link.pair()
        send_account(ours, spool, channel)
        ((_, _, _, account),) = theirs.receive()
        assert (account["channel"], account["sequence"]) == (channel, sequence)
        assert (account["kept_of_channel"], account["kept"]) == (sequence, 5)
        ours.close()
        theirs.close()
    spool.close()


def test_a_successor_keeps_polls_of_the_same_channel_once(home: Path) -> None:
    """Its predecessor was killed between a commit and the acknowledgement of it."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 5)
    known = spool.state
    spool.close()
    spool = open_spool(path, AMPLE, known)
    assert fill(spool, 4, 8) == 3
    assert times(spool) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert spool.state.kept_of_channel == 8
    spool.close()


def test_the_ledgers_snapshot_stays_until_there_is_another(home: Path) -> None:
    """A successor of the uploader may get polls without one."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append(polls(1, 1), LAYOUTS, "c", '{"missed": {}}')
    spool.close()
    spool = open_spool(path, AMPLE)
    fill(spool, 2, 2)
    assert spool.state.book == '{"missed": {}}'
    spool.close()


def test_times_of_posts_grow_across_uploaders(home: Path) -> None:
    """Also those that were handed out and never used, and if the clock goes back."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append(polls(1, 1), LAYOUTS, "c", now_ms=1000)
    given = [spool.next_envelope_ms(OUTPUT, 1000), spool.next_envelope_ms(OUTPUT, 900)]
    spool.close()
    spool = open_spool(path, AMPLE)
    given.append(spool.next_envelope_ms(OUTPUT, 500))
    spool.append(polls(2, 2), LAYOUTS, "c", now_ms=400)
    given += [spool.next_envelope_ms(OUTPUT, 400), spool.next_envelope_ms(OUTPUT, 300)]
    assert given == sorted(set(given))
    spool.close()
