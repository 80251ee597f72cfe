# SPDX-License-Identifier: Apache-2.0
# Bad input: one line, the documented code, nothing changed.
. "$(dirname "$0")/lib.sh"

is 0 "$azr" create x.zarr --shape 4,6 --chunks 2,2 --dtype i4
is 0 "$azr" write x.zarr --value 1
sum()
{
    find x.zarr -type f ! -path '*/.azr/*' -exec cksum {} + | sort
}
sum >before
unchanged()
{
    sum >after
    if cmp -s before after; then pass; else fail 'the array has changed'; fi
}

# --- paths
is 10 "$azr" info nowhere
is 10 "$azr" info ''
touch file
is 4 "$azr" info file
blames file
is 0 "$azr" info x.zarr///
mkdir dir
is 10 "$azr" info dir
is 10 "$azr" write 'dir[0]' --value 1
step='no half-made array'
if [ -z "$(ls -A dir)" ]; then pass; else fail 'dir is not empty'; fi
long=$(printf '%05000d' 0)
is 4 "$azr" info "$long"
blames ''
ln -s nothing astray
is 2 "$azr" create astray --shape 3 --dtype i1
blames 'leads nowhere'
is 2 "$azr" create astray --group
blames 'leads nowhere'
ln -s loop loop
is 4 "$azr" info loop
bad=$(printf 'a\nb\033[31m')
is 10 "$azr" info "$bad"
blames 'a?b?'
is 10 "$azr" info "$(printf '\377\376.zarr')" --json
json
is 0 "$azr" create '[1].zarr' --shape 2 --dtype u1
is 0 "$azr" create 'odd[1]' --shape 2 --dtype u1
holds 'odd[1]' '0 0'
holds 'odd[1][1]' 0

# --- selections: a usage error with a caret, nothing written
for sel in '::0' '5:3' '::-1' '1:2:3:4' '1.5' 'a' '1,2,3' '٣' '1;2' '[[1]]' \
    '99999999999999999999' ',' '1,,2' '...,...' '0x1' '+1'; do
    is 2 "$azr" write x.zarr "$sel" --value 9
    blames '\^'
    unchanged
done
is 2 "$azr" write x.zarr --1 --value 9
is 2 "$azr" write 'x.zarr[4]' --value 9
blames 'outside'
is 2 "$azr" write x.zarr -- -5 --value 9
is 2 "$azr" cat 'x.zarr[-5]'
is 0 "$azr" cat 'x.zarr[100:]'
says ''
is 0 "$azr" write 'x.zarr[2:2]' --value 9
unchanged
LC_ALL=de_DE.UTF-8
export LC_ALL
is 0 "$azr" cat 'x.zarr[0, 1:3]'
says '1 1'
unset LC_ALL

# --- values that the type cannot hold
is 0 "$azr" create u1.zarr --shape 2 --dtype u1
is 0 "$azr" create f2.zarr --shape 2 --dtype f2
is 0 "$azr" create c8.zarr --shape 2 --dtype c8
is 0 "$azr" create b1.zarr --shape 2 --dtype bool
for v in 256 -1 300 1e2 nan '' ' 1' 1x 0x100 99999999999999999999999; do
    is 2 "$azr" write u1.zarr --value "$v"
    blames 'uint8'
done
is 0 "$azr" write u1.zarr --value 255
holds u1.zarr '255 255'
is 2 "$azr" write x.zarr --value nan
blames 'int32'
is 2 "$azr" write x.zarr --value 2147483648
is 2 "$azr" write x.zarr --value -2147483649
unchanged
is 2 "$azr" write f2.zarr --value 65520
blames range
is 0 "$azr" write f2.zarr --value 65519
holds f2.zarr '65504 65504'
is 0 "$azr" write f2.zarr --value 6e-8
holds f2.zarr '5.96e-08 5.96e-08'
is 0 "$azr" write f2.zarr --value 0.1
holds f2.zarr '0.1 0.1'
is 0 "$azr" write f2.zarr --value -inf
is 0 "$azr" cat f2.zarr --json
json data '["-Infinity","-Infinity"]'
is 0 "$azr" write c8.zarr --value 1-2.5j
holds c8.zarr '1-2.5j 1-2.5j'
is 0 "$azr" cat c8.zarr --json
json data '[[1,-2.5],[1,-2.5]]'
is 0 "$azr" write c8.zarr --value '(nan+0.1j)'
holds c8.zarr 'nan+0.1j nan+0.1j'
for v in 1+2 1+j '(1+2j' 1+2jj; do
    is 2 "$azr" write c8.zarr --value "$v"
