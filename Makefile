# The front of the build: meson and ninja do the work, tools/ the rest. `make help` lists the targets.

BUILD  = build
PREFIX = /usr/local

all: $(BUILD)/build.ninja ## build build/plex86
	@ninja -C $(BUILD) -n plex86 | grep -q 'no work to do' || ninja -C $(BUILD) plex86

$(BUILD)/build.ninja:
	@tools/deps build
	@meson setup $(BUILD) >$(BUILD).log || { cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/setup.log

run: ## boot Debian's i386 kernel to a shell (KERNEL=686-pae MEMORY=512 PLEX86_OPTIONS=...)
	@tools/deps build run
	@$(MAKE) --no-print-directory all
	@tools/run

test: ## every test but the long ones; the last line counts them
	@tools/deps build run test
	@tools/test

test-long: ## the long ones too
	@tools/deps build run test
	@tools/test --long

test-asan: ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/deps build run test
	@tools/test --asan

test-clang: ## the quick tests, built by clang
	@tools/deps build run test
	@tools/test --clang

fuzz: ## libFuzzer over every target, with sanitizers (SECONDS=60)
	@tools/deps build run test
	@tools/fuzz $(or $(SECONDS),60)

bench: ## native, plex86 and QEMU TCG side by side (BENCH_OPTIONS="--rounds 3")
	@tools/deps build run bench
	@$(MAKE) --no-print-directory all
	@bench/run $(BENCH_OPTIONS)

install: all ## install below PREFIX
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX)) >/dev/null
	@ninja -C $(BUILD) --quiet plex86 library >$(BUILD)/install.log || { cat $(BUILD)/install.log; exit 1; }
	@meson install -C $(BUILD) --quiet --no-rebuild
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig
	@echo "installed below $(DESTDIR)$(abspath $(PREFIX))"

clean: ## remove what was built
	rm -rf build build-* build.log

distclean: clean ## and what was fetched
	rm -rf .cache

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

.PHONY: all run test test-long test-asan test-clang fuzz bench install clean distclean help
