# make run: talk to it. make test: try everything. The README gives the plain commands behind these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run check test test-fast lint bench bench-live bench-capacity soak exits settings lock clean

run: $(VENV)/ready
	$(BIN)/python app.py $(ARGS)

check: $(VENV)/ready
	$(BIN)/python app.py --check $(ARGS)

test: $(VENV)/ready-dev
	tests/install_browser.sh $(BIN)/python
	tests/install_firefox.sh
	tests/install_nginx.sh $(VENV)/nginx
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-fast: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: $(VENV)/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/ready-dev
	$(BIN)/python -m bench.turn $(ARGS)

# Live conversations on emulated Azure with its published delays, some ten minutes: how soon the answer begins.
bench-live: $(VENV)/ready-dev
	tests/install_browser.sh $(BIN)/python
	$(BIN)/python -m bench.live $(ARGS)

# And how many of them there may be at once, some eight minutes.
bench-capacity: $(VENV)/ready-dev
	$(BIN)/python -m bench.capacity $(ARGS)

# Ten minutes of turns on emulated Azure with random faults: does anything leak, does anything hang?
soak: $(VENV)/ready-dev
	$(BIN)/python -m bench.soak $(ARGS)

# A hundred ends of the app in the middle of turns, some three minutes; the tests have a dozen.
exits: $(VENV)/ready-dev
	EXITS=100 $(BIN)/python -m pytest tests/test_exit.py $(ARGS)

# Writes the README's settings table anew.
settings: $(VENV)/ready
	$(BIN)/python -m voice.settings_table README.md

# Pins everything that the requirements bring along, for every Python and platform at once.
lock: $(VENV)/ready-dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" \
		requirements.txt requirements-dev.txt --output-file requirements.lock

$(VENV)/ready: requirements.txt requirements.lock | $(BIN)/python
	@echo "Installing what Kaiwa needs into $(VENV): about 360 MB to download"
	@$(PIP) install --quiet -r requirements.txt -c requirements.lock
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt $(VENV)/ready
	@echo "Installing what tests need"
	@$(PIP) install --quiet -r requirements-dev.txt -c requirements.lock
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Kaiwa needs Python 3.10 to 3.13. Please run: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv is missing. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
