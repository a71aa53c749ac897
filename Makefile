# `make demo` shows kwsd at work, `make test` proves it, `make test-systemd` proves the services under a real systemd.
# Each sets up all that it needs.
export PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo) env PYTHONDONTWRITEBYTECODE=1

.PHONY: demo test test-systemd lint lock clean wheel wheel-venv

demo: .venv/demo
	.venv/bin/kwsd demo

test: lint wheel-venv
	.venv/bin/pytest
	@echo "The same tests on the installed wheel, without the train extra:"
	build/venv/bin/pytest --ignore=tests/train

test-systemd: wheel build/container.made
	$(AS_ROOT) .venv/bin/pytest -m container -p no:cacheprovider tests/systemd

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

lock:
	scripts/lock

clean:
	test ! -e build/container || $(AS_ROOT) rm -rf --one-file-system build/container build/container.made
	rm -rf .venv build dist tests/node/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/demo: requirements/run.txt pyproject.toml
	scripts/system-packages demo
	@echo "Installing kwsd and its libraries into .venv, about 200 MB"
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --require-hashes -r requirements/run.txt
	.venv/bin/pip install --no-deps --editable .
	touch $@

.venv/test: requirements/dev.txt pyproject.toml tests/node/package-lock.json
	scripts/system-packages test
	@echo "Installing kwsd, its libraries, TensorFlow and the tools into .venv, about 3 GB"
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --require-hashes -r requirements/dev.txt
	.venv/bin/pip install --no-deps --editable .
	.venv/bin/npm ci --prefix tests/node
	touch $@

# Always made anew: what is tested is the wheel of this tree, as a user installs it.
wheel: .venv/test
	rm -rf build/wheel
	.venv/bin/pip wheel --no-deps --wheel-dir build/wheel .

wheel-venv: wheel
	$(PYTHON) -m venv --clear build/venv
	build/venv/bin/pip install --require-hashes -r requirements/test.txt
	build/venv/bin/pip install --no-deps build/wheel/kwsd-*.whl

build/container.made: requirements/run.txt scripts/container-root
	scripts/system-packages systemd
	@echo "Making a Debian in build/container, about 650 MB"
	mkdir -p build
	$(AS_ROOT) scripts/container-root build/container
	touch $@
