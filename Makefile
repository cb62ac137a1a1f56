# Every command works from a fresh checkout: it needs make and Python 3.11 or newer, nothing else.
# Where Rust is installed the native kernel is built too; without it everything runs, but slower.
# PYTHON names the interpreter that makes the environment, VENV the folder that holds it.

PYTHON ?= python3
VENV ?= .venv

RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --quiet --disable-pip-version-check
READY := $(VENV)/.happysim-installed
NATIVE := happysim/kernel/native

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help check test lint bench verify mutate soak clean

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

# The bug shown is one of properties/broken: found at random here, so that there is much to shrink.
check: $(READY) ## Judge every property of every protocol, then show a bug caught and shrunk
	@$(VENV)/bin/happysim check properties
	@echo
	@$(VENV)/bin/happysim check properties/broken/raft.py::same_term_double_vote \
		--by uniform --seed 2 --show --save traces

test: $(READY) ## Run the tests
	@$(RUN) -m pytest -q

lint: $(READY) ## Check style, formatting and types
	@$(RUN) -m ruff check --quiet
	@$(RUN) -m ruff format --check --quiet
	@$(RUN) -m mypy

# What is measured; the rest of benchmarks/ writes pages of docs/.
BENCHMARKS := $(filter-out %/verification.py %/mutation.py %/fault_table.py,$(wildcard benchmarks/*.py))

bench: $(READY) ## Run every benchmark in turn
	@for script in $(BENCHMARKS); do \
		echo "== $$script"; \
		PYTHONPATH=. $(RUN) "$$script" || exit 1; \
	done

verify: $(READY) ## Write the verdicts on every scenario into docs/verification.md
	@PYTHONPATH=. $(RUN) benchmarks/verification.py

mutate: $(READY) ## Change the protocols at random, and see which changes no property notices
	@PYTHONPATH=. $(RUN) benchmarks/mutation.py --report

soak: $(READY) ## Run the long searches, which `make test` leaves out
	@$(RUN) -m pytest -q -m slow

clean: ## Remove the environment and everything built or cached
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	@rm -rf $(NATIVE)/target happysim/kernel/_native.*
	@rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# pip is upgraded first: an old one cannot install in place from pyproject.toml alone.
# The build backend warns of every install in place; only an error is worth a line here.
$(READY): pyproject.toml $(wildcard $(NATIVE)/Cargo.* $(NATIVE)/src/*.rs)
	@test -x $(RUN) && python=$(RUN) || python=$(PYTHON); \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		version=$$("$$python" -V 2>&1) || version=missing; \
		echo "happysim needs Python 3.11 or newer; $$python is $$version." >&2; \
		echo "Name another: make clean && make test PYTHON=python3.12" >&2; \
		exit 1; \
	}
	@echo "setting up $(VENV)" >&2
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@PYTHONWARNINGS=ignore $(PIP) install --editable '.[dev]'
	@$(RUN) -c 'import happysim.kernel._native' 2>/dev/null || \
		echo "no native kernel: it needs Rust (cargo); searches run on the reference kernel" >&2
	@touch $@
