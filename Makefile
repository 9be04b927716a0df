PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: demo test test-all lint bench bench-gpu clean

demo: $(STAMP)
	$(BIN)/iarbench run --detector quantloss --encoder inverse --out runs/demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not long" $(SIDE_BY_SIDE)

test-all: $(STAMP)
	$(BIN)/python -m pytest -m long $(SIDE_BY_SIDE)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	for script in $(filter-out %/bench_full_size.py,$(wildcard benchmarks/bench_*.py)); do $(BIN)/python $$script || exit 1; done

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/bench_full_size.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) runs build *.egg-info .pytest_cache .ruff_cache .mypy_cache
