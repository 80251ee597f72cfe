# SPDX-License-Identifier: Apache-2.0
# Groups: create, tree, info, attrs, consolidate; status, verify and recover of
# whole trees.
. "$(dirname "$0")/lib.sh"

# --- both formats
for format in 2 3; do
    r=r$format.zarr
    is 0 "$azr" create $r --group --format $format --attrs '{"title": "t"}'
    says ''
    is 10 "$azr" create $r --group
    blames 'exists'
    is 10 "$azr" create $r --shape 1 --dtype i1
    blames 'exists'
    is 0 "$azr" create $r/g --group --format $format
    is 0 "$azr" create $r/a --shape 6,4 --chunks 3,4 --dtype f4 \
        --format $format --codec none
    is 0 "$azr" create $r/g/b --shape 5 --dtype i2 --format $format
    is 0 "$azr" write $r/a --value 1

    # --- tree
    is 0 "$azr" tree $r
    finds "^$r  group, Zarr format $format\$"
    finds '^├── a  (6, 4) float32, chunks (3, 4), bytes$'
    finds '^└── g  group$'
    finds '^    └── b  (5,) int16, chunks (5,), '
    finds '^2 arrays, 2 groups$'
    lacks "$(printf '\033')"
    silent
    is 0 "$azr" tree $r --json
    json path "\"$r\""
    is 0 "$azr" tree $r --depth 1
    lacks ' b '
    is 0 "$azr" tree $r/a
    finds '^1 arrays, 0 groups$'

    # --- info, attrs
    is 0 "$azr" info $r
    finds "^Zarr format   $format, a group\$"
    finds '^holds         1 arrays, 1 groups$'
    is 0 "$azr" info $r --json
    json kind '"group"'
    is 0 "$azr" info $r/a --json
    json kind '"array"'
    is 0 "$azr" attrs $r --set 'n=[1]' --delete title
    is 0 "$azr" attrs $r --json
    json path "\"$r\""
    finds '"n": \[1\]'
    lacks title
    is 2 "$azr" attrs $r --durability power
    blames 'is a group'
    is 2 "$azr" attrs $r --set n=x
    blames 'quotes'

    # --- consolidated: fresh, kept fresh by us, then stale member by member
    is 0 "$azr" consolidate $r
    says ''
    is 0 "$azr" info $r
    finds '^consolidated  yes$'
    is 0 "$azr" tree $r
    lacks stale
    is 0 "$azr" verify $r
    finds '0 errors'
    copy=$r/zarr.json
    [ $format = 3 ] || copy=$r/.zmetadata
    cp $copy copy-of-before
    is 0 "$azr" attrs $r/g/b --set u=1
    is 0 "$azr" create $r/c --group --format $format
    is 0 "$azr" tree $r
    lacks stale
    is 0 "$azr" verify $r
    is 0 "$azr" attrs $r/a --set v=1 --leave-stale
    is 1 "$azr" verify $r
    finds "^error .*stale .* a.* has changed since it was consolidated\$"
    cp copy-of-before $copy
    is 0 "$azr" attrs $r/a --delete v
    is 1 "$azr" tree $r
    finds "^stale: $r: .* g/b.* has changed since it was consolidated\$"
    finds "^stale: $r: .* c.* is not in the consolidated metadata\$"
    is 1 "$azr" verify $r --json
    json errors 2
    finds '"kind": "stale"'
    is 0 "$azr" consolidate $r --json
    json consolidated true
    is 0 "$azr" verify $r
    # … and what one transaction makes and grows in several of them
    printf '%s\n' "create $r/t --shape 2 --chunks 2 --dtype i1 --format $format" \
        "resize $r/a 7,4" "resize $r/t 3" \
        "attrs $r/t --set u=1" >script
    is 0 "$azr" txn script
    is 0 "$azr" verify $r
    is 0 "$azr" tree $r
    lacks stale
    is 0 "$azr" rm $r/t
    # moved, copied, replaced and removed nodes too, whole trees as well
    is 0 "$azr" mv $r/g $r/h
    is 0 "$azr" verify $r
    is 0 "$azr" cp $r/h $r/g
    is 0 "$azr" verify $r
    is 0 "$azr" create $r/h --group --format $format --overwrite
    is 0 "$azr" verify $r
    is 0 "$azr" rm -r $r/h
    is 0 "$azr" verify $r
    is 0 "$azr" tree $r
    lacks stale
    is 0 "$azr" mv $r/g $r/h --leave-stale
    is 1 "$azr" verify $r
    is 0 "$azr" mv $r/h $r/g --leave-stale
    is 0 "$azr" verify $r
    rm -r $r/c
    is 1 "$azr" verify $r
    finds ' c.* is consolidated, but not there'
    is 0 "$azr" consolidate $r
