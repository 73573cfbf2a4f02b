# make study | plan | partial | test | report | lint | benchmarks: each sets everything up first and is quick the second time.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/ready
CORES ?= all
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# how `make plan` is asked: STUDY, a study's config file or its name; GPUS and CPUS there are
STUDY ?= config/config.yaml
GPUS ?= 8
CPUS ?= $(shell nproc)

.PHONY: study plan partial test report lint benchmarks

study: $(READY)
	LOTTERY_AGAIN="make study" snakemake --cores $(CORES) --quiet rules

plan: $(READY)
	python workflow_scripts/plan.py $(STUDY) --gpus $(GPUS) --cpus $(CPUS)

partial: $(READY)
	python workflow_scripts/partial.py $(STUDY)

test: $(READY)
	python -m pytest -q -n 3 --dist loadfile tests

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
	python benchmarks/vision.py
	python benchmarks/language.py
	python benchmarks/control_games.py
	python benchmarks/workflow.py
	python benchmarks/scaling.py
	python benchmarks/planning.py  # this and the next start a SLURM of their own
	python benchmarks/cluster.py

$(READY): envs/requirements.txt snakemake-executor-plugin-submitit/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -r envs/requirements.txt
	touch $@
