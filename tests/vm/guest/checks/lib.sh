# What every file of checks begins with.

passed=0 failed=0
pass() { passed=$((passed + 1)); echo "PASS  vm: $1"; }
fail() { failed=$((failed + 1)); echo "FAIL  vm: $1"; }

# check NAME COMMAND...: that it succeeds; what it prints is shown where it does not.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then pass "$name"; else fail "$name: $output"; fi
}

# soon COMMAND...: that it succeeds within 60 s; if not, what it said last.
soon() {
    local end=$(($(cut -d. -f1 /proc/uptime) + 60)) output
    until output=$("$@" 2>&1); do
        [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || { echo "not within 60 s: $*: $output"; return 1; }
        usleep 50000
    done
}

same() { [ "$1" = "$2" ] || { echo "'$1' instead of '$2'"; return 1; }; }
more() { [ "$1" -gt "$2" ] || { echo "$1, which is not more than $2"; return 1; }; }
less() { [ "$1" -lt "$2" ] || { echo "$1, which is not less than $2"; return 1; }; }
# says TEXT WORDS: that the words are in the text.
says() { case $1 in *"$2"*) ;; *) echo "no '$2' in: $1"; return 1 ;; esac; }
# reads FILE TEXT: that the file says this and no more.
reads() { same "$(cat "$1")" "$2"; }
absent() { [ ! -e "$1" ] || { echo "there is $1"; return 1; }; }
present() { [ -e "$1" ] || { echo "there is no $1"; return 1; }; }

base=/sys/fs/cgroup
[ ! -d "$base/box" ] || base=$base/box
leaves=$base/svc-1.services

# leaf SERVICE
leaf() { echo "$leaves/$1.service"; }
# count SERVICE FILE WORD: the number behind a word in a file of its leaf.
count() { sed -n "s/^$3 //p" "$(leaf "$1")/$2"; }
pid() { svc-ctl status --json "$1" | sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' | head -n 1; }
supervisor() { svc-ctl status --json "$1" | sed -n 's/.*"supervisor_pid": *\([0-9][0-9]*\).*/\1/p'; }
# why_says, status_says SERVICE WORDS: that svc-ctl does.
why_says() { says "$(svc-ctl why "$1")" "$2"; }
status_says() { says "$(svc-ctl status "$1")" "$2"; }

# over: the sum, for who reads the serial line.
over() { echo "checks are over: $passed $failed"; }
