"""What install and uninstall would do, from what is there."""

from __future__ import annotations

import pytest

from pattoo_mp.errors import SetupError
from pattoo_mp.setup.host import Directory, File, Found, Inventory, Kind, Record
from pattoo_mp.setup.plan import Act, Step, install, uninstall

CONFIGURATION = "/etc/pattoo/pattoo.yaml"
UNIT = "/etc/systemd/system/x.service"
OLD, NEW, THEIRS = (File(CONFIGURATION, text) for text in (b"old", b"new", b"theirs"))
NOTHING = Found(Kind.NOTHING)
USER = "pattoo"


def holding(file: File) -> Found:
    """A file with that content."""
    return Found(Kind.FILE, file.digest)


def planned(there: Found, record: Record, there_beside: Found = NOTHING) -> Step:
    """What install would do about one file that is shipped as NEW."""
    found = {CONFIGURATION: there, f"{CONFIGURATION}.new": there_beside}
    (step,) = install(Inventory((), (NEW,)), found, record, "", has_user=False)
    return step


def made_directory(there: Found, user: str = USER) -> Step:
    """What install would do about a directory of the agent's."""
    inventory = Inventory((Directory("/var/log/pattoo", is_agents=True),), ())
    return install(inventory, {"/var/log/pattoo": there}, Record(), user, has_user=True)[-1]


def removed(path: str, there: Found, *, purge: bool) -> Step:
    """What uninstall would do about one file that was written as OLD."""
    (step,) = uninstall({path: there}, Record(files={path: OLD.digest}), purge=purge)
    return step


def test_what_is_not_there_is_written() -> None:
    """A first installation."""
    step = planned(NOTHING, Record())
    assert (step.act, step.file, step.line) == (Act.WRITE, NEW, f"write   {CONFIGURATION}")


def test_what_is_as_shipped_is_kept() -> None:
    """A second one."""
    assert planned(holding(NEW), Record(files={CONFIGURATION: NEW.digest})).act is Act.NOTHING


def test_what_nobody_changed_is_updated() -> None:
    """A new release ships another text."""
    step = planned(holding(OLD), Record(files={CONFIGURATION: OLD.digest}))
    assert (step.act, step.word, step.what) == (Act.WRITE, "update", CONFIGURATION)


def test_what_a_person_changed_is_kept_if_nothing_new_is_shipped() -> None:
    """There is nothing to compare it with."""
    step = planned(holding(THEIRS), Record(files={CONFIGURATION: NEW.digest}))
    assert step == Step(Act.NOTHING, "keep", CONFIGURATION, "is yours")


@pytest.mark.parametrize(
    "record", [Record(), Record(files={CONFIGURATION: OLD.digest})], ids=["never ours", "was ours"]
)
def test_what_a_person_wrote_gets_the_new_one_beside_it(record: Record) -> None:
    """It is kept, and what we ship is there to compare."""
    step = planned(holding(THEIRS), record)
    assert (step.act, step.what, step.offered_for) == (
        Act.WRITE,
        f"{CONFIGURATION}.new",
        CONFIGURATION,
    )
    assert step.note == f"{CONFIGURATION} is yours and is kept; compare them"


def test_a_new_one_that_a_person_changed_is_kept_too() -> None:
    """Nothing that is not ours is written over, whatever its name."""
    step = planned(holding(THEIRS), Record(), there_beside=holding(THEIRS))
    assert (step.act, step.note) == (
        Act.NOTHING,
        f"is yours, and so is {CONFIGURATION}.new",
    )


def test_what_was_offered_once_is_not_offered_again() -> None:
    """A person who threw the new one away has seen it."""
    step = planned(holding(THEIRS), Record(offered={CONFIGURATION: NEW.digest}))
    assert step.act is Act.NOTHING


def test_a_directory_in_the_place_of_a_file_is_in_the_way() -> None:
    """And the other way round: no guess, one line."""
    with pytest.raises(SetupError, match=r"pattoo\.yaml: is a directory; expected a file"):
        planned(Found(Kind.DIRECTORY), Record())
    with pytest.raises(SetupError, match=r"/var/log/pattoo: is a file; expected a directory"):
        made_directory(holding(THEIRS))


def test_a_directory_that_is_there_is_used_as_it_is() -> None:
    """Whoever owns it keeps it; that the agent could not write there is said."""
    assert made_directory(NOTHING).act is Act.MAKE_DIRECTORY
    assert made_directory(Found(Kind.DIRECTORY, owner=USER)).note == "is there"
    step = made_directory(Found(Kind.DIRECTORY, owner="root"))
    assert (step.act, step.note) == (
        Act.NOTHING,
        "is there, root's; the agent must be able to write to it",
    )


def test_a_user_is_added_once() -> None:
    """And none below a root of somebody's own."""
    nothing = Inventory((), ())
    (step,) = install(nothing, {}, Record(), USER, has_user=False)
    assert step.act is Act.ADD_USER
    (step,) = install(nothing, {}, Record(), USER, has_user=True)
    assert step.act is Act.NOTHING
    assert install(nothing, {}, Record(), "", has_user=False) == []


@pytest.mark.parametrize(
    ("path", "there", "purge", "act"),
    [
        (UNIT, holding(OLD), False, Act.REMOVE_FILE),
        (UNIT, holding(THEIRS), False, Act.NOTHING),
        (UNIT, holding(THEIRS), True, Act.REMOVE_FILE),
        (CONFIGURATION, holding(OLD), False, Act.NOTHING),
        (CONFIGURATION, holding(THEIRS), True, Act.REMOVE_FILE),
        (f"{CONFIGURATION}.new", holding(OLD), False, Act.REMOVE_FILE),
        (UNIT, NOTHING, False, Act.FORGET),
    ],
)
def test_uninstall_leaves_what_is_a_persons_unless_it_is_to_purge(
    path: str, there: Found, *, purge: bool, act: Act
) -> None:
    """What was changed, and configuration, changed or not."""
    assert removed(path, there, purge=purge).act is act


def test_uninstall_removes_no_file_that_it_only_offered_another_for() -> None:
    """Not even to purge: it was there before us."""
    assert uninstall({}, Record(offered={CONFIGURATION: NEW.digest}), purge=True) == []


@pytest.mark.parametrize(
    ("purge", "acts"),
    [
        (False, [Act.NOTHING, Act.NOTHING, Act.NOTHING]),
        (True, [Act.REMOVE_TREE, Act.REMOVE_TREE, Act.REMOVE_USER]),
    ],
)
def test_data_and_the_user_go_only_to_purge(*, purge: bool, acts: list[Act]) -> None:
    """The inner directory before the outer one."""
    record = Record(directories=["/srv/p", "/srv/p/log"], user=USER)
    there = dict.fromkeys(record.directories, Found(Kind.DIRECTORY))
    steps = uninstall(there, record, purge=purge)
    assert [step.act for step in steps] == acts
    assert [step.what for step in steps] == ["/srv/p/log", "/srv/p", USER]
