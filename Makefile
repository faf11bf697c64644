# What developers, users and CI run; each target is one line of help: `make help`.
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
# Where it is set, every start of a program would compile hundreds of modules anew.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
# Rebuilt when the package's metadata or the C server change; Python edits are live.
SOURCES := pyproject.toml CMakeLists.txt $(shell find device_server -type f -not -path '*/tests/*')

# Every target with a line of help is a name, and no file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*[#]{2}.*/\1/p' Makefile)

help: ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0])'
	@if command -v uv >/dev/null; then uv venv -q --python $(PYTHON) $(VENV); \
	elif $(PYTHON) -m venv --without-pip $(VENV) \
	&& $(PYTHON) -m pip --python $(BIN)/python install -q uv 2>/dev/null; then :; \
	else $(PYTHON) -m venv $(VENV); fi

# LOCKED=1 installs the versions of docker/requirements-$(LOCK).txt, and looks at their hashes.
LOCKED ?=
LOCK = dev
CONSTRAINTS = $(if $(LOCKED),--constraint docker/requirements-$(LOCK).txt --build-constraint docker/requirements-build.txt)

# uv where it is to be had, because it installs in seconds what takes pip a minute.
define install
	@if command -v uv >/dev/null; then tool=uv; \
	elif [ -x $(BIN)/uv ] || $(BIN)/python -m pip install -q uv 2>/dev/null; then tool=$(BIN)/uv; \
	else tool=; fi; \
	echo "installing $(1) into $(VENV)"; \
	if [ -n "$$tool" ] && "$$tool" pip install -q --python $(BIN)/python $(CONSTRAINTS) $(1); then :; \
	else { $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; } >/dev/null 2>&1; \
	$(BIN)/python -m pip install -q $(1); fi
endef

$(VENV)/.run: $(BIN)/python $(SOURCES)
	$(call install,-e '.')
	@touch $@

$(VENV)/.test: $(BIN)/python $(SOURCES)
	$(call install,-e '.[test]')
	@touch $@ $(VENV)/.run

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(call install,-e '.[dev]')
	@touch $@ $(VENV)/.test $(VENV)/.run

$(VENV)/.reference: LOCK = reference
$(VENV)/.reference: $(BIN)/python pyproject.toml
	$(call install,-e '.[reference]')
	@touch $@

setup: $(VENV)/.dev ## make .venv with everything a developer needs

# GitHub's Ubuntu has a Chromium, and no package of that name.
setup-system: ## install the system packages that some checks need (Debian, root)
	apt-get update -qq && apt-get install -qq -y --no-install-recommends \
	libcmocka-dev cppcheck redis-server postgresql haproxy \
	$$(command -v chromium >/dev/null || echo chromium)

# larch brings a hundred packages and 2 GB, so it stays out of the environment that users get.
reference: ## make .venv-reference with larch and rexafs, the judges of the reduction
	@$(MAKE) --no-print-directory VENV=.venv-reference .venv-reference/.reference

$(VENV)/.docs: $(BIN)/python $(SOURCES)
	$(call install,-e '.[docs]')
	@touch $@

docs: $(VENV)/.docs ## build the documentation into build/docs; a warning is an error
	@$(BIN)/sphinx-build -q -n -W --keep-going -b html docs build/docs

$(VENV)/.apstools: LOCK = apstools
$(VENV)/.apstools: $(BIN)/python docker/apstools.in
	$(call install,-r docker/apstools.in)
	@touch $@

apstools: ## make .venv-apstools, whose devices drive the server in tests
	@$(MAKE) --no-print-directory VENV=.venv-apstools .venv-apstools/.apstools

demo: $(VENV)/.run ## scan the iron edge on the simulated beamline, from nothing to a file in Tiled
	@$(BIN)/beamline demo

$(VENV)/.notebook: $(BIN)/python $(SOURCES)
	$(call install,.[notebook])
	@touch $@ $(VENV)/.run

jupyter: $(VENV)/.notebook ## open JupyterLab on this folder, with the notebooks in notebooks/
	@$(BIN)/jupyter lab $(JUPYTER_OPTIONS)