done
is 2 "$azr" write b1.zarr --value 2
is 0 "$azr" write 'b1.zarr[1]' --value true
holds b1.zarr 'false true'

# --- files: too short, too long, another type, another shape
row="{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }"
good='\001\000\000\000\002\000\000\000'
npy "$row" "$good" >good.npy
npy "$row" '\001\000\000\000\002\000\000' >short.npy
npy "$row" "$good\\000" >long.npy
npy "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" "$good" >f4.npy
npy "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }" "$good" \
    >row.npy
for f in short long f4 row; do
    is 2 "$azr" write 'x.zarr[0, :2]' --npy $f.npy
    blames 'nothing written'
    unchanged
done
is 2 "$azr" write 'x.zarr[0, :3]' --npy good.npy
blames '8 bytes.*12 bytes'
printf 1234567 >raw
is 2 "$azr" write 'x.zarr[0, :2]' --raw raw
blames '7 of 8 bytes'
printf 123456789 >raw
is 2 "$azr" write 'x.zarr[0, :2]' --raw raw
is 2 "$azr" write 'x.zarr[0, :2]' </dev/null
blames 'standard input'
is 10 "$azr" write 'x.zarr[0, :2]' --npy nowhere.npy
is 4 "$azr" write 'x.zarr[0, :2]' --npy dir
is 2 "$azr" write x.zarr --value 1 --npy good.npy
unchanged

# --- .npy headers that lie
hostile()
{
    npy "$1" "$good" >h.npy
    is 2 "$azr" write 'x.zarr[0, :2]' --npy h.npy
    blames 'h.npy'
}
hostile ''
hostile '{'
hostile '{}'
hostile "{'descr': '<i4', 'fortran_order': False}"
hostile "{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2,)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'x': 1}"
hostile "{'descr': '<i4', 'fortran_order': 0, 'shape': (2,)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (2)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (-2,)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (2,) } + 1"
hostile "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"
hostile "{'descr': '<U4', 'fortran_order': False, 'shape': (2,)}"
hostile "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (9223372036854775808,)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904,)}"
hostile "{'descr': '<i4\\n', 'fortran_order': False, 'shape': (2,)}"
hostile "{'descr': i4, 'fortran_order': False, 'shape': (2,)}"
deep=$(printf '%040d' 0 | sed 's/0/1, /g')
hostile "{'descr': '<i4', 'fortran_order': False, 'shape': ($deep)}"
printf '\223NUMPY\004\000\001\000{' >h.npy
is 2 "$azr" write 'x.zarr[0, :2]' --npy h.npy
printf '\223NUMPY\002\000\377\377\377\377{' >h.npy
is 2 "$azr" write 'x.zarr[0, :2]' --npy h.npy
blames 'at most'
printf 'PK\003\004not numpy' >h.npy
is 2 "$azr" write 'x.zarr[0, :2]' --npy h.npy
blames 'no .npy'
unchanged
is 0 "$azr" write 'x.zarr[0, :2]' --npy good.npy
holds 'x.zarr[0]' '1 2 1 1 1 1'

# --- options
is 2 "$azr" cat x.zarr --timeout soon
is 2 "$azr" cat x.zarr --timeout -1
is 2 "$azr" cat x.zarr -j many
is 2 "$azr" cat x.zarr -j 99999
is 2 "$azr" cat x.zarr --memory 1Q
is 2 "$azr" cat x.zarr --memory
is 2 "$azr" cat x.zarr --json=yes
is 0 "$azr" cat 'x.zarr[0, 0]' --timeout=0.5 -j2 --memory=1M
finish
