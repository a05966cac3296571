# make demo   runs the main job on sample_data against the embedded workspace
# make test   runs every check and test
# make test-lowest, test-newest, test-pythons   test with other versions than the locked ones; SHORT=1 leaves out slow tests
# make platforms   proves that users of other systems need no compiler
# make docs   builds the site in build/docs/html, notebooks run
# make pictures   draws the pictures of the README
# make torture  kills, cuts and confuses the sending in full size, and prints one table
# make spark    runs every test on a cluster on this machine, then kills its executors and drivers while a table is sent
# make bench    measures side by side with what a user would pick instead; SHORT=1 takes a twentieth of the rows
# All build .venv first: exactly the files whose hashes stand in requirements/, whatever else the registry has.

PYTHON ?= python3
PYTHONS ?= 3.12 3.13 3.14
BIN := .venv/bin
UV := .uv/bin/uv
LOCKED := --quiet --no-deps --require-hashes
TRY_WHEEL = import cio_frames as cio, polars as pl; assert 'build/wheel' in cio.__file__, cio.__file__; print(pl.DataFrame({'id': ['u1']}).cio.identify(user_id='id').counts)

.PHONY: demo test lint types pytest package test-lowest test-newest test-pythons platforms docs pictures torture spark bench lock sample-data clean

demo: .venv/run.done
	$(BIN)/cio-frames demo

test: lint types pytest package

lint: .venv/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/zizmor --offline --quiet .github
	$(call complete,requirements/run.txt,pyproject.toml --group build)
	$(call complete,requirements/dev.txt,pyproject.toml --all-extras --group dev)
	$(call complete,requirements/peers.txt,--group peers)

# A list is complete if resolving the project together with its pins adds no package and changes no pin, on any platform.
define complete
	@$(UV) pip compile --quiet $(UNIVERSAL) $(2) $(1) > build/complete.txt
	@grep == $(1) | sed 's/ \\$$//' | diff - build/complete.txt \
		&& echo "$(1) is complete" || { echo "$(1) does not lock the lines above: run make lock"; exit 1; }
endef

types: .venv/dev.done
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes cio_frames --ignoreexternal

# Tests of how soon an interrupt takes effect run alone, all others with two processes more than there are
# cores, since many wait: for answers, kernels and the ends of programs.
# Those of Spark run one after another too: they share a cluster. The slow ones have a target of their own, and the
# notebook about Spark is run by make docs. What runs notebooks takes seconds to load, so only they load it.
# With CIO_SHORT, as CI sets it, notebooks are left to make docs, which runs them all.
TIMED := tests/torture/test_interrupts.py
AT_ONCE := --numprocesses $(shell python3 -c "import os; print((os.cpu_count() or 1) + 2)") --dist worksteal
pytest: .venv/dev.done
	$(BIN)/python -m pytest -p no:nbmake $(AT_ONCE) --ignore=$(TIMED) --ignore=notebooks -m "not spark"
	$(if $(CIO_SHORT),,$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 $(AT_ONCE) --ignore=notebooks/08_spark.ipynb notebooks)
	$(BIN)/python -m pytest -p no:nbmake $(TIMED)
	$(BIN)/python -m pytest -p no:nbmake tests/spark$(if $(CIO_SHORT),/test_end_to_end.py) -m "spark and not slow"

# What users install is the wheel: it must work without the checkout beside it.
package: .venv/dev.done
	rm -rf build/dist build/wheel && mkdir -p build/wheel
	$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir build/dist .
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/check-wheel-contents build/dist/*.whl
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --target build/wheel build/dist/*.whl
	cd build && PYTHONPATH="$(CURDIR)/build/wheel" "$(CURDIR)/$(BIN)/python" -c "$(TRY_WHEEL)"
	cd build && PYTHONPATH="$(CURDIR)/build/wheel" "$(CURDIR)/$(BIN)/python" -m cio_frames.cli demo --audit wheel/audit > wheel/demo.txt

# What needs no browser; SHORT=1 leaves out the slow tests as well, those that no version of a library decides,
# and seven of eight cases of a test.
OF_OUR_OWN := tests/corpus tests/torture tests/catalogue tests/security tests/test_wording.py
OTHER_TESTS := tests -p no:nbmake --ignore=$(TIMED) --ignore=tests/spark $(if $(SHORT),$(OF_OUR_OWN:%=--ignore=%)) $(AT_ONCE) -m "not browser$(if $(SHORT), and not slow)" $(if $(SHORT),--every 8)

# From the source distribution, since whoever packages the project builds from it with versions of their own.
# The kernel of its time goes with the lowest ipywidgets, as hosted notebooks have it: a newer one warns of it.
test-lowest: .venv/run.done
	rm -rf build/sdist && mkdir -p build/sdist
	$(UV) build --quiet --sdist --no-build-isolation --python $(BIN)/python --out-dir build/sdist .
	tar -xzf build/sdist/*.tar.gz -C build/sdist --strip-components=1
	$(UV) venv --quiet --clear --python $(PYTHON) build/env/lowest
	$(UV) pip compile --quiet pyproject.toml --extra all --no-deps --resolution lowest-direct --python build/env/lowest -o build/env/lowest.txt
	$(UV) pip install --quiet --python build/env/lowest -r build/env/lowest.txt --group build --group test 'ipykernel<6.18' -e build/sdist
	cd build/sdist && "$(CURDIR)/build/env/lowest/bin/python" -m pytest -q $(OTHER_TESTS)

test-newest: .venv/run.done
	$(UV) venv --quiet --clear --python $(PYTHON) build/env/newest
	$(UV) pip install --quiet --upgrade --refresh --python build/env/newest --group build --group test -e '.[all]'
	build/env/newest/bin/python -m pytest -q $(OTHER_TESTS)

# With the locked versions on every other Python that is found; 3.14 may fail.
test-pythons: $(PYTHONS:%=test-python-%)

test-python-%: .venv/run.done
	@if ! $(UV) python find --quiet $* >/dev/null 2>&1; then echo "There is no Python $* here: not tested."; exit 0; fi; \
	set -ex; $(UV) venv --quiet --clear --python $* build/env/$*; \
	$(UV) pip install --python build/env/$* $(LOCKED) -r requirements/dev.txt; \
	$(UV) pip install --quiet --python build/env/$* --no-deps --no-build-isolation -e .; \
	build/env/$*/bin/python -m pytest -q $(OTHER_TESTS) $(if $(filter 3.14,$*),|| echo "Python 3.14 fails; it is not supported yet.")

