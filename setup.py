"""Packaging of pattoo_mp; tools are configured in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "pattoo_mp/__init__.py").read_text())
if VERSION is None:
    raise SystemExit("pattoo_mp/__init__.py: no __version__ found")

RECEIVER = ["Flask>=3.0", "waitress>=3.0"]
#: 0.4.6 is what the original library asks for.
ENCRYPTED = ["python-gnupg>=0.4.6"]
TEXTFILE = ["prometheus_client>=0.20"]
DOCS = ["sphinx>=7.4", "myst-parser>=3"]

setup(
    name="pattoo_mp",
    version=VERSION[1],
    description="Multi-process agent that reports an operating system's performance to a pattoo server",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    python_requires=">=3.11",
    packages=find_packages(include=["pattoo_mp", "pattoo_mp.*"]),
    package_data={"pattoo_mp": ["py.typed", "cli/*.schema.json", "control/*.schema.json"]},
    # The wheel puts the shipped configuration under <prefix>/share/pattoo_mp/conf.
    data_files=[
        ("share/pattoo_mp/conf", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("conf/*"))),
        ("share/man/man8", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/man/*.8"))),
    ],
    scripts=["bin/pattoo_agent_os_autonomousd.py"],
    entry_points={
        "console_scripts": [
            "pattoo_agent_os_autonomousd = pattoo_mp.cli:main",
            "pattoo_mp-setup = pattoo_mp.setup.command:main",
            "pattoo_mp_receiver = pattoo_mp.receiver.server:main",
        ]
    },
    install_requires=[
        "msgpack>=1.0",
        "psutil>=5.9",
        "PyYAML>=6.0",
        "requests>=2.31",
        "rich>=13",
        "setproctitle>=1.3",
        "supervisor>=4.2",
    ],
    extras_require={
        "receiver": RECEIVER,
        "encrypted": ENCRYPTED,
        "textfile": TEXTFILE,
        "docs": DOCS,
        "dev": [
            *RECEIVER,
            *ENCRYPTED,
            *TEXTFILE,
            *DOCS,
            "build",
            "hypothesis",
            "import-linter",
            "jsonschema",
            "mypy",
            # The original library, for the contract tests.
            "PattooShared==0.0.98",
            "pytest",
            "pytest-benchmark",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "trustme",
            "types-jsonschema",
            "types-docutils",
            "types-psutil",
            "types-PyYAML",
            "types-requests",
            "types-setuptools",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: System :: Monitoring",
    ],
)
