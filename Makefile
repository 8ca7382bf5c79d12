# The front door. `make help` lists the commands; CMakePresets.json holds the builds they use.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Parallel compilations and tests; a sanitized Beast unit wants 1.2 GB.
JOBS ?= $(shell nproc)
# Arguments for `make run` and `make mutants`, such as ARGS='--data /srv/penstock'.
ARGS ?=
# What `make simulate` and `make nightly` run.
WORLDS ?= single distributed
# Extra arguments for ctest, such as CTEST_ARGS='-R rocksdb'.
CTEST_ARGS ?=
# How long `make fuzz` runs each fuzzer, and the seed of its mutations.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 1

# Soak tests run for minutes on purpose; `make soak` runs them.
CTEST = ctest --test-dir $(1) -j $(JOBS) --output-on-failure --no-tests=error $(2) $(CTEST_ARGS)

export ASAN_OPTIONS := detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1
export UBSAN_OPTIONS := print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS := halt_on_error=1:ignore_interceptors_accesses=1:second_deadlock_stack=1:suppressions=$(CURDIR)/scripts/tsan.supp
export ASAN_SYMBOLIZER_PATH := /usr/lib/llvm-19/bin/llvm-symbolizer
export TSAN_SYMBOLIZER_PATH := $(ASAN_SYMBOLIZER_PATH)

.PHONY: help setup run build test test-asan test-tsan sanitize fuzz lint analyze format coverage soak \
  bench mutants clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what building, running and testing need (Debian 12)
	@scripts/setup

run: TARGET := penstock
run: build ## build, then serve on port 9000 with the demo catalog (ARGS=... for more flags)
	exec build/release/penstock serve --demo-catalog $(ARGS)

build: setup configure-release ## the release build: build/release/penstock
	cmake --build --preset release -j $(JOBS) --target $(or $(TARGET),all)

test: setup-torture build ## release build with warnings as errors, then every test but the soak
	$(call CTEST,build/release,-LE 'soak$$')

test-asan: setup-sanitizers configure-debug ## the whole suite under ASan and UBSan
	cmake --build --preset debug -j $(JOBS)
	$(call CTEST,build/debug,-LE 'soak$$')

test-tsan: setup-sanitizers configure-tsan ## the whole suite under TSan
	cmake --build --preset tsan -j $(JOBS)
	$(call CTEST,build/tsan,-LE 'soak$$')

.PHONY: test-dates
test-dates: setup-torture build ## the suite on dates that break programs: ends of months, leap day, new year ... (ARGS=...)
	scripts/test-dates build/release --jobs $(JOBS) $(ARGS)

simulate: build ## 2 000 seeds of every simulated world
	@for world in $(WORLDS); do \
	  build/release/penstock simulate --world $$world --seeds 2000; \
	done

nightly: build ## 100 000 seeds of every simulated world, resumable, with every probe
	mkdir -p build/nightly
	@for world in $(WORLDS); do \
	  build/release/penstock simulate --world $$world --seeds 100000 --processes 2 \
	    --require-probes --resume build/nightly/$$world.state; \
	  build/release/penstock simulate --world $$world --seeds 1000 --processes 1 | grep '^digest' \
	    >build/nightly/$$world.first; \
	  build/release/penstock simulate --world $$world --seeds 1000 --processes 2 | grep '^digest' | \
	    cmp - build/nightly/$$world.first; \
	done

sanitize: setup-sanitizers configure-debug configure-tsan ## tests labelled `sanitize` under ASan, UBSan and TSan
	@for preset in debug tsan; do \
	  scripts/build-labelled build/$$preset sanitize $(JOBS); \
	  $(call CTEST,build/$$preset,-L '^sanitize$$'); \
	done

