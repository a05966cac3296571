# make demo   runs the main job on sample_data against the embedded workspace
# make test   runs every check and test
# make docs   builds the site in build/docs/html, notebooks run
# make pictures   draws the pictures of the README
# make torture  kills, cuts and confuses the sending in full size, and prints one table
# make bench    measures side by side with what a user would pick instead
# All build .venv first, from the hash-locked lists in requirements/.

PYTHON ?= python3
BIN := .venv/bin
TRY_WHEEL = import cio_frames as cio, polars as pl; assert 'build/wheel/site' in cio.__file__, cio.__file__; print(pl.DataFrame({'id': ['u1']}).cio.identify(user_id='id').counts)

.PHONY: demo test lint types pytest wheel docs pictures torture bench lock sample-data clean

demo: .venv/run.done
	$(BIN)/cio-frames demo

test: lint types pytest wheel

lint: .venv/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/codespell

types: .venv/dev.done
	$(BIN)/mypy

pytest: .venv/dev.done
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300

# What users install is the wheel: it must work without the checkout beside it.
wheel: .venv/dev.done
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target build/wheel/site build/wheel/*.whl
	cd build/wheel && PYTHONPATH="$(CURDIR)/build/wheel/site" "$(CURDIR)/$(BIN)/python" -c "$(TRY_WHEEL)"

# The site is made of a copy, where README, notebooks and pages lie side by side and may leave files.
docs: .venv/dev.done
	rm -rf build/docs && mkdir -p build/docs/source/notebooks build/docs/source/benchmarks build/docs/source/torture
	cp -R docs/. sample_data build/docs/source
	cp benchmarks/*.md benchmarks/*.svg build/docs/source/benchmarks
	cp torture/*.md build/docs/source/torture
	sed 's#docs/##g' README.md > build/docs/source/README.md
	cp notebooks/*.ipynb build/docs/source/notebooks
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m sphinx --fail-on-warning --keep-going -q -j auto -b html build/docs/source build/docs/html

pictures: .venv/dev.done
	$(BIN)/python docs/pictures.py

torture: .venv/dev.done
	$(BIN)/python -m torture

bench: .venv/dev.done
	$(BIN)/python -m benchmarks --write

LOCK := uv pip compile pyproject.toml requirements/build.in --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --quiet
lock: .venv/dev.done
	$(BIN)/$(LOCK) --output-file requirements/run.txt
	$(BIN)/$(LOCK) --extra dev --extra docs --output-file requirements/dev.txt

sample-data: .venv/run.done
	$(BIN)/python sample_data/generate.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.done: .venv/bin/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev.done: .venv/run.done requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
