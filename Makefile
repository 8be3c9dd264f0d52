.PHONY: demo demo-full demo-images test test-all lint bench

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

$(BIN)/unveil: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: $(BIN)/unveil
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: $(BIN)/unveil
	$(BIN)/unveil reproduce watch-demo --jobs $(JOBS) --seeds 1 --results runs/demo/rows --out runs/demo

demo-full: $(BIN)/unveil
	$(BIN)/unveil reproduce watch-demo --jobs $(JOBS) --seeds 3 --results runs/demo-full/rows --out runs/demo-full

demo-images: $(BIN)/unveil
	$(BIN)/unveil reproduce images-demo --seeds 1 --results runs/demo-images/rows --out runs/demo-images

test: .venv/dev
	$(BIN)/python -m pytest

test-all: .venv/dev
	$(BIN)/python -m pytest -m "slow or not slow"

lint: .venv/dev
	$(BIN)/ruff check src tests benchmarks

bench: .venv/dev
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/kills.py
