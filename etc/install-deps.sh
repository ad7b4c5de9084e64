#!/bin/sh
# Installs what is missing on Debian or Ubuntu: `install-deps.sh run` for building and running, `install-deps.sh run test`
# for the tests as well, `install-deps.sh servers` for the real servers that the tests of pushers start by themselves,
# `install-deps.sh test page` for the browser that the page is tried in, `install-deps.sh run bench` for the benchmarks,
# `install-deps.sh run test analyze` for `make analyze` and `make fuzz-afl`.
# Asks dpkg first, so that it is instant and needs no network when everything is there; where the libraries are there
# without packages (another distribution), pkg-config's word is enough for building.
set -eu

RUN="gcc libc6-dev make binutils pkg-config ca-certificates curl libuv1-dev libcurl4-openssl-dev libjansson-dev
     libinih-dev libzstd-dev zlib1g-dev libdeflate-dev libssl-dev libpq-dev libmariadb-dev libsqlite3-dev
      libhiredis-dev librdkafka-dev libmosquitto-dev libnats-dev librabbitmq-dev libjq-dev"
# clang and libclang-rt: fuzzing; lcov: coverage; podman to debootstrap: the tests on a fresh machine and in an image;
# g++, rustc, bindgen, libcurl: the example plugins, and the header in other languages; gdb, valgrind: what `headgate plugin run` and `check` start.
TEST="libcmocka-dev clang libclang-rt-14-dev clang-format cppcheck lcov python3 python3-pytest python3-pytest-xdist
      g++ rustc bindgen gdb valgrind
      python3-venv python3-cryptography openssl git podman buildah runc uidmap debootstrap systemd groff-base"
# No server of these is started by its package: see `quietly`. The Python packages are how tests look into them.
SERVERS="postgresql mariadb-server redis-server mosquitto nats-server python3-psycopg2 python3-pymysql python3-redis python3-boto3
         python3-confluent-kafka python3-paho-mqtt python3-pika rabbitmq-server python3-aiosmtpd openssh-server nginx-light maven default-jre-headless golang-go openssl zstd"
# The page is clicked through in a real browser; fonts, so that its pictures have letters. The rest comes from PyPI (the
# Makefile).
PAGE="chromium fonts-dejavu-core python3-venv"
# nginx: what intake is compared with; valgrind: instructions are counted. FastAPI comes from PyPI (the Makefile).
BENCH="nginx-light wrk zstd valgrind python3 python3-venv util-linux"
# What looks longer than `make test` may take: `make analyze`, `make fuzz-afl`.
ANALYZE="clang-tidy afl++"
LIBRARIES="libuv libcurl jansson inih sqlite3 libzstd zlib libdeflate libssl libcrypto libpq libmariadb hiredis rdkafka libmosquitto libnats librabbitmq"

say() {
    echo "headgate: $*" >&2
}

# Tools that are often there without their package.
there_anyway() {
    case $1 in
    golang-go) command -v go ;;
    maven) command -v mvn ;;
    default-jre-headless) command -v java ;;
    rustc) command -v rustc ;;
    *) return 1 ;;
    esac >/dev/null
}

missing() {
    for package in "$@"; do
        ! there_anyway "$package" || continue
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || echo "$package"
    done
}

# The runtime of the fuzzer carries clang's version in its name; releases differ.
fitting() {
    for package in "$@"; do
        case $package in
        libclang-rt-*)
            version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
            echo "libclang-rt-${version:-14}-dev"
            ;;
        *) echo "$package" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

without_dpkg() {
    command -v "${CC:-cc}" >/dev/null && command -v pkg-config >/dev/null && pkg-config --exists $LIBRARIES && return 0
    say "this is no Debian or Ubuntu; install a C compiler, pkg-config and the development files of: $LIBRARIES"
    exit 1
}

wanted=
for set in "$@"; do
    case $set in
    run) wanted="$wanted $RUN" ;;
    test) wanted="$wanted $TEST" ;;
    servers) wanted="$wanted $SERVERS" ;;
    bench) wanted="$wanted $BENCH" ;;
    page) wanted="$wanted $PAGE" ;;
    analyze) wanted="$wanted $ANALYZE" ;;
    *) say "usage: install-deps.sh [run] [test] [servers] [page] [bench] [analyze]" && exit 64 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    without_dpkg
    exit 0
fi
need=$(missing $wanted)
[ -n "$need" ] || exit 0
need=$(missing $(fitting $need))
[ -n "$need" ] || exit 0

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    say "these packages are missing, and neither root nor sudo is at hand:" $need
    say "as root: apt-get install --no-install-recommends" $need
    exit 1
fi
say "installing" $need

# Debian's packages start their servers unless this file says no. One that is there already has its own reasons.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
ended() {
    rm -f "$log"
    [ -z "${quiet:-}" ] || as_root rm -f "$policy"
}
trap ended EXIT
quietly() {
    [ ! -e "$policy" ] || return 0
    quiet=yes
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
}
case " $* " in
*" servers "*) quietly ;;
esac

export DEBIAN_FRONTEND=noninteractive
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 install -y \
        --no-install-recommends $need </dev/null
}
# The lists may be missing or old: then the first try fails, and they are fetched once.
if ! install >"$log" 2>&1; then
    as_root apt-get -qq update
    need=$(missing $(fitting $need))
    if ! install >"$log" 2>&1; then
        cat "$log" >&2
        say "could not install:" $need
        exit 1
    fi
fi