test: $(VENV)/.test ## run all tests
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS)

# Side by side, each half on a device server of its own: most of their time is waiting. A file stays
# together, for the Tiled server that its tests share.
quick: $(VENV)/.test ## run the tests that take no more than seconds each
	@$(BIN)/python -m pytest -m 'not slow' --numprocesses 2 --dist loadfile $(PYTEST_OPTIONS)

check: lint ctest ioctest test wheel containers ## run everything that CI runs

lint: $(VENV)/.dev ## check style, types, imports and C sources
	@.ci/lint $(BIN)

ctest: $(VENV)/.dev ## test the C code under AddressSanitizer and UBSan
	@.ci/ctest sanitize $(BIN)

ioctest: $(VENV)/.dev ## test records and device support under AddressSanitizer and UBSan
	@.ci/ioctest $(BIN)

ctest-coverage: $(VENV)/.dev ## measure what the C tests cover
	@.ci/ctest coverage $(BIN)

bench: $(VENV)/.test ## measure gets per second and memory of the server, beside EPICS base's softIoc
	@$(BIN)/python -m tests.benchmarks.server

bench-reduction: $(VENV)/.test reference ## measure the reduction of spectra, beside larch and rexafs
	@$(BIN)/python -m tests.benchmarks.reduction .venv-reference/bin/python

soak: $(VENV)/.test ## run the server for 24 simulated hours and look for leaks and drift
	@$(BIN)/python -m tests.benchmarks.soak

valgrind: $(VENV)/.test ## run the server under valgrind's memcheck
	@$(BIN)/python -m tests.benchmarks.valgrind

test-pythons: $(VENV)/.dev ## run the quick unit tests on the other Pythons of this machine
	@.ci/pythons others "$$(command -v uv || echo $(BIN)/uv)" $(BIN)/python

test-lowest: $(VENV)/.dev ## run the quick unit tests with the lowest versions allowed
	@.ci/pythons lowest "$$(command -v uv || echo $(BIN)/uv)" $(BIN)/python

wheel: $(BIN)/python ## build the wheel and try it in a clean environment
	@.ci/wheel $(PYTHON)

kills: $(VENV)/.test ## kill a scan at a hundred random points, and see that no point is lost
	@BEAMLINE_KILLS=100 $(BIN)/python -m pytest tests/system/test_writer_faults.py $(PYTEST_OPTIONS)

bench-scan: $(VENV)/.test ## measure what xafs_scan costs a point, beside bluesky's list_scan
	@$(BIN)/python tests/benchmarks/scan_overhead.py

bench-writers: $(VENV)/.test apstools ## measure the writers beside other people's (a quarter of an hour)
	@$(BIN)/python tests/benchmarks/writers.py --apstools .venv-apstools/bin/python

bench-storage: $(VENV)/.test ## measure what compression, chunks and flushes of the files cost and gain
	@$(BIN)/python -m tests.benchmarks.storage

images: ## build the container images, those of a facility among them
	docker compose -f docker/docker-compose.yml --profile facility build

containers: $(VENV)/.run ## run the beamline in containers, and see that it fails when it must
	@.ci/containers $(BIN)

# It asks the package index, so it is no part of lint.
lock: $(VENV)/.dev ## lock the dependencies of images and CI, from pyproject.toml
	@.ci/lock "$$(command -v uv || echo $(BIN)/uv)"

licences: $(VENV)/.dev ## list the licences of what is installed, in docs/reference
	@$(BIN)/python docker/licences.py docs/reference/licences.md

lock-check: $(VENV)/.dev ## see that the locked dependencies fit pyproject.toml
	@.ci/lock "$$(command -v uv || echo $(BIN)/uv)" --check

bench-tiled: $(VENV)/.test ## measure what the way into Tiled costs a scan, and how search grows (ten minutes)
	@$(BIN)/python -m tests.benchmarks.tiled_chain
	@$(BIN)/python -m tests.benchmarks.tiled_scale

ioc: $(VENV)/.run ## run the device server until Ctrl-C
	@$(BIN)/beamline ioc

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-reference .venv-apstools build dist demo_output .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
