# `make demo` shows kwsd at work. `make quick` runs lint and the fast tests, `make test` runs all tests, and
# `make test-systemd` tests the services under a real systemd. Each target installs what it needs.
export PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo) env PYTHONDONTWRITEBYTECODE=1

.PHONY: demo quick quick-without-training test test-lowest test-systemd test-deb lint lock clean dist deb wheel-venv

QUICK := not (container or program or slow or sound or tensorflow)

demo: .venv/demo
	.venv/bin/kwsd demo

# Leaves out the tests that run installed programs, a sound server or TensorFlow: see CONTRIBUTING.md.
quick: lint
	.venv/bin/pytest --numprocesses=2 -m "$(QUICK)"

# The same without lint, TensorFlow and the other libraries for training, for a Python that they do not support yet.
quick-without-training:
	scripts/system-packages test
	$(PYTHON) -m venv --clear build/runtime
	build/runtime/bin/pip install --require-hashes -r requirements/test.txt -r requirements/build.txt
	build/runtime/bin/pip install --no-deps --no-build-isolation --editable .
	build/runtime/bin/pytest --numprocesses=2 -m "$(QUICK)" --ignore=tests/train

# The tests on the tree measure which lines of kwsd/ run, also in the programs that they start.
test: lint wheel-venv
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest
	@echo "The same tests on the installed wheel, without the train extra:"
	build/venv/bin/pytest --ignore=tests/train
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

# The quick tests with the lowest versions that pyproject.toml allows of the libraries it names. Needs uv.
test-lowest:
	scripts/system-packages test
	rm -rf build/lowest
	uv venv --quiet --seed --python $(PYTHON) build/lowest
	uv pip compile --quiet --resolution lowest-direct --constraints requirements/constraints.in --extra train \
		--group test --python build/lowest/bin/python --output-file build/lowest/requirements.txt pyproject.toml
	uv pip install --quiet --python build/lowest/bin/python --requirements build/lowest/requirements.txt
	uv pip install --quiet --python build/lowest/bin/python --no-deps --editable .
	build/lowest/bin/pytest --numprocesses=2 -m "$(QUICK) and not locked"

test-systemd: dist build/container.made
	$(AS_ROOT) .venv/bin/pytest -m container -p no:cacheprovider tests/systemd

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/count_sentences.py

lock:
	scripts/lock

clean:
	test ! -e build/container || $(AS_ROOT) rm -rf --one-file-system build/container build/container.made
	rm -rf .venv build dist tests/node/node_modules .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/demo: requirements/run.txt requirements/build.txt pyproject.toml
	scripts/system-packages demo
	@echo "Installing kwsd and its libraries into .venv, about 200 MB"
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --require-hashes -r requirements/run.txt -r requirements/build.txt
	.venv/bin/pip install --no-deps --no-build-isolation --editable .
	touch $@

.venv/test: requirements/dev.txt pyproject.toml tests/node/package-lock.json
	scripts/system-packages test
	@echo "Installing kwsd, its libraries, TensorFlow and the tools into .venv, about 3 GB"
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --require-hashes -r requirements/dev.txt
	.venv/bin/pip install --no-deps --no-build-isolation --editable .
	.venv/bin/npm ci --prefix tests/node
	touch $@

# Always built again, and the wheel from the source distribution, so that a file missing from either is noticed.
dist: .venv/test
	rm -rf build/dist
	.venv/bin/hatchling build -t sdist -d build/dist
	.venv/bin/pip wheel --no-deps --no-build-isolation --wheel-dir build/dist build/dist/kwsd-*.tar.gz
	.venv/bin/twine check --strict build/dist/*

deb: .venv/demo
	scripts/build-deb

# Needs root, debootstrap and systemd-nspawn. Takes some minutes.
test-deb: .venv/test deb
	.venv/bin/pytest tests/deb/check_package.py

# Tests run on the wheel as a user installs it.
wheel-venv: dist
	$(PYTHON) -m venv --clear build/venv
	build/venv/bin/pip install --require-hashes -r requirements/test.txt
	build/venv/bin/pip install --no-deps build/dist/kwsd-*.whl

build/container.made: requirements/run.txt scripts/container-root
	scripts/system-packages systemd
	@echo "Making a Debian in build/container, about 650 MB"
	mkdir -p build
	$(AS_ROOT) scripts/container-root build/container
	touch $@
