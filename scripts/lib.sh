# SPDX-License-Identifier: Apache-2.0
# Sourced by the checks of this directory. A check notes findings in a file, one
# line each, and ends with `finish`. It exits with 0, 1 (findings) or 77
# (skipped: something it needs is not on this machine).
#
# The tree that is checked is the one the script stands in, so that `selftest`
# can plant faults in a copy.
set -u
LC_ALL=C
export LC_ALL

check=$(basename "$0")
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
: >"$tmp/findings"

finding()
{
    printf '%s\n' "$*" >>"$tmp/findings"
}

# finish COUNT WHAT: a check that looked at nothing has not passed.
finish()
{
    [ "$1" -gt 0 ] || finding "nothing to look at: no $2"
    n=$(grep -c '' "$tmp/findings")
    cat "$tmp/findings"
    echo "$check: $n findings, $1 $2 checked"
    [ "$n" -eq 0 ]
    exit
}

skip()
{
    echo "$check: skipped: $*"
    exit 77
}

# sources DIR…: the C files there, sorted. Rooms may not exist yet.
sources()
{
    for dir in "$@"; do
        [ ! -d "$dir" ] || find "$dir" -type f -name '*.[ch]'
    done | sort
}
