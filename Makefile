# `make demo` shows kwsd at work, `make test` proves it. Each sets up all that it needs.
export PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: demo test lint lock clean wheel-venv

demo: .venv/demo
	.venv/bin/kwsd demo

test: lint wheel-venv
	.venv/bin/pytest
	@echo "The same tests on the installed wheel, without the train extra:"
	build/venv/bin/pytest --ignore=tests/train

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

lock:
	scripts/lock

clean:
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
wheel-venv: .venv/test
	rm -rf build/wheel
	.venv/bin/pip wheel --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv --clear build/venv
	build/venv/bin/pip install --require-hashes -r requirements/test.txt
	build/venv/bin/pip install --no-deps build/wheel/kwsd-*.whl