fuzz: setup-fuzz configure-fuzz ## libFuzzer with ASan and UBSan, FUZZ_SECONDS each (60), FUZZ_SEED
	cmake --build --preset fuzz -j $(JOBS) --target fuzzers
	@for source in tests/fuzz/*_fuzz.cpp; do \
	  name=$$(basename $$source _fuzz.cpp); \
	  mkdir -p build/fuzz/found/$$name; \
	  echo "== $$name"; \
	  build/fuzz/tests/fuzz/fuzz_$$name -seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) \
	    -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/fuzz/$$name- -dict=tests/fuzz/dictionaries/$$name.dict \
	    build/fuzz/found/$$name tests/fuzz/corpus/$$name; \
	done

lint: setup-lint configure-lint ## formatting, clang-tidy 19 and shellcheck
	scripts/check-format
	shellcheck $$(scripts/shell-scripts)
	scripts/clang-tidy-all --build build/lint --jobs $(JOBS) src

analyze: setup-lint configure-lint ## the slow Clang static analyzer over src/
	scripts/clang-tidy-all --build build/lint --jobs $(JOBS) --checks '-*,clang-analyzer-*' src

format: setup-lint ## rewrite the C++ sources as .clang-format says
	scripts/check-format --fix

coverage: setup-coverage configure-coverage ## line coverage of src/ in build/coverage/report
	cmake --build --preset coverage -j $(JOBS)
	find build/coverage -name '*.gcda' -delete
	$(call CTEST,build/coverage,-LE 'soak$$')
	mkdir -p build/coverage/report
	gcovr -j $(JOBS) --root . --filter src/ --exclude '.*_test\.cpp' \
	  --exclude-throw-branches --exclude-unreachable-branches \
	  --html-details build/coverage/report/index.html \
	  --txt build/coverage/report/coverage.txt --print-summary build/coverage

soak: build ## the long tests
	$(call CTEST,build/release,-L '^soak$$')

.PHONY: soak-postgres
soak-postgres: build ## 20 minutes of kills and restarts on a shared PostgreSQL database
	$(call CTEST,build/release,-L '^postgres-soak$$')

# Seed and size of `make torture`, about 20 minutes on two cores.
SEED ?= 20261122
TORTURE_KILLS ?= 500
TORTURE_FAULTS ?= 250
TORTURE_ROUNDS ?= 6
TORTURE_CUTS ?= 2000

.PHONY: torture
torture: setup-torture build ## real faults on the real binary: kills, failing disks, power cuts (SEED=...)
	@export PYTHONDONTWRITEBYTECODE=1; \
	export DISK_FAULT_LIBRARY=$(CURDIR)/build/release/tests/torture/libdisk_fault.so; \
	export CLOCK_SHIFT_LIBRARY=$(CURDIR)/build/release/tests/program/libclock_shift.so; \
	export PENSTOCK_POWER_CUT_SEED=$(SEED) PENSTOCK_POWER_CUTS=$(TORTURE_CUTS) \
	  PENSTOCK_POWER_CUT_STRIDE=1; \
	build/release/tests/torture/torture_power_cut_test; \
	python3 tests/torture/kills.py build/release/penstock --seed $(SEED) --runs $(TORTURE_KILLS); \
	python3 tests/torture/disk_errors.py build/release/penstock --seed $(SEED) --runs $(TORTURE_FAULTS); \
	python3 tests/torture/weather.py build/release/penstock --seed $(SEED) --rounds $(TORTURE_ROUNDS); \
	python3 tests/torture/disk_power.py build/release/penstock --seed $(SEED) --rounds $(TORTURE_ROUNDS)

bench: build ## the micro benchmarks, each with its parameters
	@found=0; for program in $$(find build/release/bench -maxdepth 1 -name '*_bench' -type f -executable); do \
	  found=1; echo "== $$program"; $$program; done; \
	[ $$found = 1 ] || { echo "no benchmark programs in build/release/bench"; exit 1; }

.PHONY: bench-peers
bench-peers: build ## Penstock beside a hand-written SKIP LOCKED pipeline, on one PostgreSQL (ARGS=...)
	@python3 -B bench/peers/side_by_side.py build/release $(ARGS)

mutants: setup ## plant each bug of tests/mutants and name what catches it (ARGS=... for options)
	scripts/mutants --jobs $(JOBS) $(ARGS)

clean: ## remove every build
	rm -rf build

SETUPS := setup-lint setup-coverage setup-sanitizers setup-torture setup-fuzz
.PHONY: $(SETUPS)
$(SETUPS): setup-%: setup
	@scripts/setup $*

# Ninja configures again by itself when a CMakeLists.txt changes; only the presets are ours to watch.
CONFIGURES := configure-release configure-debug configure-tsan configure-fuzz configure-coverage
.PHONY: $(CONFIGURES) configure-lint
$(CONFIGURES): configure-%: setup
	@[ build/$*/build.ninja -nt CMakePresets.json ] || cmake --preset $*

# Nothing is compiled here: clang-tidy wants the compile commands of the compiler it belongs to.
configure-lint: setup-lint
	@[ build/lint/build.ninja -nt CMakePresets.json ] || \
	  cmake -S . -B build/lint -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++-19
	@cmake --build build/lint --target build.ninja >/dev/null
