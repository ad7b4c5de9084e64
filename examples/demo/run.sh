#!/bin/sh
# Posts 3,201 real rows, kills the daemon with SIGKILL three times in the middle, and shows that every row that was
# acknowledged is in the file, once, in order, byte for byte. Ends by itself; exit status 0 when all of it is so.
#
#   make && examples/demo/run.sh
#
# HEADGATE and PLUGINS: another headgate than build/headgate, such as an installed one, and the folder of its plugins.
# Everything happens in a folder of its own under TMPDIR, over unix sockets; nothing is left behind.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
headgate=${HEADGATE:-$here/../../build/headgate}
plugins=${PLUGINS:-$(dirname "$headgate")/plugins}
rows=$here/../data/movies.ndjson
work=$(mktemp -d)
daemon= client=

ended() { # what still runs is ended, by its number
    for pid in $client $daemon; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap ended EXIT
trap 'exit 1' INT TERM

failed() {
    echo "demo: $*" >&2
    tail -n 20 "$work/log" >&2
    exit 1
}

# Settings of another headgate that stand in the environment are none of the demo's.
gate() {
    env -i PATH="$PATH" "$headgate" "$@"
}

start() {
    env -i PATH="$PATH" PLUGIN_FILE_PATH="$work/rows.ndjson" "$headgate" run --config /dev/null --data "$work/data" \
        --plugins "$plugins" --listen "unix:$work/rows.sock" --admin "unix:$work/admin.sock" >>"$work/log" 2>&1 &
    daemon=$!
    tries=0
    until gate probe ready --admin "unix:$work/admin.sock" >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || failed "the daemon did not start"
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || failed "the daemon is not ready after a minute"
        sleep 0.2
    done
}

acknowledged() {
    wc -l <"$work/ids"
}

echo "1. A daemon, with the file pusher."
start

echo "2. A client posts $(wc -l <"$rows") rows, two at a time. Whatever is not answered it sends again, with the same key."
: >"$work/ids"
python3 "$here/../clients/post.py" --to "unix:$work/rows.sock" --uuid movies --batch 2 "$rows" >"$work/ids" 2>"$work/client" &
client=$!

for count in 200 700 1200; do
    while [ "$(acknowledged)" -lt "$count" ] && kill -0 "$client" 2>/dev/null; do
        sleep 0.02
    done
    kill -0 "$client" 2>/dev/null || failed "the client ended too early: $(cat "$work/client")"
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null || true
    echo "3. SIGKILL after $(acknowledged) answers; $(wc -l <"$work/rows.ndjson") rows were in the file. Starting again."
    start
done

wait "$client" || failed "the client: $(cat "$work/client")"
client=
echo "4. The client is done: $(acknowledged) row sets acknowledged. $(cat "$work/client")"
gate drain --wait 60s --admin "unix:$work/admin.sock" || failed "not everything was delivered"

echo "5. Receipts of the first and the last row set:"
for id in $(sed -n '1p;$p' "$work/ids"); do
    gate receipt "$id" --admin "unix:$work/admin.sock"
done

echo "6. What was posted, compared with the file:"
python3 "$here/compare.py" "$rows" "$work/rows.ndjson" "$work/ids" || failed "something was lost or doubled"

kill -TERM "$daemon"
wait "$daemon" || failed "the daemon ended with status $?"
daemon=
