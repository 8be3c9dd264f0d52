.PHONY: demo demo-full demo-images test test-all lint bench bench-peers audit

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
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-all: .venv/dev
	$(BIN)/python -m pytest -m "slow or not slow"

lint: .venv/dev
	$(BIN)/ruff check src tests benchmarks

bench: .venv/dev
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/processes.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/fuzz.py

bench-peers: .venv/dev
	for name in step_cost accuracy data_bound stages end_to_end million embedding messages graph_steps padding neighbours speed; do $(BIN)/python benchmarks/$$name.py || exit 1; done

# --strict, since a package that cannot be looked up would pass for one without known faults.
audit: $(BIN)/unveil
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip freeze --exclude-editable | sed 's/+.*//' > .venv/audit/installed.txt
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip -r .venv/audit/installed.txt
