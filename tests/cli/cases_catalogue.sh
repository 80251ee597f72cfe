# SPDX-License-Identifier: Apache-2.0
# Nasty inputs: metadata and chunks as no honest program writes them. Each is
# refused by its documented code and one line that says where and what, or works
# as documented; and nothing has changed. The numbers are those of
# docs/reliability/catalogue.md.
. "$(dirname "$0")/lib.sh"

# sums DIR: what is stored, without our own records
sums()
{
    find "$1" -type f ! -path '*/.azr/*' -exec cksum {} + 2>/dev/null | sort
}

# refused CODE PATTERN DIR: reading says so; writing says so, and changes nothing
refused()
{
    sums "$3" >before
    is "$1" timeout 60 "$azr" cat "$3"
    blames "$2"
    timeout 60 "$azr" write "$3" --value 2 >out 2>err
    code=$?
    step="write $3"
    if [ $code -ne 0 ]; then pass; else fail 'it was written'; fi
    sums "$3" >after
    if cmp -s before after; then pass; else fail "$3 has changed"; fi
}

# fresh: x.zarr as e.zarr, edited FROM TO
is 0 "$azr" create x.zarr --shape 4,6 --chunks 2,2 --dtype i4 --codec none
is 0 "$azr" write x.zarr --value 1
tr -d '\n ' <x.zarr/zarr.json >flat && mv flat x.zarr/zarr.json
fresh()
{
    rm -rf e.zarr
    cp -R x.zarr e.zarr
}
edited()
{
    fresh
    sed "s~$1~$2~" x.zarr/zarr.json >e.zarr/zarr.json
    step="edit $1"
    if cmp -s x.zarr/zarr.json e.zarr/zarr.json; then fail 'no change'; fi
}
is 0 "$azr" create z.zarr --format 2 --shape 4 --chunks 2 --dtype i4 \
    --codec none
is 0 "$azr" write z.zarr --value 5
tr -d '\n ' <z.zarr/.zarray >zarray
zedited()
{
    sed "s~$1~$2~" zarray >z.zarr/.zarray
    step="edit $1"
    if cmp -s zarray z.zarr/.zarray; then fail 'no change'; fi
}

# --- 1 a document that is empty, cut, or NULs
fresh
: >e.zarr/zarr.json
refused 5 'zarr.json: byte 0: expected a value, found the end' e.zarr
is 10 "$azr" create e.zarr --shape 2 --dtype i1
head -c 40 x.zarr/zarr.json >e.zarr/zarr.json
refused 5 'zarr.json: byte 40: ' e.zarr
head -c 400 /dev/zero >e.zarr/zarr.json
refused 5 'zarr.json: byte 0: expected a value, found 0x00' e.zarr
: >z.zarr/.zarray
refused 5 '.zarray: byte 0: ' z.zarr
cp zarray z.zarr/.zarray

# --- 2 documents of both versions
fresh
cp zarray e.zarr/.zarray
is 0 "$azr" info e.zarr --json
json zarr_format 3
is 9 "$azr" write e.zarr --value 3
blames 'has zarr.json and .zarray; remove one'

# --- 3 a document that is deep
edited '"attributes":{}' '"attributes":{"a":DEEP}'
awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "[" }' >deep
awk '{ at = index($0, "DEEP"); printf "%s", substr($0, 1, at - 1)
    while ((getline line <"deep") > 0) printf "%s", line
    printf "%s", substr($0, at + 4) }' e.zarr/zarr.json >flat
mv flat e.zarr/zarr.json
refused 5 'nested deeper than 64 levels' e.zarr

# --- 4 JSON that is nearly JSON
edited '"attributes":{}' '"attributes":{"a":1,}'
refused 5 "expected a member name, found '}'" e.zarr
edited '"attributes":{}' '"attributes":{"a":NaN,"a":Infinity}'
is 0 "$azr" attrs e.zarr --set b=1
step='attributes survive a rewrite verbatim'
: >out
if grep -q '"a": *NaN' e.zarr/zarr.json; then pass; else fail 'a is gone'; fi

