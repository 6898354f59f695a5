# `make quickstart` and `make test` do all their own set-up, on a machine with nothing but Python.

PYTHON ?= python3
VENV := .venv

.PHONY: quickstart test faults setup clean

quickstart: $(VENV)/ready
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" recipes/quickstart/run.sh base

# Two processes with one thread each take half the time of one process with two threads.
test: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 --dist worksteal

# All trials of docs/reliability.md, or one part of the trials (make faults PART=damage).
faults: $(VENV)/ready
	mkdir -p build && rm -f build/faults.jsonl
	SEQ2SEQ_FAULTS=whole SEQ2SEQ_FAULTS_REPORT=build/faults.jsonl OMP_NUM_THREADS=1 \
		nice $(VENV)/bin/python -m pytest -q tests/faults$(if $(PART),/test_$(PART).py)
	$(VENV)/bin/python tests/faults/faults_report.py build/faults.jsonl docs/reliability.md

setup: $(VENV)/ready

# The environment is made again when what it is made from changes.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	touch $@

# Not runs/: what took hours to train.
clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
