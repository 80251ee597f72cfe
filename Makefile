# SPDX-License-Identifier: Apache-2.0
# Doors to the scripts; the build itself is CMakeLists.txt.

all: build/build.ninja
	cmake --build build

build/build.ninja:
	cmake -S . -B build -G Ninja

demo:
	./demo

check:
	./check

quick:
	./check --quick

torture:
	./check --torture

# Slices of tests that add lines to docs/reliability/ledger.tsv.
MINUTES = 30
soak: all
	scripts/soak $(MINUTES)

format:
	scripts/format --fix

install: all
	cmake --install build

clean:
	rm -rf build

.PHONY: all demo check quick torture soak format install clean
