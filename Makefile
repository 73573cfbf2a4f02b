# make study | test | report | lint | benchmarks: each sets everything up first and is quick the second time.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/ready
CORES ?= all
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: study test report lint benchmarks

study: $(READY)
	snakemake --cores $(CORES) --quiet rules

test: $(READY)
	python -m pytest -q tests

report: study
	snakemake --report report.html

lint: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	mypy
	snakemake --lint

benchmarks: $(READY)
	python benchmarks/pruning.py
	python benchmarks/training.py
	python benchmarks/control_games.py
	python benchmarks/workflow.py

$(READY): envs/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -r envs/requirements.txt
	touch $@
