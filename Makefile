# Two commands for a newcomer: `make demo` and `make test`. Both need only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 4
TORCH ?= torch==2.13.0

DOCS := README.md docs/cli.md docs/searches.md docs/objectives.md docs/stopping.md docs/checkpoints.md docs/importance.md docs/noise.md

.PHONY: help demo test integrations bench torture mutants portability lint docs format clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## Tune momentum SGD on real handwritten digits, and show the best configuration
	$(BIN)/tinytune run examples/momentum_sgd.py --study demo.db --trials 40 --workers 2
	$(BIN)/tinytune best demo.db --top 5

test: $(VENV)/.test  ## Run the whole test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=12

integrations: $(VENV)-integrations/.done  ## Test the callbacks in the real libraries, in an environment of their own (2 GB)
	TINYTUNE_INTEGRATIONS=1 KERAS_BACKEND=torch OMP_NUM_THREADS=1 \
		$(VENV)-integrations/bin/python -m pytest tests/test_integrations.py --durations=12

bench: $(VENV)/.bench  ## Measure storage and searches beside sqlite3 and Optuna, into benchmarks/results.md
	$(BIN)/python -m benchmarks.storage

torture: $(VENV)/.test  ## Kill workers a thousand times, and all fault tests at full length (half an hour)
	$(BIN)/python -m tests.faults.kills --kills 1000
	TINYTUNE_LONG=1 $(BIN)/python -m pytest -rP tests/faults \
		tests/test_kills.py tests/test_golden.py tests/test_verify.py tests/test_conformance.py

mutants: $(VENV)/.test  ## Break the code on purpose, and see that a test notices each time
	$(BIN)/python -m tests.faults.mutants

portability: $(VENV)/.test  ## Compare the golden hashes under every Python here, with old and new numpy
	$(BIN)/python -m tests.portability

lint: $(VENV)/.lint  ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cog -P --check $(DOCS)

docs: $(VENV)/.lint  ## Write anew what README.md and docs show, from the commands themselves
	$(BIN)/cog -P -r $(DOCS)

format: $(VENV)/.lint  ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean:  ## Remove the virtual environment and what was built
	rm -rf $(VENV) $(VENV)-integrations dist build demo.db* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("tinytune needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[examples]'
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# torch comes first, at a version that Lightning and Keras are known to work with.
$(VENV)-integrations/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)-integrations
	$(VENV)-integrations/bin/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(VENV)-integrations/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,integrations]'
	touch $@

$(VENV)/.bench: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

$(VENV)/.lint: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	touch $@
