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
# As on a host: installed, and not run from the checkout.
INSTALLED := .venv-installed

.PHONY: run stop test check docs samples soak torture bench fleet format clean

run: $(STAMP)  ## Start the agent with a local receiver, and show this host's metrics.
	@$(BIN)/python -m tools.first_run start --port $(PORT)

stop:  ## Stop what `make run` started.
	@if [ -d .run ]; then $(BIN)/python -m tools.first_run stop; else echo "It is not running."; fi

test: $(STAMP)  ## The whole suite.
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

soak: $(STAMP)  ## Ten minutes at 50 Hz: memory, descriptors, ledger.
	$(BIN)/python -m tests.soak $(ARGS)

torture: $(STAMP)  ## Random faults from a seed: every poll must be accounted for.
	$(BIN)/python -m tests.torture --seed $(SEED) --seconds $(SECONDS)

bench: $(STAMP)  ## What the agent costs, compared with others: writes docs/benchmarks.md.
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' --benchmark-sort=name
	rm -rf build  # it may hold removed or moved modules, which would be installed
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/pip install --quiet --disable-pip-version-check --upgrade '.[dev]'
	$(INSTALLED)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	$(INSTALLED)/bin/python -m tests.benchmarks --write docs/benchmarks.md $(ARGS)

check: $(STAMP)  ## Lint, types, and the imports between packages.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fleet: $(STAMP)  ## Simulate thousands of agents on one server: writes the figures of docs/fleet.md.
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fleet]'
	$(BIN)/python -m tools.fleet --write

docs: $(STAMP)  ## Build the documentation in docs/_build/html; a warning or a wrong example is an error.
	$(BIN)/python -m tools.build_docs

samples: $(STAMP)  ## Write conf/*.yaml, conf/*.csv and the man page from the code's declarations.
	$(BIN)/python -m tools.write_samples

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(INSTALLED) .run build dist docs/_build *.egg-info

$(STAMP): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "pattoo_mp needs Python 3.11 or later; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
