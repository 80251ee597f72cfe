# SPDX-License-Identifier: Apache-2.0
# OME-Zarr as ome-zarr-py writes it: images in several resolutions, which grow
# together, and keep what says that they belong together.
data=$(dirname "$0")/../interop/data/m-ome-zarr.tar.gz
data=$(cd "${data%/*}" && pwd)/${data##*/}
. "$(dirname "$0")/lib.sh"

tar -xzf "$data" || exit 1

# sum IMAGE LEVEL: of all elements
sum()
{
    "$azr" cat "$1/$2" --format csv | tr ',' '\n' | awk '{ n += $1 } END { print n + 0 }'
}

# same NAME FOUND WANTED
same()
{
    step=$1
    if [ "$2" = "$3" ]; then pass; else fail "$2, not $3"; fi
}

"$azr" create t0 --shape 1,8,8 --dtype u1 && "$azr" write t0 --value 3
"$azr" create t1 --shape 1,4,4 --dtype u1 && "$azr" write t1 --value 3
is 0 "$azr" cat t0 -o t0.npy
is 0 "$azr" cat t1 -o t1.npy

for version in 04 05; do
    image=v$version.ome.zarr
    top=$image/.zattrs
    [ $version = 04 ] || top=$image/zarr.json
    cp $top top-before

    # --- opened, listed, read
    is 0 "$azr" tree $image
    finds 's0  (2, 8, 8) uint8, chunks (1, 4, 8)'
    finds '^5 arrays, 1 groups$'
    is 0 "$azr" attrs $image --json
    finds multiscales
    is 0 "$azr" verify $image
    same "sum of $image" "$(sum $image s0) $(sum $image s1)" '8128 2016'

    # --- the axis of time grows, in two resolutions, as one transaction
    printf 'append %s/s0 --npy t0.npy\nappend %s/s1 --npy t1.npy\n' \
        $image $image >script
    is 0 "$azr" txn script
    is 0 "$azr" info $image/s0 --json
    json shape '[3,8,8]'
    is 0 "$azr" info $image/s1 --json
    json shape '[3,4,4]'
    same "sum of $image, longer" "$(sum $image s0) $(sum $image s1)" '8320 2064'
    is 0 "$azr" verify $image
    same "$top keeps its bytes" "$(cksum <$top)" "$(cksum <top-before)"
done

# --- names of axes: of version 0.5 they stand in each array
is 0 "$azr" cat v05.ome.zarr/s3 --dim t=-1 --dim y=0 --dim x=0
is 0 "$azr" cat v05.ome.zarr/s0 --dim t=2 --dim y=7 --dim x=0:3
says '3 3 3'

# --- copied and moved whole
is 0 "$azr" cp v05.ome.zarr copy.ome.zarr
is 0 "$azr" mv copy.ome.zarr moved.ome.zarr
same 'sum of the copy' "$(sum moved.ome.zarr s0)" 8320

finish
