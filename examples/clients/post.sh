#!/bin/sh
# Posts one body to headgate, again and again until it is on the gateway's disk. Needs curl 7.84 or later and sha256sum.
#
#   post.sh body.json                                a body as POST /v1/rows takes it
#   echo '{"uuid":"u","row":{"data":{"a":1}}}' | post.sh
#   TYPE=application/x-ndjson post.sh bodies.ndjson  many documents, one a line
#
# TO      http://127.0.0.1:8080, or unix:/path/of/a/socket
# KEY     the Idempotency-Key; default: made from the body, so that the same body is taken once. To post the same content
#         as new rows, give another one.
# GIVE_UP seconds until it gives up, 120
#
# Prints the gateway's answer. Exit status: 0 taken, 65 refused (the answer says why; nothing was taken), 75 gave up.
set -eu

to=${TO:-http://127.0.0.1:8080}
body=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$body" "$answer"' EXIT
cat -- "${1:--}" >"$body"
key=${KEY:-$(sha256sum <"$body" | cut -c 1-64)}
case $to in
unix:*) where="--unix-socket ${to#unix:} http://localhost/v1/rows" ;;
*) where=$to/v1/rows ;;
esac

end=$(($(date +%s) + ${GIVE_UP:-120}))
pause=1
while :; do
    # shellcheck disable=SC2086 # two words for a unix socket
    said=$(curl -sS --max-time 60 -o "$answer" -w '%{http_code} %header{retry-after}' -H "Idempotency-Key: $key" \
        -H "Content-Type: ${TYPE:-application/json}" --data-binary @"$body" $where) || true
    status=${said%% *}
    after=${said#* }
    case $status in
    200 | 202)
        cat "$answer"
        exit 0
        ;;
    # No answer, or not now: the rows may or may not have been taken. The same key makes sending them again harmless.
    '' | 000 | 408 | 425 | 429 | 500 | 502 | 503 | 504) ;;
    *)
        cat "$answer" >&2
        exit 65
        ;;
    esac
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "post.sh: gave up: ${status:-no answer}" >&2
        exit 75
    fi
    sleep "${after:-$pause}"
    pause=$((pause < 8 ? pause * 2 : 8))
done
