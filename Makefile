# make demo   the main job on real data          make test   everything, as CI runs it
# make quick  unit tests, five minutes           make lint   ruff and mypy      make bench  plait beside bare PyTorch and others
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# slow tests that need no core for themselves; the others measure seconds, or start processes
TOGETHER := tests/learners tests/fusion tests/nn tests/encoders tests/objectives tests/heads tests/test_floor.py tests/test_missing_modalities.py

.PHONY: demo test quick lint bench format

demo: $(READY)
	$(BIN)/plait demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n auto --dist loadscope $(TOGETHER)
	$(BIN)/python -m pytest -m slow $(addprefix --ignore=,$(TOGETHER))

quick: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto

lint: $(READY)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/side_by_side.py

format: $(READY)
	$(BIN)/ruff check --fix src tests benchmarks
	$(BIN)/ruff format src tests benchmarks

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)
