"""The steps of install and uninstall."""

from __future__ import annotations

import pytest

from pattoo_mp.errors import SetupError
from pattoo_mp.setup.host import Directory, File, Found, Inventory, Kind, Record
from pattoo_mp.setup.plan import Act, Step, install, uninstall

CONFIGURATION = "/etc/pattoo/pattoo.yaml"
UNIT = "/etc/systemd/system/x.service"
OLD, NEW, CHANGED = (File(CONFIGURATION, text) for text in (b"old", b"new", b"changed"))
NOTHING = Found(Kind.NOTHING)
USER = "pattoo"


def existing(file: File) -> Found:
    """A file with this content."""
    return Found(Kind.FILE, file.digest)


def planned(there: Found, record: Record, there_beside: Found = NOTHING) -> Step:
    """The step of install for one file that is shipped as NEW."""
    found = {CONFIGURATION: there, f"{CONFIGURATION}.new": there_beside}
    (step,) = install(Inventory((), (NEW,)), found, record, "", has_user=False)
    return step


def made_directory(there: Found, user: str = USER) -> Step:
    """The step of install for a directory of the agent."""
    inventory = Inventory((Directory("/var/log/pattoo", is_agent_owned=True),), ())
    return install(inventory, {"/var/log/pattoo": there}, Record(), user, has_user=True)[-1]


def removed(path: str, there: Found, *, purge: bool) -> Step:
    """The step of uninstall for one file that was written as OLD."""
    (step,) = uninstall({path: there}, Record(files={path: OLD.digest}), purge=purge)
    return step


def test_a_missing_file_is_written() -> None:
    """At the first installation."""
    step = planned(NOTHING, Record())
    assert (step.act, step.file, step.line) == (Act.WRITE, NEW, f"write   {CONFIGURATION}")


def test_an_unchanged_file_is_kept() -> None:
    """At a second installation of the same release."""
    assert planned(existing(NEW), Record(files={CONFIGURATION: NEW.digest})).act is Act.NOTHING


def test_an_unchanged_file_of_an_older_release_is_updated() -> None:
    """The new release ships another text."""
    step = planned(existing(OLD), Record(files={CONFIGURATION: OLD.digest}))
    assert (step.act, step.word, step.what) == (Act.WRITE, "update", CONFIGURATION)


def test_a_changed_file_is_kept_if_nothing_new_is_shipped() -> None:
    """Nothing is put beside it."""
    step = planned(existing(CHANGED), Record(files={CONFIGURATION: NEW.digest}))
    assert step == Step(Act.NOTHING, "keep", CONFIGURATION, "is yours")


@pytest.mark.parametrize(
    "record",
    [Record(), Record(files={CONFIGURATION: OLD.digest})],
    ids=["never shipped", "shipped before"],
)
def test_a_new_file_is_put_beside_a_changed_one(record: Record) -> None:
    """The changed file is kept; the shipped one is there to compare."""
    step = planned(existing(CHANGED), record)
    assert (step.act, step.what, step.offered_for) == (
        Act.WRITE,
        f"{CONFIGURATION}.new",
        CONFIGURATION,
    )
    assert step.note == f"{CONFIGURATION} is yours and is kept; compare them"


def test_a_changed_file_beside_it_is_kept_too() -> None:
    """No file that install did not write is overwritten, whatever its name."""
    step = planned(existing(CHANGED), Record(), there_beside=existing(CHANGED))
    assert (step.act, step.note) == (
        Act.NOTHING,
        f"is yours, and so is {CONFIGURATION}.new",
    )


def test_a_new_file_is_offered_only_once() -> None:
    """An administrator who removed it has seen it."""
    step = planned(existing(CHANGED), Record(offered={CONFIGURATION: NEW.digest}))
    assert step.act is Act.NOTHING


def test_a_directory_in_place_of_a_file_is_an_error() -> None:
    """And a file in place of a directory."""
    with pytest.raises(SetupError, match=r"pattoo\.yaml: is a directory; expected a file"):
        planned(Found(Kind.DIRECTORY), Record())
    with pytest.raises(SetupError, match=r"/var/log/pattoo: is a file; expected a directory"):
        made_directory(existing(CHANGED))


def test_an_existing_directory_is_used_as_it_is() -> None:
    """Its owner stays; a note says if that is not the agent's user."""
    assert made_directory(NOTHING).act is Act.MAKE_DIRECTORY
    assert made_directory(Found(Kind.DIRECTORY, owner=USER)).note == "exists"
    step = made_directory(Found(Kind.DIRECTORY, owner="root"))
    assert (step.act, step.note) == (
        Act.NOTHING,
        "exists, owned by root; the agent must be able to write to it",
    )


def test_a_user_is_added_only_if_missing() -> None:
    """And not at all below another root."""
    nothing = Inventory((), ())
    (step,) = install(nothing, {}, Record(), USER, has_user=False)
    assert step.act is Act.ADD_USER
    (step,) = install(nothing, {}, Record(), USER, has_user=True)
    assert step.act is Act.NOTHING
    assert install(nothing, {}, Record(), "", has_user=False) == []


@pytest.mark.parametrize(
    ("path", "there", "purge", "act"),
    [
        (UNIT, existing(OLD), False, Act.REMOVE_FILE),
        (UNIT, existing(CHANGED), False, Act.NOTHING),
        (UNIT, existing(CHANGED), True, Act.REMOVE_FILE),
        (CONFIGURATION, existing(OLD), False, Act.NOTHING),
        (CONFIGURATION, existing(CHANGED), True, Act.REMOVE_FILE),
        (f"{CONFIGURATION}.new", existing(OLD), False, Act.REMOVE_FILE),
        (UNIT, NOTHING, False, Act.FORGET),
    ],
)
def test_uninstall_leaves_changed_files_and_configuration_unless_purging(
    path: str, there: Found, *, purge: bool, act: Act
) -> None:
    """Configuration stays whether it was changed or not."""
    assert removed(path, there, purge=purge).act is act


def test_uninstall_keeps_a_file_that_existed_before_install() -> None:
    """Also when purging."""
    assert uninstall({}, Record(offered={CONFIGURATION: NEW.digest}), purge=True) == []


@pytest.mark.parametrize(
    ("purge", "acts"),
    [
        (False, [Act.NOTHING, Act.NOTHING, Act.NOTHING]),
        (True, [Act.REMOVE_TREE, Act.REMOVE_TREE, Act.REMOVE_USER]),
    ],
)
def test_data_and_the_user_are_removed_only_when_purging(*, purge: bool, acts: list[Act]) -> None:
    """An inner directory before the outer one."""
    record = Record(directories=["/srv/p", "/srv/p/log"], user=USER)
    there = dict.fromkeys(record.directories, Found(Kind.DIRECTORY))
    steps = uninstall(there, record, purge=purge)
    assert [step.act for step in steps] == acts
    assert [step.what for step in steps] == ["/srv/p/log", "/srv/p", USER]
