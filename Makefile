# headgate: build, run, test, install. `make run` and `make test` do all set-up on a fresh Debian or Ubuntu.
#
#   make            build/headgate, build/headgate-host, build/plugins/*.so
#   make run        the daemon on etc/headgate.ini with the `file` pusher and data under ./data
#   make test       everything that .ci/run runs; ends with 'N passed, N failed'
#   make crash      kills, faults, power cuts and hostile peers at the full counts; hours (CRASH_SCALE=small: minutes)
#   make install    PREFIX= DESTDIR=
#
# Single groups of tests: unit sim flow hostile crash record cost fuzz lint contract asan tsan servers page fresh. Also:
# coverage analyze bench bench-pushers format, test-servers (pushers against every real server, with full counts).
# `make sim SIM_RUNS=1000000` simulates as often as that.
# Everything that is built or written lies below BUILD, so two builds never mix: `make BUILD=/tmp/mine SANITIZE=address`.

BUILD      ?= build
PREFIX     ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
LIBEXEC    ?= $(PREFIX)/libexec
UNITDIR    ?= $(PREFIX)/lib/systemd/system
VERSION    := 0.1.0
SANITIZE   ?=
JOBS       ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON     ?= /usr/bin/python3
CLANG      ?= clang
INSTALL    ?= install

# V=1 shows whole commands.
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '%-5s %s\n' $(1) $@)

WARN    := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Werror
HARDEN  := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
PLUGHARD := -fstack-protector-strong -D_FORTIFY_SOURCE=2
ifneq ($(SANITIZE),)
SANFLAG  := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN   := -fPIE $(SANFLAG)
PLUGHARD := $(SANFLAG)
SANLINK  := -fsanitize=$(SANITIZE)
endif
OPT     ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Icore -Isdk -Iplugins -DHG_VERSION='"$(VERSION)"' -DHG_PREFIX='"$(PREFIX)"' \
            -DHG_SYSCONFDIR='"$(SYSCONFDIR)"' -DHG_LIBEXEC='"$(LIBEXEC)"'
CFLAGS  := -std=c11 $(OPT) $(WARN) $(HARDEN) -fvisibility=hidden -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := $(SANLINK) -pie -Wl,-z,relro,-z,now,-z,noexecstack $(EXTRA_LDFLAGS)

# Plugins see the SDK and plugins/common only.
PLUGIN_CFLAGS  := -std=c11 $(OPT) $(WARN) $(PLUGHARD) -fPIC -fvisibility=hidden -D_GNU_SOURCE -Isdk -Iplugins \
                  -MMD -MP $(EXTRA_CFLAGS)
PLUGIN_LDFLAGS := -shared -Wl,-z,relro,-z,now,-z,noexecstack,-Bsymbolic -Wl,--exclude-libs,ALL $(SANLINK) $(EXTRA_LDFLAGS)

