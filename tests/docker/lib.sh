# What tests of containers have in common: reporting, small tools, and the start of a container. To be sourced by bash.

# How long anything is waited for, in seconds, before it counts as failed.
readonly PATIENCE=15

passed=0 failed=0 context= container= containers=() bystander=

# --- reporting

pass() { passed=$((passed + 1)); printf 'PASS  %s: %s\n' "$context" "$1"; }

# fail WHAT [DETAILS...]
fail() {
    failed=$((failed + 1))
    printf 'FAIL  %s: %s\n' "$context" "$1"
    shift
    [ $# = 0 ] || printf '%s\n' "$@" | tail -n 40 | sed 's/^/      /'
}

# check WHAT COMMAND...: one check; its output is shown only if it fails. Its status is the command's.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$what"
    else
        fail "$what" "$output" "$(output | sed 's/^/container: /')"
        return 1
    fi
}

# --- small tools

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# until COMMAND...: again and again until it succeeds. Only for what gives no event to wait for, such as a port.
until_ok() {
    local deadline=$(($(now_ms) + PATIENCE * 1000)) output
    while ! output=$("$@" 2>&1); do
        [ "$(now_ms)" -lt "$deadline" ] || { printf '%s\n(not within %s s)\n' "$output" "$PATIENCE"; return 1; }
        sleep 0.05
    done
}

# ended_ms: when the container has ended, as now_ms says it: without what the engine takes to clean up.
ended_ms() { date --date "$(inspect '{{.State.FinishedAt}}')" +%s%3N; }

inside() { timeout "$PATIENCE" docker exec "$container" "$@"; }
output() { [ -z "$container" ] || docker logs "$container" 2>&1; }
inspect() { docker inspect --format "$1" "$container"; }

# lines COUNT PATTERN: the container has printed that many lines that match. COUNT may be a pattern of bash.
lines() {
    local found
    found=$(output | grep -cE -- "$2")
    [[ $found == $1 ]] || { echo "expected $1 lines that match '$2', found $found"; return 1; }
}

cleanup() {
    [ "${#containers[@]}" = 0 ] || docker rm --force --volumes "${containers[@]}" >/dev/null 2>&1
    [ -z "$bystander" ] || kill "$bystander" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# boot IMAGE [OPTION...] [-- CMD...]
boot() {
    local image=$1 options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
    [ $# = 0 ] || shift
    container=svc-test-$$-$context
    containers+=("$container")
    check "the container starts" docker run --detach --name "$container" "${options[@]}" "$image" "$@"
}

all_up() { inside svc-ctl wait --ready --timeout "${PATIENCE}s" "$@"; }

# --- examples: an image of each, and what it answers

build() { docker build --quiet --tag "example-$1" "docs/examples/$1"; }

address() { inspect '{{.NetworkSettings.IPAddress}}'; }

# says PATTERN PATH: the container answers with a line that matches.
says() { curl --silent --show-error --max-time 5 "http://$(address):$PORT$2" | grep -- "$1"; }

# answers CODE PATH
answers() {
    local code
    code=$(curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://$(address):$PORT$2")
    [ "$code" = "$1" ] || { echo "$2 answers $code, not $1"; return 1; }
}

# ends CODE COMMAND...: a command ends with this exit code.
ends() {
    local wanted=$1 code
    shift
    "$@"
    code=$?
    [ "$code" = "$wanted" ] || { echo "exit code $code, not $wanted"; return 1; }
}

stops() {
    check "it stops" timeout "$PATIENCE" docker stop "$container"
    check "its exit code is $1" [ "$(inspect '{{.State.ExitCode}}')" = "$1" ]
}
