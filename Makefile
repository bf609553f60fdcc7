# Every target makes what it needs on a fresh machine: a virtual environment in .venv and the packages in it.
PYTHON ?= python3
VENV ?= .venv
VENV4 ?= .venv-transformers4
BIN := $(VENV)/bin
BIN4 := $(VENV4)/bin
PIP := -m pip install --quiet --disable-pip-version-check --constraint
CODE := convert scripts tests
LARGE := .cache/lealla-large-size

.PHONY: demo test transformers4 check fuzz kill bench verify-large clean

demo: $(VENV)/torch.installed  ## convert the embedded model and prove it against TensorFlow's recorded embeddings
	$(BIN)/python scripts/demo.py

test: $(VENV)/dev.installed  ## the test suite, with TensorFlow running the reference graphs
	$(BIN)/python -m pytest -m "not slow" --durations=5

transformers4: WORK := .cache/transformers4
transformers4: $(VENV)/dev.installed $(VENV4)/torch,report.installed  ## the same proof with transformers 4, in all languages
	mkdir -p $(WORK)
	$(BIN)/hub2hf record lealla-mini $(WORK)/recording.safetensors
	$(BIN4)/hub2hf convert lealla-mini $(WORK)/model --force
	$(BIN4)/hub2hf verify --golden $(WORK)/recording.safetensors $(WORK)/model --report $(WORK)/report

check: $(VENV)/dev.installed  ## format, lint, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy convert scripts

fuzz: $(VENV)/dev.installed  ## code points and strings through the exact tokenizer; SavedModels and archives that lie
	$(BIN)/python scripts/fuzz_tokenizer.py
	$(BIN)/python scripts/fuzz_savedmodel.py
	$(BIN)/python scripts/fuzz_readers.py

kill: $(VENV)/dev.installed  ## 200 kills at random moments of a conversion, a full disk, other faults: nothing lost
	$(BIN)/python scripts/kill_tests.py

bench: $(VENV)/dev.installed  ## speed and memory on a SavedModel of LEALLA-large's size
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_verify.py

verify-large: WORK := .cache/verify-large
verify-large: $(VENV)/dev.installed $(LARGE)  ## all languages at LEALLA-large's size with the full vocabulary, in minutes
	mkdir -p $(WORK)
	$(BIN)/hub2hf convert $(LARGE) $(WORK)/model --force
	$(BIN)/hub2hf verify $(LARGE) $(WORK)/model --report $(WORK)/report

clean:
	rm -rf $(VENV) $(VENV4) .cache build *.egg-info

$(LARGE): | $(VENV)/dev.installed
	PYTHONPATH=scripts $(BIN)/python -c 'import bench; bench.reference_model()'

$(BIN)/python $(BIN4)/python:
	$(PYTHON) -m venv $(@D)/..

$(VENV)/%.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(PIP) constraints.txt --editable '.[$*]'
	touch $@

$(VENV4)/%.installed: $(BIN4)/python pyproject.toml constraints-transformers4.txt
	$(BIN4)/python $(PIP) constraints-transformers4.txt --editable '.[$*]'
	touch $@
