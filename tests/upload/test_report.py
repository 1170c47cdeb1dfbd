"""What an uploader reports while it opens its spool."""

from __future__ import annotations

import pytest

from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.upload.report import Progress


def test_progress_reports_that_nothing_is_committed_yet() -> None:
    """So control acknowledges nothing, but knows that the uploader is alive."""
    control, ours = Link.pair()
    Progress(ours)()
    assert control.receive() == [[Kind.KEPT, 0]]
    control.close()
    ours.close()


def test_progress_is_reported_only_now_and_then() -> None:
    """However often it is called: control has other things to do."""
    control, ours = Link.pair()
    for every_s, said in ((3600.0, 1), (0.0, 100)):
        progress = Progress(ours, every_s)
        for _ in range(100):
            progress()
        assert len(control.receive()) == said
    control.close()
    ours.close()


def test_without_control_work_goes_on_only_while_it_holds_polls() -> None:
    """Otherwise it would keep the next agent from starting."""
    control, ours = Link.pair()
    control.close()
    progress = Progress(ours, 0.0)
    with pytest.raises(LinkClosedError):
        progress()
    progress.holds_polls = True
    progress()
    ours.close()
