# headgate: build, run, test, install. `make run` and `make test` do all set-up on a fresh Debian or Ubuntu.
#
#   make            build/headgate, build/headgate-host, build/plugins/*.so
#   make run        the daemon on etc/headgate.ini with the `file` pusher and data under ./data
#   make test       everything that .ci/run runs
#   make install    PREFIX= DESTDIR=

BUILD   ?= build
PREFIX  ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
LIBEXEC ?= $(PREFIX)/libexec
VERSION := 0.1.0
CC      ?= cc
SANITIZE ?=

WARN    := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Werror
HARDEN  := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
ifneq ($(SANITIZE),)
HARDEN  := -fPIE -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
SANLINK := -fsanitize=$(SANITIZE)
endif
OPT     ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Icore -Isdk -DHG_VERSION='"$(VERSION)"' -DHG_PREFIX='"$(PREFIX)"' \
            -DHG_SYSCONFDIR='"$(SYSCONFDIR)"' -DHG_LIBEXEC='"$(LIBEXEC)"'
CFLAGS  := -std=c11 $(OPT) $(WARN) $(HARDEN) -fvisibility=hidden -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := $(SANLINK) -pie -Wl,-z,relro,-z,now,-z,noexecstack $(EXTRA_LDFLAGS)

LAYERS  := base conf rows journal delivery host supervise http api cli
MAINS   := core/cli/main.c core/host/main.c
CORE_C  := $(filter-out $(MAINS),$(foreach d,$(LAYERS),$(wildcard core/$(d)/*.c)))
CORE_O  := $(CORE_C:%.c=$(BUILD)/%.o)
LIBCORE := $(BUILD)/libcore.a
HOST_LIBS   := -ldl -lpthread
DAEMON_LIBS := -luv -lcurl -ljansson -linih -lsqlite3 -lzstd -lz -lcrypto -lm -ldl -lpthread

PLUGINS   := $(filter-out common,$(notdir $(patsubst %/,%,$(wildcard plugins/*/))))
PLUGIN_SO := $(foreach p,$(PLUGINS),$(if $(wildcard plugins/$(p)/$(p).c),$(BUILD)/plugins/$(p).so))
COMMON_C  := $(wildcard plugins/common/*.c)
COMMON_PIC := $(COMMON_C:%.c=$(BUILD)/pic/%.o)
PLUGIN_LIBS_http := -lcurl -ljansson -lcrypto

.PHONY: all clean
all: $(BUILD)/headgate $(BUILD)/headgate-host $(PLUGIN_SO)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(LIBCORE): $(CORE_O)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/headgate: $(BUILD)/core/cli/main.o $(LIBCORE)
	$(CC) $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS)

$(BUILD)/headgate-host: $(BUILD)/core/host/main.o $(LIBCORE)
	$(CC) $(LDFLAGS) $^ -o $@ $(HOST_LIBS)

# Plugins see the SDK and plugins/common only.
PLUGIN_CFLAGS := -std=c11 $(OPT) $(WARN) $(if $(SANITIZE),-fsanitize=$(SANITIZE),-fstack-protector-strong -D_FORTIFY_SOURCE=2) \
                 -fPIC -fvisibility=hidden -D_GNU_SOURCE -Isdk -Iplugins -MMD -MP
$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CFLAGS) -c $< -o $@

$(BUILD)/libplugin.a: $(COMMON_PIC)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

.SECONDEXPANSION:
$(BUILD)/plugins/%.so: $$(patsubst %.c,$(BUILD)/pic/%.o,$$(wildcard plugins/$$*/*.c)) $(BUILD)/libplugin.a
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-z,relro,-z,now,-z,noexecstack,-Bsymbolic -Wl,--exclude-libs,ALL $(SANLINK) $^ -o $@ $(PLUGIN_LIBS_$*)

# Unit tests: test/unit/test_NAME.c, each a program of its own on cmocka.
UNIT_C := $(wildcard test/unit/test_*.c)
UNIT   := $(UNIT_C:%.c=$(BUILD)/%)
$(BUILD)/test/unit/%: $(BUILD)/test/unit/%.o $(LIBCORE) $(BUILD)/libplugin.a
	$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(DAEMON_LIBS) $(TEST_LIBS_$*)

.PHONY: unit
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
