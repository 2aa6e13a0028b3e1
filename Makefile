# The two commands of the README. Everything else is meson's (see CONTRIBUTING.md).
BUILD ?= build

.PHONY: run test build prove fuzz test-vm clean

run:
	@tests/install.sh run
	@$(MAKE) --no-print-directory build
	@tools/demo.sh $(BUILD)/tools/weir

test:
	@tests/install.sh test
	@tests/run.sh

build:
	@tests/build.sh $(BUILD)

prove:
	@tests/install.sh prove
	@tests/prove/run.sh

# Seconds for each target: make fuzz FUZZ=600
fuzz:
	@tests/install.sh test
	@tests/fuzz/run.sh $(or $(FUZZ),60)

test-vm:
	@tests/install.sh test
	@$(MAKE) --no-print-directory build
	@tests/vm/run.sh $(BUILD)

clean:
	rm -rf build build-*
