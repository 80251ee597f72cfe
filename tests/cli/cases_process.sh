# SPDX-License-Identifier: Apache-2.0
# Signals, closed and full outputs, other processes.
. "$(dirname "$0")/lib.sh"

is 0 "$azr" create x.zarr --shape 8 --chunks 4 --dtype i4
is 0 "$azr" write x.zarr --value 1

# --- an output that takes nothing is no success
for verb in 'cat x.zarr' 'info x.zarr' 'help' 'version' 'explain' \
    'cat x.zarr --json' 'cat x.zarr --format npy'; do
    step="$verb >&-"
    # shellcheck disable=SC2086
    "$azr" $verb >&- 2>err
    code=$?
    : >out
    if [ $code -eq 4 ]; then pass; else fail "exit $code, not 4"; fi
    blames 'standard output'
    if [ -c /dev/full ]; then
        step="$verb >/dev/full"
        # shellcheck disable=SC2086
        "$azr" $verb >/dev/full 2>err
        code=$?
        if [ $code -eq 4 ]; then pass; else fail "exit $code, not 4"; fi
    fi
done
step='append >&- says that the change is done'
"$azr" cat 'x.zarr[:2]' -o two.npy
"$azr" append x.zarr --npy two.npy >&- 2>err
: >out
if [ $? -eq 0 ]; then pass; else fail ''; fi
blames 'the change itself is done'
holds x.zarr '1 1 1 1 1 1 1 1 1 1'
is 0 "$azr" resize x.zarr 8 --force

# --- a reader that has seen enough: quiet, and not a success
is 0 "$azr" create big.zarr --shape 200000 --dtype i4
step='cat | head'
{ "$azr" cat big.zarr 2>err; echo $? >code; } | head -c 1 >out
if [ "$(cat code)" -eq 141 ]; then pass; else fail "exit $(cat code)"; fi
silent
step='cat -o on a file size limit leaves nothing'
(ulimit -f 1; exec "$azr" cat big.zarr -o limited.npy) >out 2>err
code=$?
if [ $code -eq 4 ] && [ -z "$(ls | grep limited)" ]; then
    pass
else
    fail "exit $code"
fi

# --- a lock that another process holds
hold()
{
    mkfifo stop held 2>/dev/null
    "$helper" hold x.zarr <stop >held &
    holder=$!
    exec 9>stop
    read -r _ <held
}
release()
{
    exec 9>&-
    wait $holder
}
# until a row of x.zarr waits: asks until it is so
until_someone_waits()
{
    tries=0
    until "$azr" status x.zarr | grep -q 'for [0-9.]* s'; do
        tries=$((tries + 1))
        [ $tries -lt 3000 ] || return 1
    done
}

hold
is 3 "$azr" write x.zarr --value 2 --timeout 0
blames "$holder"
is 3 "$azr" write x.zarr --value 2 --timeout 0.1
blames 'azr status'
is 0 "$azr" status x.zarr
step='status names the holder'
if grep -q "pid $holder" out; then pass; else fail "no pid $holder"; fi
is 0 "$azr" status x.zarr --json
json
is 0 "$azr" info x.zarr --json
json transactions_open 1

for pair in INT:130 TERM:143 HUP:129; do
    signal=${pair%:*}
    step="$signal while waiting"
    "$helper" plain "$azr" write x.zarr --value 3 --timeout never >out 2>err &
    waiter=$!
    if until_someone_waits; then pass; else fail 'nobody waits'; fi
    kill -$signal $waiter
    wait $waiter
    code=$?
    if [ $code -eq "${pair#*:}" ]; then pass; else fail "exit $code"; fi
    blames 'nothing changed'
done
release
holds x.zarr '1 1 1 1 1 1 1 1'

# the locks that the signalled waiters had asked for are free
is 0 "$azr" write x.zarr --value 4 --timeout 0
holds x.zarr '4 4 4 4 4 4 4 4'

# --- watching, until it is told to stop
hold
mkfifo seen
step='status --watch'
"$helper" plain "$azr" status x.zarr --watch --interval 0.01 --json >seen 2>err &
watcher=$!
exec 8<seen
read -r first <&8
read -r second <&8
kill -INT $watcher
cat <&8 >/dev/null
exec 8<&-
wait $watcher
code=$?
if [ $code -eq 130 ]; then pass; else fail "exit $code"; fi
for line in "$first" "$second"; do
    echo "$line" >out
    json path '"x.zarr"'
done
release

# --- a writer that died
"$helper" die x.zarr >out 2>err
is 0 "$azr" status x.zarr
step='status shows the dead'
if grep -q dead out && grep -q 'azr recover' out; then pass; else fail ''; fi
is 0 "$azr" recover x.zarr --dry-run
step='recover --dry-run'
if grep -q 'would be: 0 rolled forward, 1 rolled back' out; then
    pass
else
    fail 'not one rolled back'
fi
is 0 "$azr" recover x.zarr --json
step='recover'
if grep -q '"cleared": 1' out; then pass; else fail 'not one cleared'; fi
is 0 "$azr" status x.zarr
says 'no transaction is open'
holds x.zarr '4 4 4 4 4 4 4 4'

# --- stdin that never ends is left by a signal
mkfifo never
step='INT while reading stdin'
"$helper" plain "$azr" write big.zarr --npy - <never >out 2>err &
waiter=$!
exec 7>never
# more than a pipe holds: once that is gone, it reads, and waits for the rest
npy "{'descr': '<i4', 'fortran_order': False, 'shape': (200000,), }" '' >&7
head -c 400000 /dev/zero >&7
kill -INT $waiter
wait $waiter
code=$?
exec 7>&-
if [ $code -eq 130 ]; then pass; else fail "exit $code"; fi
holds x.zarr '4 4 4 4 4 4 4 4'

# --- appenders from many processes: each lands somewhere of its own
is 0 "$azr" create log.zarr --shape 0 --chunks 3 --dtype i4
for i in 1 2 3 4 5 6 7 8; do
    "$azr" append log.zarr --npy two.npy >offset.$i 2>>err &
    pids="${pids-} $!"
done
# shellcheck disable=SC2086
wait $pids
step='eight appenders'
cat offset.* | sort -n | tr '\n' ' ' >out
says '0 2 4 6 8 10 12 14 '
is 0 "$azr" info log.zarr --json
json shape '[16]'

# --- --quiet and NO_COLOR: nothing but text in a pipe
is 0 "$azr" status x.zarr
step='no colour in a pipe'
if grep -q "$(printf '\033')" out; then fail 'escape'; else pass; fi
finish