# Users need no compiler: there are wheels of everything, also without glibc. docs/installing.md tells of the exceptions.
PLATFORMS := aarch64-apple-darwin aarch64-unknown-linux-musl x86_64-pc-windows-msvc x86_64-unknown-linux-musl
platforms: .uv/done
	@for platform in $(PLATFORMS); do for python in 3.11 3.12 3.13; do echo $$python $$platform; done; done | xargs -P 6 -L 1 sh -c \
		'$(UV) pip compile --quiet --only-binary :all: --extra notebook --python-version $$0 --python-platform $$1 pyproject.toml > /dev/null \
			&& echo "Python $$0 on $$1: wheels of everything"'

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

spark: .venv/dev.done
	$(BIN)/python -m pytest tests/spark
	$(BIN)/python -m torture.spark
	$(BIN)/python -m torture.spark --runs 50 --rows 20000 --kills 2 --drivers 5 --partitions 4 --wait-s 0.5 --every-s 3

# Twenty-five minutes; SHORT=1 takes three with a twentieth of the rows, once, and writes nothing.
bench: .venv/dev.done build/env/peers/done
	$(BIN)/python -m benchmarks $(if $(SHORT),--rows 50000 --times 1,--write)

# Those that are measured beside this package are in an environment of their own; one of them is for Node.
build/env/peers/done: .venv/run.done requirements/peers.txt requirements/npm/package-lock.json
	@echo "Installing what is measured beside this package ..."
	@$(UV) venv --quiet --clear --python $(BIN)/python build/env/peers
	@$(UV) pip install --python build/env/peers $(LOCKED) -r requirements/peers.txt
	@cp requirements/npm/package*.json build/env/peers
	@if command -v npm >/dev/null; then cd build/env/peers && npm ci --ignore-scripts --no-audit --no-fund --silent; \
		else echo "There is no npm here: mixpanel-import is not measured."; fi
	@touch $@

# The lists hold for every platform and Python from 3.11 on. No address is in them: they install from any mirror.
UNIVERSAL := --universal --python-version 3.11 --no-header --no-annotate
LOCK = $(UV) pip compile --quiet $(UNIVERSAL) --generate-hashes --upgrade
lock: .uv/done
	echo uv | $(LOCK) - --output-file requirements/uv.txt
	$(LOCK) pyproject.toml --group build --output-file requirements/run.txt
	$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	$(LOCK) --group peers --output-file requirements/peers.txt
	if command -v npm >/dev/null; then cd requirements/npm && npm update --package-lock-only --omit-lockfile-registry-resolved; fi

sample-data: .venv/run.done
	$(BIN)/python sample_data/generate.py

# pip only brings uv; uv installs the lists, the same way under every Python and pip.
.uv/done: requirements/uv.txt
	@echo "Installing uv ..."
	@$(PYTHON) -m venv --clear .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/uv.txt
	@touch $@

.venv/run.done: .uv/done requirements/run.txt pyproject.toml
	@echo "Installing what cio_frames needs ..."
	@$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	@$(UV) pip install --python .venv $(LOCKED) -r requirements/run.txt
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.done: .venv/run.done requirements/dev.txt
	@echo "Installing what the tests need ..."
	@$(UV) pip install --python .venv $(LOCKED) -r requirements/dev.txt
	@mkdir -p build && touch $@

clean:
	rm -rf .venv .uv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
