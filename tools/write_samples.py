"""Write the shipped files that the code declares: configuration, names, completion, man pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.collect.translations import translations
from pattoo_mp.config import sample
from pattoo_mp.config.settings import program_files
from pattoo_mp.program import PROGRAMS, acting_as
from pattoo_mp.wire.families import FILE as FAMILIES_FILE
from tools import completion, figures, manual, prometheus_names
from tools.families import families

if TYPE_CHECKING:
    from pattoo_mp.program import Program

CONF = Path(__file__).resolve().parent.parent / "conf"


def service_files(program: Program) -> dict[str, str]:
    """Return what starts the program, for supervisord and systemd: as for the first one, by its names."""
    first = PROGRAMS[0]
    found = {}
    for end in (".conf", ".service"):
        text = (CONF / f"{first.name}{end}").read_text(encoding="utf-8")
        if program is not first:
            text = text.replace(first.name, program.name)
            text = text.replace(f"log is {first.log_name}", f"log is {program.log_name}")
            text = text.replace('agent.sh" --', f'agent.sh" {program.name} --')
            text = text.replace(
                "[eventlistener:pattoo_heartbeat]",
                f"[eventlistener:pattoo_heartbeat_{program.short}]",
            )
            text = text.replace(
                "Description=pattoo agent for the operating system",
                f"Description={program.about.rstrip('.')}",
            )
        found[f"{program.name}{end}"] = text
    return found


def group_file() -> str:
    """Return the sections by which supervisord treats all agents of a host as one group."""
    files = " ".join(f"{program.name}.conf" for program in PROGRAMS)
    return f"""\
; The agents of this host as one group, for a supervisord that runs several of them:
;
;     [include]
;     files = {files} pattoo_agents.conf
;
; supervisord does not start if a program of a group has no section: leave out those that are not included. The
; programs are then called pattoo_agents:NAME, and `supervisorctl restart pattoo_agents:*` is about all of them.

[group:pattoo_agents]
programs={",".join(program.name for program in PROGRAMS)}
"""


def main() -> int:
    """Write them. Return the exit status."""
    for program in PROGRAMS:
        with acting_as(program):
            for name in program_files():
                (CONF / name).write_text(sample.one_file(name), encoding="utf-8")
            if program.polls_host:
                text = translations()
                (CONF / f"{program.name}.translations.csv").write_text(text, encoding="utf-8")
        for name, text in service_files(program).items():
            (CONF / name).write_text(text, encoding="utf-8")
    (CONF / "pattoo_agents.conf").write_text(group_file(), encoding="utf-8")
    prometheus_names.SHIPPED.write_text(prometheus_names.names_file(), encoding="utf-8")
    figures.SHIPPED.write_text(figures.figures(), encoding="utf-8")
    FAMILIES_FILE.write_text(families(), encoding="utf-8")
    completion.write()
    manual.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
