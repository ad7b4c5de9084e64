# Rules for a plugin, to be included by its Makefile after NAME is set:
#
#     NAME := mine
#     include $(shell pkg-config --variable=sdkdir headgate)/plugin.mk
#
# NAME.so is made of every .c (.cc) beside the Makefile but test_*. LIBS: what it links; CFLAGS, CXXFLAGS: yours. Goals:
# all, test (test_NAME.c on the test kit), check (headgate plugin check), install, clean.
SDK        := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
PKG_CONFIG ?= pkg-config
PREFIX     := $(shell $(PKG_CONFIG) --variable=prefix headgate)
HEADGATE   ?= $(PREFIX)/bin/headgate
PLUGINDIR  ?= $(shell $(PKG_CONFIG) --variable=plugindir headgate)
HG_CFLAGS  := $(shell $(PKG_CONFIG) --cflags headgate)
CFLAGS     ?= -O2 -g -Wall -Wextra
CXXFLAGS   ?= -O2 -g -Wall -Wextra

# Nothing but hg_plugin is seen from outside, and what the plugin brings along is its own.
HG_COMPILE := -fPIC -fvisibility=hidden $(HG_CFLAGS)
HG_LINK    := -shared -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,-z,defs,-z,now,-z,relro

SOURCES ?= $(filter-out test_%,$(wildcard *.c))
SOURCES_CC ?= $(filter-out test_%,$(wildcard *.cc))
OBJECTS := $(SOURCES:.c=.o) $(SOURCES_CC:.cc=.o)
TESTKIT := $(wildcard $(SDK)/testkit*.c)

.PHONY: all test check install clean
all: $(NAME).so

%.o: %.c
	$(CC) -std=gnu11 $(HG_COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

%.o: %.cc
	$(CXX) -std=gnu++17 $(HG_COMPILE) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

$(NAME).so: $(OBJECTS)
	$(if $(SOURCES_CC),$(CXX),$(CC)) $(HG_LINK) $(LDFLAGS) $(OBJECTS) $(LIBS) -o $@

test_$(NAME): test_$(NAME).c $(NAME).so $(TESTKIT)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(HG_CFLAGS) -I$(SDK) $(CPPFLAGS) $(CFLAGS) $< $(TESTKIT) -o $@ -ldl -lpthread

test: test_$(NAME)
	./test_$(NAME)

check: $(NAME).so
	$(HEADGATE) plugin check $(NAME).so

install: $(NAME).so
	install -D -m 755 $(NAME).so $(DESTDIR)$(PLUGINDIR)/$(NAME).so

clean:
	rm -f $(NAME).so $(OBJECTS) $(OBJECTS:.o=.d) test_$(NAME)

-include $(OBJECTS:.o=.d)
