# make run     start the app on this machine
# make test    everything: format, lint, types, all tests, browser tests included
# make check   format, lint, types
# make bench   the figures that performance claims rest on
# make bench-app   the app in a browser and under many visitors
# make bench-quality   the smallest files at a small drop, beside other tools' (half an hour)
# make bench-scale   what a team's sweeps and servers are limited by
# make soak    the numbers that are too slow for make test: kills, many points, mutated models
# make mutants   break the code in places, and see which test turns red
# make screenshots   the pictures in docs/
# make lock    the pins of requirements*.txt anew, from the ranges in pyproject.toml

# The first Python from 3.11 to 3.14 that answers; another with: make PYTHON=python3.12 run
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(FITS)' >/dev/null 2>&1 && echo $$p && break; done)
VENV = .venv
BIN = $(VENV)/bin
# uv installs in seconds what takes pip a minute. Where it finds nothing (it does not read pip's
# settings: a mirror, say), pip does.
PIP = $(BIN)/pip install --quiet --disable-pip-version-check
install = $(PIP) uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement $(1) \
	|| $(PIP) --requirement $(1)
# Tests run in two processes; one that is done takes over tests of the other.
WORKERS = --numprocesses 2 --dist worksteal

.PHONY: run test check lint format bench bench-app bench-quality bench-scale soak mutants screenshots lock chromium fashion servers

run: $(VENV)/run.stamp
	@$(BIN)/streamlit run app.py

test: lint chromium fashion servers
	$(BIN)/pytest $(WORKERS)

check: lint
	$(BIN)/mypy

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp chromium
	$(BIN)/python -m benchmarks

bench-app: $(VENV)/dev.stamp chromium
	$(BIN)/python -m benchmarks app

bench-quality: $(VENV)/dev.stamp
	-$(BIN)/pip install --quiet --disable-pip-version-check "torch>=2.6"
	$(BIN)/python -m benchmarks quality

bench-scale: $(VENV)/dev.stamp servers
	$(BIN)/python -m benchmarks scale

soak: $(VENV)/dev.stamp chromium servers
	$(BIN)/pytest $(WORKERS) -m soak tests

mutants: $(VENV)/dev.stamp fashion servers
	$(BIN)/python -m tests.mutants

screenshots: $(VENV)/dev.stamp chromium
	$(BIN)/python docs/screenshots.py

chromium: $(VENV)/dev.stamp
	@$(BIN)/python tests/browser/chromium.py

fashion: $(VENV)/dev.stamp
	@$(BIN)/python tests/fashion.py

servers: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.postgres

lock: $(VENV)/dev.stamp
	$(PIP) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
		pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
		--extra dev --constraint requirements.txt pyproject.toml --output-file requirements-dev.txt
	$(BIN)/python -c "import pathlib; \
		[p.write_text('# Exact pins for Python 3.11 to 3.14, by make lock from pyproject.toml.\n' \
		 + '-e .\n' + p.read_text()) for p in map(pathlib.Path, ('requirements.txt', 'requirements-dev.txt'))]"

$(VENV)/made.stamp:
	@test -n "$(PYTHON)" || \
		{ echo "Paretoscope needs Python 3.11 to 3.14 and found none; install one and run make again."; exit 1; }
	@$(PYTHON) -c '$(FITS)' || \
		{ echo "Paretoscope needs Python 3.11 to 3.14; $(PYTHON) is another."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp requirements.txt pyproject.toml
	$(call install,requirements.txt)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(call install,requirements-dev.txt)
	@touch $@
