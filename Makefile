# The main job in one command: make demo. The tests in one command: make test.
# Both need Python 3.11 or newer, and install into a virtual environment of their own.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# jaxlib 0.10 can deadlock on one or two cores; more threads avoid it.
export NPROC ?= 4
# The tests run in two processes, which have a core each: threads of NumPy would only wait.
test test-slow: export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-slow mutants lint docs clean

demo: $(VENV)/.installed
	$(BIN)/gmm-testbed demo

test: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 --dist loadfile -q -m "not slow"

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 -q -m slow

# Which planted faults the tests notice: a sample of them (SAMPLE, SEED), or ALL=1.
mutants: $(VENV)/.installed-test
	$(BIN)/python -m tests.mutants.run $(if $(ALL),--all,--sample $(or $(SAMPLE),20)) \
	    --seed $(or $(SEED),0)

# The documentation, in docs/build/html; FIGURES=1 draws laws and theorems (minutes, kept),
# EXECUTE=1 runs the lectures.
docs: $(VENV)/.installed-docs
	@begin=$$(date +%s) && $(BIN)/python -m sphinx -q -W --keep-going -b html \
	    docs docs/build/html && echo "docs/build/html/index.html: $$(( $$(date +%s) - begin )) s"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) .pytest_cache .jax_cache .ruff_cache .benchmarks build dist docs/build docs/generated

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
