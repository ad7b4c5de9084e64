# bash completion for headgate: verbs, the options of each, and the values that are files or one of a few words.
# One line for each verb in _headgate_options; the test compares them with the command's own table.

_headgate_options() {
    case $1 in
    run) echo --config --listen --admin --data --plugins ;;
    check) echo --config --data --plugins --probe ;;
    config) echo --offline --config --json --ca --admin ;;
    'plugin list') echo --config --plugins --json --ca --admin ;;
    'plugin describe') echo --config --plugins --json ;;
    'plugin new') echo --kind ;;
    'plugin check') echo --ini --set --live --only --json ;;
    'plugin run') echo --set --uuid --format --batch --timeout --fault --gdb --valgrind ;;
    'plugin forget') echo --dead-letter --why --ca --admin ;;
    status) echo --watch --json --ca --admin ;;
    send) echo --uuid --to --format --delimiter --decimal --quotes --encoding --skip --types --index --batch --retry-for --quiet --ca --admin ;;
    receipt) echo --json --after --ca --admin ;;
    rowsets) echo --client --from --to --limit --after --json --ca --admin ;;
    'dead list') echo --pusher --reason --uuid --since --limit --after --json --ca --admin ;;
    'dead show') echo --json --ca --admin ;;
    'dead retry') echo --pusher --reason --uuid --since --all --dry-run --edit --why --ca --admin ;;
    'dead drop') echo --pusher --reason --uuid --since --all --dry-run --why --ca --admin ;;
    'dead export') echo --pusher --reason --uuid --since --all --ca --admin ;;
    export) echo --from --to --uuid --all --ca --admin ;;
    tap) echo --pusher --uuid --client --json --ca --admin ;;
    replay) echo --pusher --from --to --batch --uuid --rate --new-ids --dry-run --no-wait --json --why --ca --admin ;;
    'replay list') echo --json --ca --admin ;;
    'replay stop') echo --why --ca --admin ;;
    expedite) echo --pusher --why --ca --admin ;;
    'mark delivered') echo --pusher --dry-run --json --why --ca --admin ;;
    'mark pending') echo --pusher --dry-run --json --why --ca --admin ;;
    purge) echo --pusher --dry-run --json --why --ca --admin ;;
    pause) echo --why --ca --admin ;;
    resume) echo --why --ca --admin ;;
    reload) echo --json --why --ca --admin ;;
    drain) echo --wait --why --ca --admin ;;
    probe) echo --ca --admin ;;
    refusals) echo --json --ca --admin ;;
    doctor) echo --config --data --plugins --json --ca --admin ;;
    audit) echo --since --limit --json --ca --admin ;;
    'journal verify') echo --config --json ;;
    'journal dump') echo --config --rows ;;
    'journal repair') echo --config --into ;;
    'key add') echo --role --client --expires --why --config --data --json ;;
    'key list') echo --config --data --json ;;
    'key revoke') echo --why --config --data ;;
    *) return 1 ;;
    esac
}

# What may stand behind the words so far: verbs, or second words of verbs.
_headgate_words() {
    case $1 in
    '') echo help --help --version run check config plugin status tap send receipt rowsets dead export replay expedite mark purge \
        pause resume reload drain probe refusals doctor audit journal key ;;
    help) echo run check config plugin status tap send receipt rowsets dead export replay expedite mark purge pause resume reload \
        drain probe refusals doctor audit journal key ;;
    plugin) echo list describe new check run forget ;;
    dead) echo list show retry drop export ;;
    replay) echo list stop ;;
    mark) echo delivered pending ;;
    journal) echo verify dump repair ;;
    key) echo add list revoke ;;
    probe) echo live ready ;;
    esac
}

# Names of the pushers, if a daemon answers at once.
_headgate_pushers() {
    local at=0 admin=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        [ "${COMP_WORDS[at]}" = --admin ] && admin=(--admin "${COMP_WORDS[at + 1]}")
    done
    timeout 1 "${COMP_WORDS[0]}" status --json "${admin[@]}" 2>/dev/null </dev/null |
        grep -o '{"name":"[a-z][a-z0-9-]*"' | cut -d '"' -f 4
}

# The value of the option before the cursor; fails when it is a switch or no option.
_headgate_value() {
    case $1 in
    --config | --ini | --ca) COMPREPLY=($(compgen -f -- "$2")) ;;
    --data | --plugins | --into) COMPREPLY=($(compgen -d -- "$2")) ;;
    --format) COMPREPLY=($(compgen -W 'ndjson json csv tsv' -- "$2")) ;;
    --kind) COMPREPLY=($(compgen -W 'pusher puller processor' -- "$2")) ;;
    --role) COMPREPLY=($(compgen -W 'ingest read operate admin' -- "$2")) ;;
    --delimiter) COMPREPLY=($(compgen -W 'tab' -- "$2")) ;;
    --quotes) COMPREPLY=($(compgen -W 'double single none' -- "$2")) ;;
    --encoding) COMPREPLY=($(compgen -W 'utf-8 latin-1 windows-1252' -- "$2")) ;;
    --pusher) COMPREPLY=($(compgen -W "$(_headgate_pushers)" -- "$2" || :)) ;;
    --listen | --admin | --to | --uuid | --decimal | --skip | --types | --index | --batch | --retry-for | --reason | --why | \
        --client | --expires | --since | --limit | --after | --from | --rate | --wait | --set | --only | --timeout | --fault) COMPREPLY=() ;;
    *) return 1 ;;
    esac
}

_headgate() {
    local current=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} two="${COMP_WORDS[1]} ${COMP_WORDS[2]}" first=2
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "$(_headgate_words '')" -- "$current"))
        return
    fi
    _headgate_value "${COMP_WORDS[COMP_CWORD - 1]}" "$current" && return
    if [ "$COMP_CWORD" -gt 2 ] && _headgate_options "$two" >/dev/null; then
        verb=$two
        first=3
    fi
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_headgate_options "$verb") --help" -- "$current"))
    elif [ "$COMP_CWORD" -eq "$first" ] && [ -n "$(_headgate_words "$verb")" ]; then
        COMPREPLY=($(compgen -W "$(_headgate_words "$verb")" -- "$current"))
    elif [ "$verb" = send ] || [ "$verb" = 'plugin check' ] || [ "$verb" = 'plugin run' ]; then
        COMPREPLY=($(compgen -f -- "$current"))
    elif [ "$verb" = pause ] || [ "$verb" = resume ] || [ "$verb" = status ] || [ "$verb" = 'plugin forget' ]; then
        COMPREPLY=($(compgen -W "$(_headgate_pushers)" -- "$current"))
    elif [[ $verb == journal* ]]; then
        COMPREPLY=($(compgen -d -- "$current"))
    fi
}

complete -o filenames -F _headgate headgate
