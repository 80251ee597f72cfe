# SPDX-License-Identifier: Apache-2.0
# cp: arrays and groups, whole or not at all; snapshots in status.
. "$(dirname "$0")/lib.sh"

hidden()
{
    step="hidden directories"
    if [ -z "$(find . -name '.azr-new-*')" ]; then pass; else fail "one is left"; fi
}

same()
{
    step="diff $1 $2"
    diff -r -x .azr "$1" "$2" >out 2>err
    if [ $? -eq 0 ]; then pass; else fail "they differ"; fi
}

# --- an array, both formats, all members byte for byte
for format in 2 3; do
    is 0 "$azr" create a$format --shape 6,4 --chunks 3,2 --dtype i4 \
        --format $format --codec none --attrs '{"x":  1.50, "y": [ ]}'
    is 0 "$azr" write "a$format[0:4]" --value 7
    is 0 "$azr" cp a$format b$format
    says ''
    silent
    same a$format b$format
    is 0 "$azr" write a$format --value 9
    holds "b$format[3:5,0]" '7 0'
    is 0 "$azr" verify b$format
    hidden
done

# --- a group, with what is below
is 0 "$azr" create g --group --attrs '{"t":  1.0}'
is 0 "$azr" create g/s --group
is 0 "$azr" create g/s/p --shape 5 --chunks 2 --dtype u1
is 0 "$azr" attrs g/s/p --durability power
is 0 "$azr" write g/s/p --value 3
is 0 "$azr" create g/q --shape 0 --chunks 2 --dtype f8
is 0 "$azr" consolidate g
mkdir -p g/deep/er
is 0 "$azr" create g/deep/er/z --shape 4 --chunks 2 --dtype i2
is 0 "$azr" cp g h/ --json
json arrays 3
json groups 2
json chunks 3
json one_instant true
rmdir h/none 2>/dev/null
same g h
is 0 "$azr" info h/s/p --json
json durability '"power"'
is 0 "$azr" tree h --json
json path '"h"'
is 0 "$azr" cp g g/inside
is 0 "$azr" info g/inside/s/p
hidden

# --- refused, and nothing is made
is 10 "$azr" cp g h
blames "'h' exists"
: >file
is 10 "$azr" cp g file
blames 'exists'
is 10 "$azr" cp nowhere x
blames 'no such directory'
is 10 "$azr" cp . x
blames 'no Zarr array or group'
is 10 "$azr" cp g no/such/x
blames 'no such directory'
is 2 "$azr" cp g a3/x
blames 'nothing stands below an array'
is 2 "$azr" cp g .azr-x
blames 'kept for other uses'
is 2 "$azr" cp g ..
blames 'no name'
is 2 "$azr" cp g
is 2 "$azr" cp g x y
mkdir bad && cp -r g bad/g
echo '{' >bad/g/q/zarr.json
is 5 "$azr" cp bad/g x
blames 'g/q'
step="x"
if [ ! -e x ]; then pass; else fail "x is there"; fi
hidden

# --- interrupted: nothing; killed: what is hidden goes with the next one
is 0 "$azr" create many --shape 20000 --chunks 1 --dtype u1 --codec none
is 0 "$azr" write many --value 1
for how in TERM KILL; do
    "$azr" cp many y >out 2>err &
    pid=$!
    until [ -n "$(find . -maxdepth 1 -name '.azr-new-*')" ] ||
        ! kill -0 $pid 2>/dev/null; do :; done
    kill -$how $pid 2>/dev/null
    wait $pid 2>/dev/null
    got=$?
    step="cp and SIG$how"
    case $how$got in
        TERM143 | KILL137) pass ;;
        *) fail "exit $got" ;;
    esac
    if [ ! -e y ]; then pass; else fail "y is there"; fi
    [ $how = KILL ] || hidden
done
is 0 "$azr" cp a3 z
hidden
is 0 "$azr" recover many
step="snapshots of the killed"
if [ -z "$(ls many/.azr/snap 2>/dev/null)" ]; then pass; else fail "one is left"; fi

# --- status tells of a snapshot that nobody holds any more
mkdir -p many/.azr/snap/0123456789abcdef0123456789abcdef # or killed too soon for it
echo '4711 0 1000000000 host' \
    >many/.azr/snap/0123456789abcdef0123456789abcdef/.azr-owner
printf 12345 >many/.azr/snap/0123456789abcdef0123456789abcdef/c
is 0 "$azr" status many
step="status"
if grep -q '^snapshot 01234567  dead .*host pid 4711.* 5 B' out; then pass; else
    fail "the snapshot is not told"
fi
is 0 "$azr" status many --json
if grep -q '"kept_bytes": 5' out; then pass; else fail "JSON lacks it"; fi
rm -r bad
is 0 "$azr" status . --json
if grep -q '"array": "many", "id"' out; then pass; else fail "JSON lacks it"; fi
is 0 "$azr" write 'many[0]' --value 2
is 0 "$azr" status many
says 'no transaction is open'

finish
