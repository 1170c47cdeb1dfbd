# Each target sets up .venv itself. It needs Python 3.11 or later.

PYTHON ?= python3
PORT ?= 20201
SEED ?= 1
SECONDS ?= 60
# Tests mostly wait for processes: four at a time keep two processors half busy.
JOBS ?= 4
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
# As on a host: installed, and not run from the checkout.
INSTALLED := .venv-installed
# Debian's packages that `make bench` compares the agent with, what they need for it, and strace.
COMPARED := collectd-core libcurl3-gnutls libyajl2 netdata-core prometheus-node-exporter strace victoria-metrics
QUICK := $(findstring --quick,$(ARGS))

.DEFAULT_GOAL := help
.PHONY: help run stop test check docs samples soak torture fuzz bench store fleet screenshots format deb deb-trial rpm image-trial test-debian clean

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
	    printf '%-11s %s\n' "$$name" "$$what"; done

run: $(STAMP)  ## Start the agent with a local receiver, and show this host's metrics.
	@$(BIN)/python -m tools.first_run start --port $(PORT)

stop:  ## Stop what `make run` started.
	@if [ -d .run ]; then $(BIN)/python -m tools.first_run stop; else echo "It is not running."; fi

test: $(DEVELOPED)  ## The whole suite.
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

test-debian:  ## The suite with Debian's own Python packages, which must be installed; the test tools come from pip.
	@/usr/bin/python3 -m tools.debian_suite --numprocesses $(JOBS) --dist worksteal $(ARGS)

soak: $(DEVELOPED)  ## Ten minutes at 50 Hz: memory, descriptors, ledger.
	$(BIN)/python -m tests.soak $(ARGS)

torture: $(DEVELOPED)  ## Random faults from a seed: every poll must be accounted for.
	$(BIN)/python -m tests.torture --seed $(SEED) --seconds $(SECONDS) $(ARGS)

fuzz: $(DEVELOPED)  ## Random content for everything that is parsed from outside, for SECONDS.
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

bench: $(DEVELOPED)  ## What the agent costs, compared with others: writes docs/benchmarks.md. ARGS=--quick: the costs only.
	@for package in $(COMPARED); do .ci/install $$package || echo "It goes on without $$package."; done
	$(if $(QUICK),,$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' --benchmark-sort=name)
	rm -rf build  # it may hold removed or moved modules, which would be installed
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/pip install --quiet --disable-pip-version-check --upgrade '.[dev]'
	$(INSTALLED)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	$(INSTALLED)/bin/python -m tests.benchmarks --write docs/benchmarks.md $(ARGS)

check: $(DEVELOPED)  ## Lint, types, and the imports between packages.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

store: $(DEVELOPED)  ## Measure the receiver: writes the figures of docs/receiver.md.
	$(BIN)/python -m tests.benchmarks.receiver --write docs/receiver.md $(ARGS)

fleet: $(DEVELOPED)  ## Simulate thousands of agents on a server or a cluster, or of spokes of a hub: writes the figures of docs.
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fleet]'
	$(BIN)/python -m tools.fleet --write
	$(BIN)/python -m tools.fleet.hub --write

docs: $(DEVELOPED)  ## Build the documentation in docs/_build/html; a warning or a wrong example is an error.
	$(BIN)/python -m tools.build_docs

samples: $(DEVELOPED)  ## Write conf/, completion/ and the man pages from the code's declarations.
	$(BIN)/python -m tools.write_samples

screenshots: $(DEVELOPED)  ## Write the pictures of the page in docs/figures; needs Debian's chromium.
	$(BIN)/python -m tools.screenshots

format: $(DEVELOPED)  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

deb:  ## Build Debian's packages in dist/; needs debhelper and dh-python, and no environment.
	@$(PYTHON) tools/packages.py deb
	@# lintian leaves files in its TMPDIR.
	@if command -v lintian >/dev/null; then scratch=$$(mktemp -d); \
	    TMPDIR=$$scratch lintian --allow-root --fail-on error,warning dist/*.deb; status=$$?; rm -rf "$$scratch"; exit $$status; fi

deb-trial:  ## Install, upgrade and purge them in a fresh Debian; needs root, mmdebstrap and systemd-container.
	@$(PYTHON) -m tests.packages

rpm:  ## Build the rpm packages in dist/; needs rpmbuild. They were never installed.
	@$(PYTHON) tools/packages.py rpm

image-trial: $(DEVELOPED)  ## Build the container image and run it; needs root, buildah, mmdebstrap, podman, runc.
	$(BIN)/python -m tests.image_trial

clean:  ## Remove the environments, and all that `make` made.
	rm -rf $(VENV) $(INSTALLED) .run build dist docs/_build *.egg-info

# What running needs; as it takes a while, pip shows what it does.
$(STAMP): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "pattoo_mp needs Python 3.11 or later; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making an environment in $(VENV), the first time only."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --editable '.[receiver]'
	@touch $@

# What the tests, the checks and the documentation need in addition.
$(DEVELOPED): $(STAMP)
	$(BIN)/pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@
