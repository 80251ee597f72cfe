# SPDX-License-Identifier: Apache-2.0
# Sourced by cases_*.sh with the paths of azr and helper as arguments. Runs in a
# directory of its own, which is emptied first.
set -u
azr=$1
helper=$2
rm -rf "scratch-${0##*/}"
mkdir "scratch-${0##*/}" && cd "scratch-${0##*/}" || exit 1

passed=0 failed=0 step=
unset NO_COLOR

pass()
{
    passed=$((passed + 1))
}

# fail TEXT: with what the last command said
fail()
{
    failed=$((failed + 1))
    echo "FAILED: $step: $1"
    sed 's/^/    out: /' out | head -n 5
    sed 's/^/    err: /' err | head -n 5
}

# is CODE COMMAND…: run it, stdout to ./out, stderr to ./err
is()
{
    want=$1
    shift
    step=$*
    "$@" >out 2>err
    got=$?
    if [ $got -eq "$want" ]; then pass; else fail "exit $got, not $want"; fi
}

# says TEXT: the last command's stdout is TEXT
says()
{
    if [ "$(cat out)" = "$1" ]; then pass; else fail "stdout is not '$1'"; fi
}

# finds PATTERN, lacks PATTERN: in its stdout
finds()
{
    if grep -q -- "$1" out; then pass; else fail "stdout has no '$1'"; fi
}

lacks()
{
    if grep -q -- "$1" out; then fail "stdout has '$1'"; else pass; fi
}

# blames PATTERN: its stderr is one line that matches, and says whose it is
blames()
{
    if [ "$(grep -c '' err)" -eq 1 ] && grep -q -- "$1" err &&
        grep -q '^azr' err; then
        pass
    else
        fail "stderr is not one line with '$1'"
    fi
}

silent()
{
    if [ ! -s err ]; then pass; else fail "stderr is not empty"; fi
}

# json [KEY VALUE]: its stdout is one JSON document (with this member)
json()
{
    if "$helper" json "$@" <out 2>err; then pass; else fail "JSON: $*"; fi
}

# holds 'x.zarr[…]' TEXT: what is stored
holds()
{
    is 0 "$azr" cat "$1"
    says "$2"
}

# npy HEADER BODY: a .npy file on stdout; BODY is a format of printf
npy()
{
    # shellcheck disable=SC2059
    printf "\\223NUMPY\\001\\000\\$(printf %03o $((${#1} % 256)))\\$(printf \
        %03o $((${#1} / 256)))%s$2" "$1"
}

finish()
{
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
    exit
}
