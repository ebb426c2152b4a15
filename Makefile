# make setup | train | test | coverage | lint | format | docs | gpu-suite | clean
#
# Everything happens in $(VENV), which is made on first use from constraints.txt and again when the
# dependencies change. Nothing else has to be installed but Python 3.11 or newer.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
CONFIG ?= lfnn3d.yaml
# Test files are shared out to so many processes.
TEST_PROCESSES ?= 2

bin := $(VENV)/bin
stamp := $(VENV)/.installed
docs_stamp := $(VENV)/.installed-docs
# The first interpreter that is new enough; looked for only when an environment is made.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(if $(shell \
	$(name) -c 'import sys; print("ok" if sys.version_info >= (3, 11) else "")' 2>/dev/null),$(name))))

.PHONY: help setup train test coverage lint format docs show-docs gpu-suite clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

setup: $(stamp) ## make the environment (nothing to do when it is up to date)

$(stamp): pyproject.toml constraints.txt setup.py
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  echo "error: Python 3.11 or newer is needed and was not found; name it: make PYTHON=..." >&2; \
	  exit 2; \
	fi; \
	begun=$$SECONDS; \
	test -x $(bin)/python || "$$python" -m venv $(VENV); \
	$(bin)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	touch $@; \
	echo "installed in $$((SECONDS - begun)) s"

train: $(stamp) ## train on the sample and predict two scans that the model has not seen
	@begun=$$SECONDS; \
	told=$$($(bin)/brainage train --config $(CONFIG) | tee -a /dev/stderr); \
	folder=$$(sed -n 's/^run_dir: //p' <<<"$$told"); \
	echo; cat "$$folder/predictions.csv"; echo; \
	echo "preprocessing, training and prediction took $$((SECONDS - begun)) s;" \
	  "see $$folder/report.html"

test: $(stamp) ## the default test suite
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(bin)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

coverage: $(stamp) ## the same, with the lines that no test reaches; at least a third longer
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(bin)/python -m pytest --cov -n $(TEST_PROCESSES) --dist loadfile

lint: $(stamp) ## format, lint, types and import rules
	@$(bin)/ruff format --check .
	@$(bin)/ruff check .
	@$(bin)/mypy
	@$(bin)/lint-imports --no-logo

format: $(stamp) ## format the code and mend what ruff can mend
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .

$(docs_stamp): $(stamp)
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(docs_stamp) ## build the documentation into site/; every link has to lead somewhere
	@begun=$$SECONDS; \
	NO_MKDOCS_2_WARNING=1 $(bin)/python -m mkdocs build --strict --clean; \
	echo "site/index.html built in $$((SECONDS - begun)) s"

show-docs: $(docs_stamp) ## show the documentation at localhost:8000 while it is written
	@NO_MKDOCS_2_WARNING=1 $(bin)/python -m mkdocs serve

gpu-suite: ## checks, times and memory on an accelerator, with torch and the core alone
	@python -m pipelines.gpu_suite --out docs/results/gpu_suite.json

clean: ## remove the environment and what tools left behind, not your runs or the scan cache
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
