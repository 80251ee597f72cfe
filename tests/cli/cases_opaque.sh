# SPDX-License-Identifier: Apache-2.0
# Arrays whose codecs azr does not know: what needs no elements works.
. "$(dirname "$0")/lib.sh"

mkdir -p s.zarr/c
cat >s.zarr/zarr.json <<'EOF'
{"zarr_format":3,"node_type":"array","shape":[10],"data_type":"int32",
"chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4]}},
"chunk_key_encoding":{"name":"default"},"fill_value":0,"attributes":{},
"codecs":[{"name":"sharding_indexed","configuration":{}},"of_mine"]}
EOF
printf 'a shard' >s.zarr/c/1

is 0 "$azr" info s.zarr
finds "not readable here: codec 'sharding_indexed'"
finds 'codecs  *sharding_indexed,of_mine'
finds '1 of 3 present'
lacks 'fill value'
is 0 "$azr" info s.zarr --json
json dtype null
json chunks_present 1
is 0 "$azr" tree s.zarr
finds "^s.zarr  (10,), chunks (4,), sharding_indexed,of_mine, elements not readable"
finds '^1 arrays, 0 groups$'
is 0 "$azr" tree s.zarr --json
json
finds '"dtype": null, "opaque": "codec'
is 0 "$azr" status s.zarr
is 0 "$azr" verify s.zarr
is 0 "$azr" recover s.zarr
is 9 "$azr" cat s.zarr
blames sharding_indexed
is 9 "$azr" write s.zarr --value 1
blames sharding_indexed

is 0 "$azr" cp s.zarr t.zarr
is 0 cat t.zarr/c/1
says 'a shard'
is 0 "$azr" mv t.zarr u.zarr
is 0 "$azr" info u.zarr
is 0 "$azr" rm u.zarr
is 10 "$azr" info u.zarr
finish