done

# --- names of dimensions
for format in 2 3; do
    n=n$format.zarr
    is 0 "$azr" create $n --shape 4,3 --dtype i1 --dims time,x --format $format
    is 0 "$azr" info $n
    finds '^dimensions    time, x$'
    is 0 "$azr" info $n --json
    json dimension_names '["time","x"]'
    is 0 "$azr" write $n --dim time=1:3 --dim x=0 --value 5
    holds $n '0 0 0
5 0 0
5 0 0
0 0 0'
    is 0 "$azr" cat $n --dim x=0
    says '0 5 5 0'
    is 0 "$azr" cat $n -d time=-2
    says '5 0 0'
    is 2 "$azr" cat $n --dim y=0
    blames 'no dimension has this name'
    is 2 "$azr" cat $n --dim x=0 --dim x=1
    blames 'twice'
    is 2 "$azr" cat $n --dim x=0,1
    blames 'NAME=SLICE'
    is 2 "$azr" cat $n --dim x
    is 2 "$azr" cat $n --dim x=a
    is 2 "$azr" cat "$n[0]" --dim x=0
    blames 'not both'
    is 2 "$azr" write $n --dim time=9 --value 1
done
is 0 "$azr" info r3.zarr/a --json
json dimension_names null

# --- what is no group
is 2 "$azr" create x.zarr --group --shape 3
blames 'alone'
is 10 "$azr" tree none
blames 'no such directory'
mkdir empty
is 10 "$azr" info empty
is 10 "$azr" consolidate empty
blames 'no Zarr group'
is 10 "$azr" consolidate r3.zarr/a
blames 'is an array'

# --- trees with plain directories, links, and what cannot be read
mkdir -p top/plain/empty top/broken top/.hidden
mv r2.zarr r3.zarr top/plain
ln -s .. top/plain/loop
echo '{"zarr_format": 3' >top/broken/zarr.json
is 1 "$azr" tree top
finds '^├── broken  error: '
finds '^└── plain$'
finds '^4 arrays, 4 groups, 1 cannot be read$'
lacks loop
lacks empty
lacks hidden
is 1 "$azr" tree top --json
json
is 5 "$azr" status top
finds '^5 arrays, 0 with open transactions$'
blames 'broken'
rm -r top/broken
is 0 "$azr" status top
says '4 arrays, 0 with open transactions'
is 0 "$azr" status top --json
json arrays 4
is 0 "$azr" recover top
finds '^together: 0 rolled forward'
is 0 "$azr" recover top --json
json failed 0

# --- recover makes no `.azr`, verify goes through all arrays
rm -r top/plain/r3.zarr/g/b/.azr
is 0 "$azr" recover top
if [ ! -e top/plain/r3.zarr/g/b/.azr ]; then pass; else fail "made .azr"; fi
printf 'abc' >top/plain/r3.zarr/a/c/1/0
is 1 "$azr" verify top
finds '^error .*plain/r3.zarr/a/c/1/0'
finds '1 errors'

finish