LAYERS  := base conf rows journal delivery host supervise http access api cli
MAINS   := core/cli/main.c core/host/main.c
CORE_C  := $(filter-out $(MAINS),$(foreach d,$(LAYERS),$(wildcard core/$(d)/*.c)))
# What the command line shares with pullers: one reader of CSV.
CORE_C  += $(addprefix plugins/common/,camel.c csvcell.c csvform.c csvread.c csvtable.c jsontext.c strbuf.c)
CORE_O  := $(CORE_C:%.c=$(BUILD)/%.o)
MAIN_O  := $(MAINS:%.c=$(BUILD)/%.o)
LIBCORE := $(BUILD)/libcore.a
HOST_LIBS   := -ldl -lpthread -lm
DAEMON_LIBS := -luv -lcurl -ljansson -linih -lzstd -lz -ldeflate -lssl -lcrypto -lm -ldl -lpthread

# plugins/NAME/NAME.c makes NAME.so, with all other .c beside it but test_*.c.
PLUGIN_C   = $(filter-out plugins/$(1)/test_%,$(wildcard plugins/$(1)/*.c))
PLUGINS   := $(filter-out common,$(notdir $(patsubst %/,%,$(wildcard plugins/*/))))
PLUGINS   := $(foreach p,$(PLUGINS),$(if $(wildcard plugins/$(p)/$(p).c),$(p)))
PLUGIN_SO := $(PLUGINS:%=$(BUILD)/plugins/%.so)
PLUGIN_O  := $(foreach p,$(PLUGINS),$(patsubst %.c,$(BUILD)/pic/%.o,$(call PLUGIN_C,$(p))))
COMMON_C  := $(filter-out plugins/common/test_%,$(wildcard plugins/common/*.c))
COMMON_O  := $(COMMON_C:%.c=$(BUILD)/pic/%.o)
LIBPLUGIN := $(BUILD)/libplugin.a
PLUGIN_LIBS_http := -lcurl -ljansson -lcrypto -lz
PLUGIN_LIBS_postgres := -lpq
PLUGIN_LIBS_mysql := -lmariadb
PLUGIN_LIBS_sqlite := -lsqlite3
PLUGIN_LIBS_redis := -lhiredis -lssl -lcrypto
PLUGIN_LIBS_elasticsearch := -lcurl -ljansson -lz
PLUGIN_LIBS_s3 := -lcurl -lcrypto -lz -lzstd
PLUGIN_LIBS_kafka := -lrdkafka -lcrypto -lpthread
PLUGIN_LIBS_mqtt := -lmosquitto -lssl -lcrypto
PLUGIN_LIBS_nats := -lnats -ljansson
PLUGIN_LIBS_ftp := -lcurl -lcrypto -lz -lzstd
PLUGIN_LIBS_riffyn := -lcurl -ljansson -lcrypto
PLUGIN_LIBS_amqp := -lrabbitmq -lssl -lcrypto
PLUGIN_LIBS_smtp := -lcurl -lcrypto
PLUGIN_LIBS_fields := -lcrypto
PLUGIN_LIBS_jq := -ljq -lm

.PHONY: all FORCE
all: $(BUILD)/headgate $(BUILD)/headgate-host $(PLUGIN_SO)

# Other flags, another compiler or a file that is gone: what depends on them is built again.
FORCE:
FLAGS_NOW := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(PLUGIN_CFLAGS) $(PLUGIN_LDFLAGS)
$(BUILD)/flags: export TEXT = $(FLAGS_NOW)
$(BUILD)/core.list: export TEXT = $(CORE_C)
$(BUILD)/plugins.list: export TEXT = $(PLUGIN_O) $(COMMON_O)
$(BUILD)/flags $(BUILD)/core.list $(BUILD)/plugins.list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$TEXT" | cmp -s - $@ || printf '%s\n' "$$TEXT" >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The page on the admin listener, its scripts as one, and the description of the API: plain and packed, as bytes of a C file.
PAGE_JS := $(addprefix core/api/page/,base.js pieces.js overview.js sets.js dead.js live.js plugins.js rest.js start.js)
PAGE    := $(addprefix $(BUILD)/page/,index.html page.css page.js icon.svg)
$(BUILD)/page/page.js: $(PAGE_JS)
	@mkdir -p $(@D)
	@cat $^ >$@
$(filter-out %.js,$(PAGE)): $(BUILD)/page/%: core/api/page/%
	@mkdir -p $(@D)
	@cp $< $@
$(BUILD)/page/files.c: core/api/page/pack $(PAGE) core/api/openapi.json
	@sh $^ >$@
$(BUILD)/page/files.o: $(BUILD)/page/files.c $(BUILD)/flags
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(LIBCORE): $(CORE_O) $(BUILD)/page/files.o $(BUILD)/core.list
	$(call say,AR)
	@rm -f $@
	$(Q)$(AR) qcs $@ $(CORE_O) $(BUILD)/page/files.o

$(BUILD)/headgate: $(BUILD)/core/cli/main.o $(LIBCORE)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS)

$(BUILD)/headgate-host: $(BUILD)/core/host/main.o $(LIBCORE)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(HOST_LIBS)

$(BUILD)/pic/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(PLUGIN_CFLAGS) -c $< -o $@

$(LIBPLUGIN): $(COMMON_O) $(BUILD)/plugins.list
	$(call say,AR)
	@rm -f $@
	$(Q)$(AR) qcs $@ $(COMMON_O)

.SECONDEXPANSION:
# (No % in the prerequisites: it would be the stem.)
$(BUILD)/plugins/%.so: $$(addprefix $(BUILD)/pic/,$$(addsuffix .o,$$(basename $$(call PLUGIN_C,$$*)))) $(LIBPLUGIN) $(BUILD)/plugins.list
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(PLUGIN_LDFLAGS) $(filter %.o %.a,$^) -o $@ $(PLUGIN_LIBS_$*)

# --- run ---------------------------------------------------------------------------------------------------------

RUN_LISTEN = $${HEADGATE_HTTP_LISTEN:-127.0.0.1:8080}
RUN_ADMIN  = $${HEADGATE_ADMIN_LISTEN:-127.0.0.1:8081}

.PHONY: run deps
deps:
	@etc/install-deps.sh run

run: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@mkdir -p data/out
	@printf '\nrows in    http://%s/v1/rows\noperation  http://%s/\n' "$(RUN_LISTEN)" "$(RUN_ADMIN)"
	@printf "try        curl -sS http://%s/v1/rows -H 'Content-Type: application/json' -d '%s'\n" "$(RUN_LISTEN)" \
	    '{"uuid": "first", "row": {"index": 0, "data": {"keyOne": 1, "keyTwo": "2"}}}'
	@printf 'then       cat data/out/*\n\n'
	@export PLUGIN_FILE_PATH="$${PLUGIN_FILE_PATH:-data/out/rows-%Y-%m-%d.ndjson}"; \
	exec $(BUILD)/headgate run --config etc/headgate.ini --data ./data --plugins $(BUILD)/plugins

# --- tests -------------------------------------------------------------------------------------------------------

# Unit tests: test/unit/test_NOUN.c and plugins/NAME/test_NOUN.c, each a program of its own on cmocka. test/lib/*.c is
# there for all of them.
UNIT_C    := $(wildcard test/unit/test_*.c plugins/*/test_*.c)
# librdkafka starts its threads by C11's thrd_create, which gcc 12's thread sanitizer does not know: it crashes there.
UNIT_C    := $(filter-out $(if $(filter thread,$(SANITIZE)),plugins/kafka/test_%),$(UNIT_C))
UNIT      := $(UNIT_C:%.c=$(BUILD)/%)
TESTLIB_C := $(wildcard test/lib/*.c sdk/testkit*.c)
TESTLIB_O := $(TESTLIB_C:%.c=$(BUILD)/%.o)
LIBTEST   := $(BUILD)/libtest.a
TEST_CPPFLAGS := -Itest/lib -Itest -DTEST_BUILD='"$(BUILD)"'
$(UNIT:%=%.o) $(TESTLIB_O): private CPPFLAGS += $(TEST_CPPFLAGS)

$(LIBTEST): $(TESTLIB_O)
	@mkdir -p $(@D)
	$(call say,AR)
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

# Its functions stand in for libc's in the plugin that it loads.
TEST_LIBS_test_plugin_file_crash := -rdynamic
TEST_LIBS_test_plugin_http := -lssl
TEST_LIBS_test_plugin_oauth := -lssl
TEST_LIBS_test_riffyn := -lssl
TEST_LIBS_test_redis := -lhiredis
TEST_LIBS_test_kafka := -lrdkafka
TEST_LIBS_test_lookback := -lrdkafka
TEST_LIBS_test_sqlite := -lsqlite3
$(UNIT): %: %.o $(LIBTEST) $(LIBCORE) $(LIBPLUGIN)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(DAEMON_LIBS) $(TEST_LIBS_$(@F))

# Broken and odd plugins: test/fixture/plugins/NAME.c makes fixture/NAME.so.
FIXTURE_C  := $(wildcard test/fixture/plugins/*.c)
FIXTURE_SO := $(FIXTURE_C:test/fixture/plugins/%.c=$(BUILD)/fixture/%.so)
$(BUILD)/fixture/%.so: $(BUILD)/pic/test/fixture/plugins/%.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(PLUGIN_LDFLAGS) $^ -o $@

# A pusher compiled against exactly each header that was ever released; and what make lint compares the ABI with.
RELEASED := $(patsubst sdk/released/headgate-%.h,%,$(wildcard sdk/released/headgate-*.h))
FIXTURE_SO += $(RELEASED:%=$(BUILD)/fixture/released-%.so)
$(BUILD)/fixture/released-%.so: test/fixture/plugins/chaos.c sdk/released/headgate-%.h $(BUILD)/flags
	@mkdir -p $(@D) $(BUILD)/released/$*
	$(call say,CC)
	@cp sdk/released/headgate-$*.h $(BUILD)/released/$*/headgate.h
	$(Q)$(CC) -I$(BUILD)/released/$* $(filter-out -MMD -MP -Isdk,$(PLUGIN_CFLAGS)) $< $(PLUGIN_LDFLAGS) -o $@

.PHONY: abi
abi:
	@$(PYTHON) test/lint/check_abi.py --write

# Programs of the crash harness, and variants of the daemon with a sys_hook of their own linked in: a recorder, and
# seeded bugs that the tests must catch. A variant keeps the host and the plugins beside it.
CRASH_TOOLS  := $(patsubst test/crash/tool/%.c,$(BUILD)/crash/%,$(wildcard test/crash/tool/*.c))
HOOK_C       := $(wildcard test/hook/*.c)
MUTANT_C     := $(wildcard test/mutant/*.c)
MUTANTS      := $(MUTANT_C:test/mutant/%.c=$(BUILD)/mutant/%/headgate)
MUTANT_SO_C  := $(wildcard test/mutant/plugin/*.c)
MUTANT_SO    := $(MUTANT_SO_C:test/mutant/plugin/%.c=$(BUILD)/mutant/plugins/%/file.so)
HOOK_O       := $(HOOK_C:%.c=$(BUILD)/%.o)

$(BUILD)/crash/%: $(BUILD)/test/crash/tool/%.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lpthread

$(HOOK_O) $(MUTANT_C:%.c=$(BUILD)/%.o): private CPPFLAGS += -Itest
$(BUILD)/mutant/%/headgate: $(BUILD)/test/mutant/%.o $(HOOK_O) $(BUILD)/core/cli/main.o $(LIBCORE) $(BUILD)/headgate-host
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $(filter-out %/headgate-host,$^) -o $@ $(DAEMON_LIBS)
	@cp $(BUILD)/headgate-host $(@D)/headgate-host

# Daemon and host with libc's functions, of which the n-th call fails as a test says (test/fault).
FAULT_O := $(BUILD)/test/fault/fault.o
FAULTS  := $(BUILD)/fault/headgate $(BUILD)/fault/headgate-host
$(FAULT_O): private CFLAGS += -fno-builtin -U_FORTIFY_SOURCE -fno-sanitize=all
$(BUILD)/fault/headgate: $(FAULT_O) $(BUILD)/core/cli/main.o $(LIBCORE)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@ $(DAEMON_LIBS)
$(BUILD)/fault/headgate-host: $(FAULT_O) $(BUILD)/core/host/main.o $(LIBCORE)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@ $(HOST_LIBS)

# The real `file` pusher behind a table of functions that lies to it: its hg_plugin() becomes real_plugin().
FILE_O := $(patsubst %.c,$(BUILD)/pic/%.o,$(call PLUGIN_C,file))
$(BUILD)/mutant/file.o: $(FILE_O) $(LIBPLUGIN)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -nostdlib -r $^ -o $@
	$(Q)objcopy --redefine-sym hg_plugin=real_plugin $@
$(BUILD)/mutant/plugins/%/file.so: $(BUILD)/pic/test/mutant/plugin/%.o $(BUILD)/mutant/file.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(PLUGIN_LDFLAGS) $^ -o $@

# Fuzz targets: test/fuzz/*.c, all of core built with clang's coverage; seeds in test/fuzz/corpus/NAME.
FUZZ_C := $(wildcard test/fuzz/*.c)
FUZZ   := $(FUZZ_C:%.c=$(BUILD)/%)
$(FUZZ:%=%.o): private CPPFLAGS += $(TEST_CPPFLAGS)
$(FUZZ): %: %.o $(LIBCORE) $(LIBPLUGIN)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $(DAEMON_LIBS)

# The simulator: test/sim/*.c with the real journal, delivery and batch forming.
SIM_C    := $(wildcard test/sim/*.c)
SIM_O    := $(SIM_C:%.c=$(BUILD)/%.o)
SIM_RUNS ?= 10000
SIM_SEED ?= 1
$(SIM_O): private CPPFLAGS += -Itest/sim
$(BUILD)/sim: $(SIM_O) $(LIBCORE)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS)

# Where a group writes 'PASSED FAILED' for the sum.
RESULT = $(BUILD)/results/$@
PYTEST = HEADGATE_BUILD=$(BUILD) $(PYTHON) test/lib/tally.py pytest $(RESULT)

.PHONY: analyze test check-build test-build unit sim flow hostile crash torture record cost fuzz fuzz-build fuzz-bugs \
        find-bugs fuzz-afl lint contract asan tsan servers test-servers page fresh coverage bench bench-pushers format
test:
	@etc/install-deps.sh run test
	@$(PYTHON) test/all.py --build $(BUILD) --jobs $(JOBS)

check-build: all $(UNIT) $(FIXTURE_SO)
test-build: check-build $(BUILD)/sim $(CRASH_TOOLS) $(MUTANTS) $(FAULTS) $(if $(wildcard plugins/file/file.c),$(MUTANT_SO))

unit: $(UNIT) $(FIXTURE_SO) all
	@SANITIZE=$(SANITIZE) $(PYTHON) test/lib/tally.py unit $(RESULT) --jobs $(JOBS) $(UNIT)

sim: $(BUILD)/sim
	@SIM_RUNS=$(SIM_RUNS) SIM_SEED=$(SIM_SEED) JOBS=$(JOBS) $(PYTEST) -s test/sim

flow: all $(FIXTURE_SO)
	@$(PYTEST) -n $(JOBS) test/flow

hostile: test-build
	@$(PYTEST) -n $(JOBS) --dist loadfile test/hostile

# `make test` runs the small counts; of the folder `hostile` it has a group of its own.
CRASH_SCALE ?= full
crash: test-build
	@HEADGATE_CRASH_SCALE=$(CRASH_SCALE) $(PYTEST) -n $(JOBS) --dist loadfile test/crash \
	    $(if $(filter full,$(CRASH_SCALE)),test/hostile)

# The n-th allocation fails, under the address sanitizer.
torture: all $(FAULTS)
	@HEADGATE_ALLOC_POINTS=60 $(PYTEST) test/crash/test_alloc.py

record: test-build
	@$(PYTEST) test/record

FUZZ_MAKE = $(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(CLANG) SANITIZE=address,undefined \
            EXTRA_CFLAGS='-fsanitize=fuzzer-no-link $(EXTRA_CFLAGS)'
fuzz:
	@$(FUZZ_MAKE) -s -j$(JOBS) fuzz-build
	@$(PYTHON) test/lib/tally.py fuzz $(RESULT) --jobs $(JOBS) $(FUZZ_C:%.c=$(BUILD)/fuzz/%)
fuzz-build: $(FUZZ)

# Bugs put in on purpose, each of which its target must find.
fuzz-bugs:
	@$(FUZZ_MAKE) -s -j$(JOBS) fuzz-build
	@$(FUZZ_MAKE) -s FUZZ_RESULT=$(CURDIR)/$(RESULT) find-bugs
find-bugs: export COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS)
find-bugs: export LINK = $(CC) $(LDFLAGS) -fsanitize=fuzzer
find-bugs: export LIBS = $(DAEMON_LIBS)
find-bugs:
	@$(PYTHON) test/fuzz/find_bugs.py --build $(BUILD) --jobs $(JOBS) $(ONLY:%=--only '%') $(FUZZ_RESULT)

# The same targets and seeds with AFL++, each for FUZZ_SECONDS: another way of looking for inputs.
fuzz-afl:
	@etc/install-deps.sh run test analyze
	@AFL_QUIET=1 $(MAKE) --no-print-directory BUILD=$(BUILD)/afl CC=afl-clang-fast SANITIZE=address,undefined \
	    -s -j$(JOBS) fuzz-build
	@$(PYTHON) test/lib/tally.py afl $(RESULT) --jobs $(JOBS) $(FUZZ_C:%.c=$(BUILD)/afl/%)

# Instructions, counted by callgrind: the speed that a busy machine cannot blur.
cost: all
	@$(PYTEST) test/cost

lint: all
	@BUILD=$(BUILD) $(PYTHON) test/lib/tally.py lint $(RESULT) test/lint
contract:
	@$(PYTHON) test/lint/check_contract.py

# What finds more and takes longer than lint: -fanalyzer and the clang analyzer, 20 minutes of one core. ONLY='FILE …'
analyze:
	@etc/install-deps.sh run test analyze
	@$(PYTHON) test/lint/analyze.py --jobs $(JOBS) "-std=c11 $(subst ",\",$(CPPFLAGS))" \
	    "-std=c11 -D_GNU_SOURCE -Isdk -Iplugins" $(ONLY)

SAN_MAKE  = $(MAKE) --no-print-directory OPT='-O1 -g'
ASAN_MAKE = $(SAN_MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined
TSAN_MAKE = $(SAN_MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread
asan:
	@$(ASAN_MAKE) -s -j$(JOBS) check-build
	@$(ASAN_MAKE) -k unit flow torture
tsan:
	@$(TSAN_MAKE) -s -j$(JOBS) check-build
	@TSAN_OPTIONS="suppressions=$(CURDIR)/test/tsan.supp" $(TSAN_MAKE) -k unit flow

# Pushers against real servers. What is here is installed on the first use: etc/install-deps.sh servers, test/servers/install.
servers: all
	@etc/install-deps.sh servers
	@$(PYTEST) -n $(JOBS) test/servers
test-servers: all
	@etc/install-deps.sh servers
	@HEADGATE_SERVERS=full $(PYTEST) -n $(JOBS) test/servers

# The page in a real Chromium (Debian's), driven from Python. SHOTS=docs/page: its pictures for the documents, too.
PAGE_VENV := $(BUILD)/page-venv
$(PAGE_VENV)/done: test/page/requirements.txt
	@rm -rf $(@D)
	@$(PYTHON) -m venv --system-site-packages $(@D)
	@$(@D)/bin/pip -q --disable-pip-version-check install -r $<
	@touch $@
page: all $(FIXTURE_SO)
	@etc/install-deps.sh test page
	@$(MAKE) --no-print-directory -s $(PAGE_VENV)/done
	@HEADGATE_SHOTS=$(SHOTS) HEADGATE_BUILD=$(BUILD) $(PAGE_VENV)/bin/python test/lib/tally.py pytest $(RESULT) \
	    -n $(JOBS) test/page

fresh:
	@$(PYTEST) test/fresh

# Unit tests, flow tests and COVERAGE_RUNS seeds of the simulator. Fails where one fails, or below the bounds of
# coverage.py. (gcc is less sure of what is initialized when it counts.)
COVERAGE_RUNS ?= 2000
COVERAGE_MAKE = $(MAKE) --no-print-directory BUILD=$(BUILD)/coverage OPT='-O1 -g' \
                EXTRA_CFLAGS='--coverage -Wno-maybe-uninitialized' EXTRA_LDFLAGS='--coverage'
coverage:
	@$(COVERAGE_MAKE) -s -j$(JOBS) check-build $(BUILD)/coverage/sim
	@find $(BUILD)/coverage -name '*.gcda' -delete
	@COUNT_LINES=1 $(COVERAGE_MAKE) -k unit flow; tests=$$?; \
	    $(BUILD)/coverage/sim --runs $(COVERAGE_RUNS) --jobs $(JOBS) || tests=1; \
	    $(PYTHON) test/lint/coverage.py $(BUILD)/coverage && exit $$tests

# Benchmarks. ONLY=… for the measures whose name has that in it, QUICK=1 for a rough table, WRITE=docs/performance.md to
# put the table there.
BENCH_C    := $(wildcard test/bench/tool/*.c)
BENCH_TOOL := $(BENCH_C:test/bench/tool/%.c=$(BUILD)/bench/%)
BENCH_VENV := $(BUILD)/bench/venv
VARIANT    := $(BUILD)/bench/jansson/headgate
$(BUILD)/bench/%: $(BUILD)/test/bench/tool/%.o $(LIBCORE)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS)
$(BUILD)/bench/push_loop: $(LIBTEST)

$(VARIANT): $(BUILD)/test/bench/variant/jansson.o $(BUILD)/core/cli/main.o $(LIBCORE) $(BUILD)/headgate-host
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=scan_body $(filter-out %/headgate-host,$^) -o $@ $(DAEMON_LIBS)
	@cp $(BUILD)/headgate-host $(@D)/headgate-host

$(BENCH_VENV)/done: test/bench/requirements.txt
	@rm -rf $(@D)
	@mkdir -p $(BUILD)/bench
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip -q --disable-pip-version-check install -r $<
	@touch $@

.PHONY: bench-build bench-deps
bench-deps:
	@etc/install-deps.sh run bench
bench-build: all $(FIXTURE_SO) $(BENCH_TOOL) $(VARIANT) $(BENCH_VENV)/done
bench: bench-deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) bench-build
	@HEADGATE_BUILD=$(BUILD) BENCH_VENV=$(BENCH_VENV) $(PYTHON) -B test/bench/run $(if $(QUICK),--quick) \
	    $(ONLY:%=--only %) $(if $(WRITE),--write $(WRITE)) --plot $(BUILD)/bench/growth.svg

# Each pusher next to its server's own tool.
bench-pushers: all
	@etc/install-deps.sh servers
	@HEADGATE_BUILD=$(BUILD) $(PYTHON) -B test/bench/pushers.py

# Pages that are made from option tables, the daemon's and the plugins': `make reference` writes them, lint compares.
$(BUILD)/gen_reference: $(BUILD)/test/lint/gen_reference.o $(LIBCORE)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS)

.PHONY: reference
reference: $(BUILD)/gen_reference all
	@for page in etc/headgate.ini docs/settings.md; do $(BUILD)/gen_reference $$page >$(BUILD)/reference.page && \
	    mv $(BUILD)/reference.page $$page || exit 1; done
	@BUILD=$(BUILD) $(PYTHON) test/lint/check_plugin_pages.py --write

SOURCES = $(shell find core sdk plugins test examples -name '*.[ch]')
format:
	@clang-format -i $(SOURCES)

# --- install -----------------------------------------------------------------------------------------------------

D := $(DESTDIR)$(PREFIX)
CONFD := $(DESTDIR)$(SYSCONFDIR)/headgate
FILL  := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' -e 's|@VERSION@|$(VERSION)|g'

.PHONY: install uninstall clean
# What an author reads who has nothing but what is installed.
AUTHORS_PAGES := $(addprefix docs/,plugins.md abi.md delivery.md settings.md)

install: all
	$(INSTALL) -d $(D)/bin $(DESTDIR)$(LIBEXEC) $(D)/lib/headgate/plugins $(D)/include $(D)/lib/pkgconfig $(CONFD) \
	    $(D)/share/man/man1 $(D)/share/bash-completion/completions $(DESTDIR)$(UNITDIR) $(D)/share/headgate/sdk/docs
	$(INSTALL) -m 755 $(BUILD)/headgate $(D)/bin/headgate
	$(INSTALL) -m 755 $(BUILD)/headgate-host $(DESTDIR)$(LIBEXEC)/headgate-host
	$(INSTALL) -m 644 $(PLUGIN_SO) $(D)/lib/headgate/plugins/
	$(INSTALL) -m 644 $(wildcard sdk/headgate*.h) $(D)/include/
	$(FILL) etc/headgate.pc.in >$(D)/lib/pkgconfig/headgate.pc
	test -e $(CONFD)/headgate.ini || $(INSTALL) -m 644 etc/headgate.ini $(CONFD)/headgate.ini
	$(INSTALL) -m 644 etc/man/headgate.1 $(D)/share/man/man1/headgate.1
	$(INSTALL) -m 644 etc/completion/headgate.bash $(D)/share/bash-completion/completions/headgate
	sed -e 's|/usr/bin/headgate|$(PREFIX)/bin/headgate|' etc/headgate.service >$(DESTDIR)$(UNITDIR)/headgate.service
	rm -rf $(D)/share/headgate/sdk/new
	cp -R $(wildcard sdk/testkit*.[ch]) sdk/plugin.mk sdk/new plugins/common $(D)/share/headgate/sdk/
	$(INSTALL) -m 644 $(AUTHORS_PAGES) $(D)/share/headgate/sdk/docs/

# Settings and data stay.
uninstall:
	rm -f $(D)/bin/headgate $(DESTDIR)$(LIBEXEC)/headgate-host $(D)/include/headgate.h $(D)/include/headgate_jansson.h \
	    $(D)/lib/pkgconfig/headgate.pc $(D)/share/man/man1/headgate.1 $(DESTDIR)$(UNITDIR)/headgate.service \
	    $(D)/share/bash-completion/completions/headgate $(PLUGINS:%=$(D)/lib/headgate/plugins/%.so)
	rm -rf $(D)/share/headgate/sdk
	-rmdir $(D)/share/headgate $(D)/lib/headgate/plugins $(D)/lib/headgate 2>/dev/null

clean:
	rm -rf $(BUILD)

DEPS := $(CORE_O) $(MAIN_O) $(PLUGIN_O) $(COMMON_O) $(UNIT:%=%.o) $(TESTLIB_O) $(SIM_O) $(HOOK_O) $(FAULT_O) $(FUZZ:%=%.o) \
        $(BUILD)/test/lint/gen_reference.o $(MUTANT_C:%.c=$(BUILD)/%.o) $(patsubst %.c,$(BUILD)/pic/%.o,$(FIXTURE_C) $(MUTANT_SO_C)) \
        $(patsubst $(BUILD)/crash/%,$(BUILD)/test/crash/tool/%.o,$(CRASH_TOOLS)) $(BENCH_C:%.c=$(BUILD)/%.o) \
        $(BUILD)/test/bench/variant/jansson.o
.SECONDARY: $(DEPS)
-include $(DEPS:.o=.d)