# --- 5 shapes that are none
for shape in 9223372036854775808 1e30 -1 3.5 '"10"' null; do
    edited '"shape":\[4,6\]' "\"shape\":[$shape,6]"
    refused 5 'shape\[0\] is .*, need an integer from 0 to 2^63-1' e.zarr
done
edited '"shape":\[4,6\]' '"shape":[9223372036854775807,9223372036854775807]'
refused 5 'shape holds 2^64 elements or more' e.zarr

# --- 6 ranks that differ
edited '"shape":\[4,6\]' '"shape":[4,6,8]'
refused 5 'chunk_shape has 2 dimensions, shape has 3' e.zarr
edited '"shape":\[4,6\]' '"shape":[]'
refused 5 'chunk_shape has 2 dimensions, shape has 0' e.zarr
is 0 "$azr" create scalar.zarr --shape '' --dtype i4
is 0 "$azr" write scalar.zarr --value 3
holds scalar.zarr 3

# --- 7 nothing: a length of 0, an empty selection, chunks of 0
edited '"shape":\[4,6\]' '"shape":[0,6]'
is 0 "$azr" cat e.zarr
edited '"chunk_shape":\[2,2\]' '"chunk_shape":[0,2]'
refused 5 'chunk length 0 in dimension 0, need 1 or more' e.zarr
zedited '"chunks":\[2\]' '"chunks":[0]'
refused 5 'chunk length 0 in dimension 0' z.zarr

# --- 8 a chunk of 8 TiB
edited '"chunk_shape":\[2,2\]' '"chunk_shape":[1099511627776,2]'
is 0 "$azr" info e.zarr
refused 5 "chunk 'c/0/[01]': 16 bytes, need 8796093022208" e.zarr

# --- 9 what must be understood, and is not
edited '"name":"bytes"' '"name":"mystery"'
refused 9 "codec 'mystery' is not supported" e.zarr
edited '"storage_transformers":\[\]' '"storage_transformers":[{"name":"t"}]'
refused 9 'storage transformer "t" is not supported' e.zarr
edited '"node_type"' '"future":{"must_understand":true},"node_type"'
refused 9 'member "future" must be understood' e.zarr
edited '"node_type"' '"future":{"must_understand":false},"node_type"'
is 0 "$azr" attrs e.zarr --set b=1
step='an unknown member survives a rewrite'
: >out
if grep -q '"future"' e.zarr/zarr.json; then pass; else fail 'it is gone'; fi
edited int32 int13
refused 9 'data_type "int13" is not supported' e.zarr

# --- 10 pickle among the filters, first or second
zedited '"filters":null' '"filters":[{"id":"pickle"}]'
refused 9 'codec "pickle" is refused' z.zarr
zedited '"filters":null' \
    '"filters":[{"id":"delta","dtype":"<i4"},{"id":"pickle"}]'
refused 9 'codec "pickle" is refused' z.zarr

# --- 11 fill values that the type cannot hold
for fill in 1e99 '"0x00000001"' '"AAAA"' true; do
    edited '"fill_value":0,' "\"fill_value\":$fill,"
    refused 5 'fill value .* of int32: need an integer' e.zarr
done
edited '"fill_value":0,' '"fill_value":null,'
refused 5 'fill value null of int32' e.zarr
edited '"fill_value":0,' ''
refused 5 'fill_value is missing' e.zarr

# --- 12 byte orders and types
edited '"endian":"little"' '"endian":"middle"'
refused 5 'zarr.json: bytes: endian is "middle", need little, big' e.zarr
edited ',"configuration":{"endian":"little"}' ''
refused 5 'endian is missing' e.zarr
zedited '"<i4"' '">i4"'
holds z.zarr '83886080 83886080 83886080 83886080'
for type in '|i4' i4; do
    zedited '"<i4"' "\"$type\""
    refused 5 'need its byte order in front' z.zarr
done
for type in '|V0' '<U0' '|O'; do
    zedited '"<i4"' "\"$type\""
    refused 9 "dtype \"$type\" is not supported" z.zarr
done
zedited '"<i4"' '[["a","<i4"]]'
refused 9 'structured dtype' z.zarr
cp zarray z.zarr/.zarray

# --- 13 keys that are none: listed, and not read
fresh
mkdir e.zarr/c/00
for key in c/00/0 c/1e1 c/0/9 c/0/-1; do
    echo 123456789012345 >e.zarr/$key
