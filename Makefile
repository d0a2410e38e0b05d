# Two commands do everything: `make demo` and `make test`. Each makes what it needs and says what it does.
#   make demo                 pre-train on the embedded photographs, evaluate, write a report (3 to 5 minutes)
#   make demo DATA=cifar10    the same on CIFAR-10 (fetched once, hash-checked)
#   make demo METHOD=ibot     with iBOT and a small ViT as the base (DATA=photos, objects or cifar10)
#   make demo ... BASE=1      also train the base method alone instead of quoting its stored result
#   make test                 all tests but the slow ones
#   make install-mmseg        for semantic segmentation (no compiler)
#   make install-mmdet        for detection too: compiles mmcv's ops, once (5 to 10 minutes on two cores)
PYTHON ?= python3
VENV ?= .venv
METHOD ?= simclr
DATA ?= photos
SEED ?= 0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
CORE := $(VENV)/.core-installed
SEG := $(VENV)/.mmseg-installed
DET := $(VENV)/.mmdet-installed
DEV := $(VENV)/.dev-installed
LINTED := eqssl tools tests docs/en/*.py docs/en/notebooks docs/en/images
CONSTRAINTS := -c requirements/constraints.txt
BASE_FLAG := $(if $(BASE),--train-base,)

.PHONY: demo test install install-mmseg install-mmdet install-dev lint docs check-env clean slow

demo: $(CORE)
	$(BIN)/python tools/demo.py --method $(METHOD) --data $(DATA) --seed $(SEED) $(BASE_FLAG) || { $(BIN)/python tools/check_env.py --quiet; exit 1; }

test: $(DET) $(DEV)
	@echo '== ruff, mypy and the direction of imports'
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy eqssl
	$(BIN)/lint-imports --no-logo
	@echo '== tests (unit, integration, dist, downstream; two workers)'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' --durations=5 \
		|| { $(BIN)/python tools/check_env.py --quiet; exit 1; }

slow: $(DEV)
	$(BIN)/python -m pytest -m slow -s

install: $(CORE)
install-dev: $(DET) $(DEV)
install-mmseg: $(SEG)
install-mmdet: $(DET)

$(VENV)/bin/python:
	@echo '== making the virtual environment $(VENV)'
	$(PYTHON) -m venv $(VENV)

$(CORE): requirements/core.txt requirements/openmmlab.txt requirements/mm-needs.txt requirements/constraints.txt pyproject.toml setup.py | $(VENV)/bin/python
	@echo '== installing torch and torchvision (about 1 minute)'
	$(PIP) install $(CONSTRAINTS) torch torchvision
	@echo '== installing the other core packages'
	$(PIP) install $(CONSTRAINTS) -r requirements/core.txt -r requirements/mm-needs.txt setuptools wheel
	@echo '== installing mmengine, mmcv (without compiled ops) and mmpretrain'
	$(PIP) install $(CONSTRAINTS) --no-deps -r requirements/openmmlab.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python tools/check_env.py --quiet
	@touch $@

$(SEG): $(CORE) requirements/mmseg.txt requirements/mmseg-needs.txt
	@echo '== installing mmseg'
	$(PIP) install $(CONSTRAINTS) -r requirements/mmseg-needs.txt
	$(PIP) install $(CONSTRAINTS) --no-deps -r requirements/mmseg.txt
	@touch $@

$(DET): $(SEG) requirements/mmdet.txt requirements/mmdet-needs.txt
	@echo '== installing mmdet and the compiled ops of mmcv'
	$(PIP) install $(CONSTRAINTS) -r requirements/mmdet-needs.txt
	$(BIN)/python tools/install_mmcv_ops.py
	$(PIP) install $(CONSTRAINTS) --no-deps -r requirements/mmdet.txt
	@$(BIN)/python tools/check_env.py --quiet
	@touch $@

$(DEV): $(SEG) requirements/dev.txt requirements/export.txt
	@echo '== installing test and documentation tools, and the libraries that exports are checked with'
	$(PIP) install $(CONSTRAINTS) -r requirements/dev.txt -r requirements/export.txt
	@touch $@

lint: $(DEV)
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)
	$(BIN)/mypy eqssl
	$(BIN)/lint-imports --no-logo

docs: $(DEV)
	$(BIN)/python -m sphinx -W -q -b html docs/en docs/en/_build/html
	@echo 'docs/en/_build/html/index.html'

check-env: $(VENV)/bin/python
	$(BIN)/python tools/check_env.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache docs/en/_build
