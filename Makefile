# Two commands: `make book` and `make test`. Python 3.11 to 3.13 and make are all they need.
# Every path is relative, so that a checkout may lie in a folder with spaces in its name.

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
VENV_PYTHON := .venv/bin/python
# Networks as small as the demo's gain nothing from a second thread, and are several times slower
# with it on a machine that is shared.
export OMP_NUM_THREADS ?= 1

.PHONY: help book site test install clean
# Targets share .venv and _build: with `make -j book test` they still run one after the other.
.NOTPARALLEL:

help:
	@echo "make book   install, run the chapters at demo scale, build the site"
	@echo "make site   install, build the site from the stored outputs"
	@echo "make test   install, run every test and check"
	@echo "make clean  remove what was built (.venv, runs and data stay)"

book: install
	@$(VENV_PYTHON) scripts/build_book.py

site: install
	@$(VENV_PYTHON) scripts/build_book.py --stored

test: install
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) -m pytest tests notebooks --nbval-lax

install:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "make: Python 3.11 to 3.13 is needed; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
		exit 1; fi
	@$(PYTHON) scripts/install.py

clean:
	rm -rf _build
