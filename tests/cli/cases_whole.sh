# SPDX-License-Identifier: Apache-2.0
# Nodes as wholes: rm, mv, create --overwrite and --exist-ok, recover of what a
# killed removal left.
. "$(dirname "$0")/lib.sh"

gone()
{
    step="gone $1"
    if [ -e "$1" ] || [ -L "$1" ]; then fail "'$1' is there"; else pass; fi
}

there()
{
    step="there $1"
    if [ -e "$1" ]; then pass; else fail "there is no '$1'"; fi
}

make()
{
    is 0 "$azr" create "$1" --shape 6 --chunks 3 --dtype i4 --codec none
    is 0 "$azr" write "$1" --value "$2"
}

# --- rm
make a.zarr 1
is 0 "$azr" rm a.zarr --dry-run
says 'would remove array a.zarr'
there a.zarr
is 0 "$azr" rm a.zarr
says ''
silent
gone a.zarr
gone .azr-trash
is 10 "$azr" rm a.zarr
blames 'a.zarr'

is 0 "$azr" create g --group
is 0 "$azr" rm g
gone g
is 0 "$azr" create g --group
make g/a 1
is 2 "$azr" rm g
blames 'say -r'
is 2 "$azr" rm g --dry-run
blames 'say -r'
is 0 "$azr" rm -r -n g --json
json dry_run true
there g/a
is 0 "$azr" rm -r g --json
json removed true
gone g

mkdir plain
: >plain/file
is 2 "$azr" rm plain
blames 'no Zarr array or group'
is 2 "$azr" rm -r plain
blames 'no Zarr array or group'
is 2 "$azr" rm -n plain
blames 'no Zarr array or group'
there plain/file
make a.zarr 1
ln -s a.zarr link
is 2 "$azr" rm link --force
blames 'symbolic link'
there a.zarr/zarr.json
is 0 "$azr" rm plain --force
gone plain
is 2 "$azr" rm
is 2 "$azr" rm .

# --- mv
make b.zarr 2
is 10 "$azr" mv a.zarr b.zarr
blames 'exists'
is 0 "$azr" create h --group
is 0 "$azr" rm h
is 0 "$azr" create g --group
is 0 "$azr" mv a.zarr g/c --json
json from '"a.zarr"'
gone a.zarr
holds 'g/c[0]' 1
is 2 "$azr" mv g g/below
blames 'below itself'
is 10 "$azr" mv nothing d.zarr
is 9 "$azr" mv g /dev/shm/../../proc/g
blames 'file system'

# --- create --overwrite, --exist-ok
is 10 "$azr" create b.zarr --shape 3 --dtype i4
is 0 "$azr" create b.zarr --shape 3 --dtype i4 --exist-ok
holds 'b.zarr[0]' 2
is 0 "$azr" create b.zarr --shape 3 --dtype i4 --overwrite
holds 'b.zarr[0]' 0
is 0 "$azr" create g --group --overwrite
gone g/c
is 0 "$azr" create g --group --exist-ok
is 2 "$azr" create g --group --exist-ok --overwrite
blames 'exclude'
gone .azr-trash

# --- what a killed removal leaves
make k.zarr 1
mkdir -p .azr-trash/0123.r
mv b.zarr .azr-trash/0123.r/node
is 0 "$azr" recover . --dry-run
there .azr-trash
is 0 "$azr" recover .
gone .azr-trash
is 0 "$azr" tree .

finish
