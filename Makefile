# CI runs these same recipes.
CARGO ?= cargo
IMAGE ?= sbc

.PHONY: help run test sim race load lint fuzz bench image prepare

help:
	@echo 'make run    build and start sbc with the quickstart defaults'
	@echo 'make test   install what the tests need, run all of them'
	@echo 'make sim    $(CALLS) simulated calls over $(SEEDS) seeds of bad links and dying nodes'
	@echo 'make race   several threads in one core under ThreadSanitizer'
	@echo 'make load   sbc and members killed under SIPp, lost packets, reloads, floods, silent clients (LOAD="--only garbage")'
	@echo 'make lint   formatting, clippy, documentation, licences and bans'
	@echo 'make fuzz   throw bytes at everything that reads bytes, TIME=60 seconds for each target'
	@echo 'make bench  what one message and one decision of the rules cost'
	@echo 'make image  the container image, named $(IMAGE)'

run:
	$(CARGO) run --release --bin sbc -- run

prepare:
	tests/prepare

# So many worlds of chance does each test in virtual time go through.
SEEDS ?= 1000

test: prepare
	SBC_SIM_SEEDS=$(SEEDS) $(CARGO) test --workspace

# So many calls in all worlds of `make sim` together.
CALLS ?= 100000

sim:
	$(CARGO) run --package sbc-tests --bin sim -- --seeds $(SEEDS) --calls $(CALLS)

# The toolchain's own runtime of the sanitizer; what is not stable of it is only how to ask for it.
race: HOST = $(shell rustc -vV | sed -n 's/^host: //p')
race:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='--cfg tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
	TSAN_OPTIONS='suppressions=$(CURDIR)/tests/tsan.supp history_size=4' \
	$(CARGO) test --package sbc-tests --test sim_chaos --target '$(HOST)' --target-dir target/tsan several_threads

load:
	tests/prepare load
	$(CARGO) build --package sbc --package sbc-tests --bins
	$(CARGO) run --package sbc-tests --bin load -- $(LOAD)

lint:
	$(CARGO) fmt --all --check
	cd fuzz && $(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd fuzz && RUSTFLAGS='--cfg fuzzing' $(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps
	$(CARGO) test --quiet --package sbc --test policy

# Seconds for each target.
TIME ?= 60

fuzz:
	TIME=$(TIME) CARGO='$(CARGO)' fuzz/run

bench:
	$(CARGO) run --release --package sbc-bench
	$(CARGO) run --release --package sbc-bench --bin rules

image:
	docker build --file docker/Dockerfile --tag $(IMAGE) .
