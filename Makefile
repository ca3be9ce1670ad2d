# Two commands: `make lab` opens the lessons, `make test` proves everything. Both set themselves up.
# The lessons are opened as copies in work/, which git ignores: answers are saved there.
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN    := $(VENV)/Scripts
else
PYTHON ?= python3
BIN    := $(VENV)/bin
endif
RUN     := $(BIN)/python
# Images of containers forbid Python to keep what it has compiled: then each of the many processes
# that tests start compiles PyTorch's modules anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
ROOT_OK := $(shell [ "$$(id -u 2>/dev/null)" = 0 ] && echo --allow-root)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help lab fresh course book book-test test lint types floors unit lessons browser notebooks check bench experiments clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# A stamp per set of extras: a second call installs nothing.
$(VENV)/.ready-%: pyproject.toml tools/bootstrap.py
	$(PYTHON) tools/bootstrap.py $(VENV) $*
	@touch $@

lab: export JUPYTER_CONFIG_PATH = $(CURDIR)/tools/lab
lab: $(VENV)/.ready-lab  ## open the lessons in JupyterLab (your copies, in work/)
	$(RUN) tools/lessons.py
	$(RUN) -m jupyterlab --notebook-dir=work --LabApp.default_url=/lab/tree/00_start_here.ipynb $(ROOT_OK) $(LAB)

fresh: $(VENV)/.ready-lab  ## start a lesson anew (LESSON=04); your copy is kept under another name
	$(RUN) tools/lessons.py --fresh "$(LESSON)"

course: $(VENV)/.ready-course  ## lessons as assignments of nbgrader, in course/ (LESSONS="01 04" VARY=seed)
	$(RUN) -m lipteach.classroom release $(LESSONS) $(if $(VARY),--vary $(VARY))

book: $(VENV)/.ready-book  ## the lessons as pages that need no kernel, in build/book (LESSONS="04")
	$(RUN) book/build.py $(LESSONS)

book-test: book $(VENV)/.ready-test  ## build the whole book, and read every page in a real browser
	LIPTEACH_LESSONS=all $(RUN) -m pytest -q -n 2 -m browser tests/browser/test_book.py tests/browser/test_book_pages.py

test: lint types floors unit lessons browser  ## everything, as CI runs it
	@echo "make test: all green"

lint: $(VENV)/.ready-test  ## ruff on scripts and notebooks
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/.ready-test  ## mypy, strict
	$(RUN) -m mypy

floors: $(VENV)/.ready-test  ## imports go down, never up
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.ready-test  ## unit tests, doctests, properties, pairs, exercises
	$(RUN) -m pytest -q -m "not browser" -n auto --dist worksteal

lessons: $(VENV)/.ready-test  ## run every notebook, compare every output, hold its time
	$(RUN) -m pytest -q -c notebooks/pytest.ini -n auto --dist loadfile notebooks

browser: $(VENV)/.ready-test  ## drive every notebook in a real browser
	$(RUN) -m pytest -q -rsP -n 2 --dist loadgroup -m browser tests/browser

notebooks: $(VENV)/.ready-test  ## execute the .py sources and save the .ipynb
	$(RUN) tools/run_notebooks.py

check:  ## is this machine ready for the lessons? (installs nothing)
	$(firstword $(wildcard $(RUN) $(RUN).exe) $(PYTHON)) lipteach/check_environment.py

bench: $(VENV)/.ready-test  ## speed as ratios (RECORD=1 keeps them, ONLY=name runs one)
	for name in $(or $(ONLY),activations bjorck_apply constraints lattice orthonormal peers); do $(RUN) benchmarks/bench_$$name.py \
	$(if $(RECORD),--record notebooks/results/bench_$$name.json) || exit 1; done

# What stands on make's command line; the environment has a NAME of its own on some systems.
given = $(if $(filter command,$(origin $1)),$2 $($1))
comma := ,
needs_dask = $(if $(filter command,$(origin SCHEDULER)),$(comma)cluster)
experiments: $(VENV)/.ready-experiments$(needs_dask)  ## run the paper's (NAME=… PROFILE=quick SEEDS=3 DEVICE=auto WORKERS=1 MINUTES=… SCHEDULER=…)
	$(RUN) -m lipteach.experiments run $(call given,NAME) $(call given,PROFILE,--profile) \
	$(call given,SEEDS,--seeds) $(call given,DEVICE,--device) $(call given,WORKERS,--workers) \
	$(call given,MINUTES,--minutes) \
	$(call given,SCHEDULER,--scheduler)

clean:  ## remove the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