done
is 0 "$azr" verify e.zarr
for key in c/00/0 c/1e1 c/0/9 c/0/-1; do
    finds "$key.*not a chunk of this array"
done
is 0 "$azr" cat e.zarr
step='what is read is what was written'
if grep -q '[02-9]' out; then fail 'a stray file was read'; else pass; fi

# --- 14 names
is 0 "$azr" create g --group
is 4 "$azr" create "g/$(printf '%0300d' 0)" --group
blames 'File name too long'
is 4 "$azr" create g/nowhere/b --group
blames 'No such file or directory$'
step='no half-made directory'
: >out
if [ "$(ls -A g)" = zarr.json ]; then pass; else fail "$(ls -A g)"; fi

# --- 16 chunks that are too short, too long, or no files
fresh
cp e.zarr/c/0/0 chunk
head -c 15 chunk >e.zarr/c/0/0
is 5 "$azr" cat e.zarr
blames "chunk 'c/0/0': 15 bytes, need 16"
is 1 "$azr" verify e.zarr
finds "c/0/0.*15 bytes, need 16"
{ cat chunk; echo; } >e.zarr/c/0/0
is 5 "$azr" cat e.zarr
blames "chunk 'c/0/0': 17 bytes, need 16"
: >e.zarr/c/0/0
is 5 "$azr" cat e.zarr
blames "chunk 'c/0/0': 0 bytes, need 16"
rm e.zarr/c/0/0
mkdir e.zarr/c/0/0
is 5 "$azr" cat e.zarr
blames "'c/0/0' is not a regular file"
rmdir e.zarr/c/0/0
mkfifo e.zarr/c/0/0
is 5 timeout 60 "$azr" cat e.zarr
blames "'c/0/0' is not a regular file"

# --- 17 a checksum that is wrong
is 0 "$azr" create crc.zarr --shape 8 --chunks 4 --dtype i4 --codec crc32c
is 0 "$azr" write crc.zarr --value 7
printf x | dd of=crc.zarr/c/1 bs=1 seek=3 conv=notrunc 2>/dev/null
is 5 "$azr" cat crc.zarr
blames "c/1.*crc32c: stored [0-9a-f]*, computed"
holds 'crc.zarr[:4]' '7 7 7 7'

# --- 18 streams that are larger than they may be
is 0 "$azr" create gz.zarr --shape 8 --chunks 4 --dtype i4 --codec gzip:6
is 0 "$azr" write gz.zarr --value 7
head -c 50000000 /dev/zero | gzip -9 >gz.zarr/c/0
is 5 "$azr" cat gz.zarr
blames "c/0.*gzip"
holds 'gz.zarr[4:]' '7 7 7 7'

# --- 20 shards: not in this release
edited '{"name":"bytes","configuration":{"endian":"little"}}' \
    '{"name":"sharding_indexed","configuration":{}}'
refused 9 "codec 'sharding_indexed' is not supported" e.zarr

# --- 21 a transposition that is none
edited '{"name":"bytes"' \
    '{"name":"transpose","configuration":{"order":[0,0]}},{"name":"bytes"'
refused 5 'need a permutation of 2 axes' e.zarr

# --- 23 a sparse chunk of 1 TiB
fresh
rm e.zarr/c/0/0
if truncate -s 1T e.zarr/c/0/0 2>/dev/null; then
    is 5 timeout 60 "$azr" cat e.zarr
    blames "chunk 'c/0/0': 1099511627776 bytes, need 16"
fi
rm -rf e.zarr

# --- 31 state: a link to somebody else's file, a directory
fresh
cp /etc/passwd theirs
rm e.zarr/.azr/state
ln -s ../../theirs e.zarr/.azr/state
"$azr" write e.zarr --value 2 >out 2>err
step='a link is not followed'
if cmp -s theirs /etc/passwd; then pass; else fail 'it was written to'; fi

# --- 44 half of a copy
fresh
rm -r e.zarr/c/1
is 0 "$azr" verify e.zarr
fresh
head -c 9 chunk >e.zarr/c/1/2
is 1 "$azr" verify e.zarr
finds "c/1/2.*9 bytes, need 16"
finish
