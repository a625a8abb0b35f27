# Every target sets up what it needs; none needs another to have run before.
# Environments live in .venv/NAME. Torch is installed first, pinned; override with TORCH=...

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?= torch==2.13.0
# Those of `make matrix`, found as python3.10 and so on.
PYTHONS ?= 3.10 3.12 3.13
THREADS ?= 1
PIP_FLAGS ?= --quiet --disable-pip-version-check

MODERN := .venv/modern
MINIMAL := .venv/minimal
REFERENCE := .venv/reference
MERLIN := .venv/merlin
# The last with V1 of merlin.models.torch.
V1 := merlin-models==23.2.0
PINS := tests/equivalence/reference-constraints.txt
MERLIN_PINS := tests/interop/merlin-constraints.txt
# Run beside real merlin-core and without it.
BOTH := tests/interop/test_merlin_schema.py tests/interop/test_io_and_loader.py tests/interop/test_datasets.py

.PHONY: demo test lint equivalence interop bench growth ml-1m diginetica ml-100k retrieval matrix clean

demo: $(MODERN)/.done
	$(MODERN)/bin/python -m merlin_models_torch.examples.demo --out demo

test: $(MODERN)/.done $(MINIMAL)/.done
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m pytest -n 2 --ignore tests/interop --ignore tests/equivalence --ignore tests/benchmarks tests
	OMP_NUM_THREADS=$(THREADS) $(MINIMAL)/bin/python -m pytest -n 2 tests/unit

lint: $(MODERN)/.done
	$(MODERN)/bin/ruff check .
	$(MODERN)/bin/ruff format --check .
	$(MODERN)/bin/mypy

equivalence: $(MODERN)/.done $(REFERENCE)/.done $(REFERENCE)/v1/.done
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m tests.equivalence --reference-python $(REFERENCE)/bin/python

interop: $(MODERN)/.done $(MERLIN)/.done
	OMP_NUM_THREADS=$(THREADS) $(MERLIN)/bin/python -m pytest tests/interop
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m pytest $(BOTH)

bench: $(MODERN)/.done $(MINIMAL)/.done $(REFERENCE)/.done
	CORE_PYTHON=$(MINIMAL)/bin/python REFERENCE_PYTHON=$(REFERENCE)/bin/python $(MODERN)/bin/python -m tests.benchmarks --out benchmarks.md

# Some minutes and 4 GB of memory: how cost grows with catalogue, sessions, batch, columns and files.
growth: $(MODERN)/.done
	$(MODERN)/bin/python -m tests.benchmarks.growth --out growth.md

ml-1m: $(MODERN)/.done
	$(MODERN)/bin/python -m merlin_models_torch.examples.ml_1m --data "$(DATA)" --out runs/ml-1m

# DATA is the folder of MovieLens-1M: ml-1m.txt.gz, users.dat, movies.dat and the maps of ids.
retrieval: $(MODERN)/.done
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m merlin_models_torch.examples.retrieval --data "$(DATA)" --out runs/retrieval

# DATA is the folder of MovieLens-100K: u.data, u.user and u.item.
ml-100k: $(MODERN)/.done
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m merlin_models_torch.examples.ml_100k --data "$(DATA)" --out runs/ml-100k

# DATA is the folder of train.txt.gz and test.txt.gz, the split of SR-GNN.
diginetica: $(MODERN)/.done
	OMP_NUM_THREADS=$(THREADS) $(MODERN)/bin/python -m merlin_models_torch.examples.diginetica --data "$(DATA)" --out runs/diginetica

# The same torch for each Python. Where no build without CUDA is at hand it comes with gigabytes, so by hand.
matrix:
	for version in $(PYTHONS); do \
	  $(MAKE) $(MODERN)-$$version/.done PYTHON=python$$version && \
	  OMP_NUM_THREADS=$(THREADS) $(MODERN)-$$version/bin/python -m pytest -n 2 --ignore tests/interop \
	    --ignore tests/equivalence --ignore tests/benchmarks tests || exit 1; \
	done

define install-modern
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) --upgrade pip
	$(@D)/bin/pip install $(PIP_FLAGS) $(TORCH)
	$(@D)/bin/pip install $(PIP_FLAGS) --group dev -e ".[transformers,cli,faiss,onnx,serve]" -e compat
	touch $@
endef

$(MODERN)/.done: pyproject.toml compat/pyproject.toml
	$(install-modern)

$(MODERN)-%/.done: pyproject.toml compat/pyproject.toml
	$(install-modern)

$(MINIMAL)/.done: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) --upgrade pip
	$(@D)/bin/pip install $(PIP_FLAGS) $(TORCH)
	$(@D)/bin/pip install $(PIP_FLAGS) --group test -e .
	touch $@

# pip 26.3 refuses the archive of merlin-dataloader.
$(REFERENCE)/.done: $(PINS)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) --upgrade "pip<26.3"
	$(@D)/bin/pip install $(PIP_FLAGS) $(TORCH)
	$(@D)/bin/pip install $(PIP_FLAGS) --constraint $(PINS) torch transformers4rec merlin-models pytorch-lightning
	touch $@

# In a folder of its own, which the cases of V1 put before the environment's packages.
$(REFERENCE)/v1/.done: $(REFERENCE)/.done
	$(REFERENCE)/bin/pip install $(PIP_FLAGS) --no-deps --upgrade --target $(@D) $(V1)
	touch $@

$(MERLIN)/.done: $(MERLIN_PINS) pyproject.toml compat/pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install $(PIP_FLAGS) --upgrade "pip<26.3"
	$(@D)/bin/pip install $(PIP_FLAGS) $(TORCH)
	$(@D)/bin/pip install $(PIP_FLAGS) --constraint $(MERLIN_PINS) torch merlin-core merlin-dataloader --group test build -e . -e compat
	touch $@

clean:
	rm -rf .venv demo runs build dist
