# Every target makes what it needs on a fresh machine: a virtual environment in .venv and the packages in it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CODE := convert scripts tests

.PHONY: demo test check fuzz bench clean

demo: $(VENV)/torch.installed  ## convert the embedded model and prove it against TensorFlow's recorded embeddings
	$(BIN)/python scripts/demo.py

test: $(VENV)/dev.installed  ## the test suite, with TensorFlow running the reference graphs
	$(BIN)/python -m pytest -m "not slow" --durations=5

check: $(VENV)/dev.installed  ## format, lint, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy convert scripts

fuzz: $(VENV)/dev.installed  ## every code point and 200,000 strings through the exact tokenizer and TensorFlow
	$(BIN)/python scripts/fuzz_tokenizer.py

bench: $(VENV)/dev.installed  ## speed and memory on a SavedModel of LEALLA-large's size
	$(BIN)/python scripts/bench.py

clean:
	rm -rf $(VENV) .cache build *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/%.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[$*]'
	touch $@
