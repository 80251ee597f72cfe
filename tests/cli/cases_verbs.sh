# SPDX-License-Identifier: Apache-2.0
# Each verb does what its help says.
. "$(dirname "$0")/lib.sh"

# --- the first minute
is 0 "$azr" create x.zarr --shape 12 --chunks 4 --dtype i4
says ''
is 0 "$azr" write 'x.zarr[2:6]' --value 8
is 0 "$azr" cat 'x.zarr[:]'
says '0 0 8 8 8 8 0 0 0 0 0 0'
silent
is 0 "$azr" cat x.zarr '2:7:2'
says '8 8 0'
holds x.zarr/ '0 0 8 8 8 8 0 0 0 0 0 0'
is 0 "$azr" cat x.zarr -10:-7
says '8 8 8'
is 0 "$azr" cat x.zarr -8
says 8

# --- help
for verb in create info tree consolidate cat write append resize rm mv attrs txn \
    status verify recover \
    doctor help explain completion version; do
    is 0 "$azr" $verb --help
    step="$verb --help"
    if grep -q "^usage: azr $verb" out; then pass; else fail "no usage"; fi
    is 0 "$azr" help $verb
done
is 0 "$azr" help
is 0 "$azr" --help
is 0 "$azr" --version
is 2 "$azr"
is 2 "$azr" nonsense
blames 'no verb nonsense'
is 2 "$azr" info x.zarr --nonsense
blames 'no option --nonsense'
is 2 "$azr" info
is 2 "$azr" info a b c
is 0 "$azr" version --json
json
is 0 "$azr" help --json
json

# --- create
is 10 "$azr" create x.zarr --shape 3 --dtype u1
blames 'exists'
is 2 "$azr" create y.zarr --dtype u1
is 2 "$azr" create y.zarr --shape 3 --dtype banana
blames banana
is 2 "$azr" create y.zarr --shape 3,4 --chunks 3 --dtype u1
blames dimensions
is 2 "$azr" create y.zarr --shape 3,-4 --dtype u1
is 2 "$azr" create y.zarr --shape 3 --dtype u1 --fill 300
blames 'does not fit uint8: 0 to 255'
is 2 "$azr" create y.zarr --shape 3 --dtype u1 --format 4
is 2 "$azr" create y.zarr --shape 3 --dtype u1 --dims a,b
is 2 "$azr" create y.zarr --shape 3 --dtype u1 --attrs '{broken'
is 2 "$azr" create y.zarr --shape 3 --dtype u1 --codec zstd:banana
step='refused arrays leave nothing behind'
if [ ! -e y.zarr ]; then pass; else fail 'y.zarr is there'; fi
is 0 "$azr" create v2.zarr --format 2 --shape 2x3 --chunks 1x2 --dtype '>f8' \
    --fill nan --order F --separator / --codec zlib --attrs '{"a": [1, 2]}' --json
json shape '[2,3]'
is 0 "$azr" info v2.zarr --json
json fill_value '"NaN"'
is 0 "$azr" info v2.zarr --json
json byte_order '"big"'
is 0 "$azr" create negative.zarr --shape 3 --dtype f4 --fill -0.0
is 0 "$azr" info negative.zarr --json
finds '"fill_value": -0.0,'
is 0 "$azr" attrs v2.zarr --json
json attributes '{"a":[1,2]}'
is 0 "$azr" create scalar.zarr --shape '' --dtype f4
is 0 "$azr" write scalar.zarr --value 2.5
holds scalar.zarr 2.5

# --- info
is 0 "$azr" info x.zarr
step='info x.zarr'
if grep -q '(12,)' out && grep -q '2 of 3 present' out; then
    pass
else
    fail 'shape and chunks'
fi
is 0 "$azr" info x.zarr --json
json chunks_present 2
is 0 "$azr" info x.zarr --json
json transactions_open 0

# --- cat
is 0 "$azr" write 'v2.zarr[0]' --value -0.1
holds v2.zarr '-0.1 -0.1 -0.1
nan nan nan'
is 0 "$azr" cat v2.zarr --format csv
says '-0.1,-0.1,-0.1
nan,nan,nan'
is 0 "$azr" cat v2.zarr --json
json data '[[-0.1,-0.1,-0.1],["NaN","NaN","NaN"]]'
is 0 "$azr" cat 'x.zarr[7:7]' --json
json data '[]'
is 2 "$azr" cat x.zarr --format banana
is 0 "$azr" cat 'x.zarr[2:4]' --format raw
step='cat --format raw'
if [ "$(wc -c <out)" -eq 8 ]; then pass; else fail 'not 8 bytes'; fi
is 0 "$azr" cat x.zarr -o x.npy
is 10 "$azr" cat x.zarr -o x.npy
blames force
is 0 "$azr" cat 'x.zarr[2:6]' -o x.npy --force
step='cat -o leaves no part'
if [ -z "$(ls | grep part)" ]; then pass; else fail 'a part file is there'; fi
is 4 "$azr" cat x.zarr --memory 16
blames '48 bytes'

# --- write: .npy there and back, byte order, Fortran order, raw
is 0 "$azr" write 'x.zarr[8:12]' --npy x.npy
holds x.zarr '0 0 8 8 8 8 0 0 8 8 8 8'
is 0 sh -c "'$azr' cat 'x.zarr[0:4]' --format npy | '$azr' write 'x.zarr[4:8]' --json"
json elements 4
holds x.zarr '0 0 8 8 0 0 8 8 8 8 8 8'
is 0 "$azr" create m.zarr --shape 2,3 --chunks 2,2 --dtype i2
npy "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }" \
    '\000\001\000\004\000\002\000\005\000\003\377\372' >f.npy
is 0 "$azr" write m.zarr --npy f.npy
holds m.zarr '1 2 3
4 5 -6'
printf '\007\000\010\000' >raw
is 0 "$azr" write 'm.zarr[1, :2]' --raw raw
holds m.zarr '1 2 3
7 8 -6'

# --- append
is 0 "$azr" append x.zarr --npy x.npy
says 12
is 0 "$azr" append x.zarr --json <x.npy
json offset 16
holds 'x.zarr[11:]' '8 8 8 8 8 8 8 8 8'
is 2 "$azr" append x.zarr --axis 1 --npy x.npy
npy "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }" \
    '\011\000\012\000' >col.npy
is 0 "$azr" append m.zarr --axis 1 --npy col.npy
says 3
holds m.zarr '1 2 3 9
7 8 -6 10'
is 2 "$azr" append m.zarr --npy col.npy
blames 'shape'

# --- resize
is 2 "$azr" resize x.zarr 10
blames force
is 0 "$azr" resize x.zarr 4 --force
is 0 "$azr" resize x.zarr 6
holds x.zarr '0 0 8 8 0 0'
is 2 "$azr" resize x.zarr 6,6
is 2 "$azr" resize x.zarr six
is 0 "$azr" resize x.zarr 12 --json
json shape '[12]'

# --- txn
cat >script <<'EOF'
# data and its coordinate
create d.zarr --shape 3 --chunks 2 --dtype i4 --attrs '{"unit": "m"}'
azr create "the time.zarr" --shape 0 --chunks 2 --dtype i4

write 'd.zarr[1:]' --value 5
append 'the time.zarr' --npy x.npy
resize d.zarr 5
cat d.zarr
attrs d.zarr --set 'made="by txn"'
EOF
is 0 "$azr" txn script
says '0
0 5 5 0 0'
holds d.zarr '0 5 5 0 0'
holds 'the time.zarr' '8 8 8 8'
is 0 "$azr" attrs d.zarr --json
json attributes '{"unit":"m","made":"by txn"}'
printf 'write d.zarr --value 9\ncat d.zarr\n\nwrite d.zarr[7] --value 9\n' >bad
is 2 "$azr" txn bad
says ''
blames 'bad:4: '
holds d.zarr '0 5 5 0 0'
printf 'write d.zarr --value 9\nresize d.zarr 2\n' >bad
is 2 "$azr" txn bad
blames 'bad:2: '
printf 'write d.zarr --value 9\nwrite none.zarr --value 9\n' >bad
is 10 "$azr" txn bad
blames 'bad:2: '
printf 'create new.zarr --shape 3 --dtype i4\ncreate d.zarr --shape 3 --dtype i4\n' >bad
is 10 "$azr" txn bad
is 10 "$azr" info new.zarr
is 0 "$azr" create new.zarr --shape 3,3 --dtype i1
for line in 'info d.zarr' 'write d.zarr --npy -' "cat 'd.zarr" \
    'attrs d.zarr' 'attrs d.zarr --durability power' \
    'create g --group' 'write d.zarr --value 9 --nonsense'; do
    printf 'write d.zarr --value 9\n%s\n' "$line" >bad
    is 2 "$azr" txn bad
    blames 'bad:2: '
done
holds d.zarr '0 5 5 0 0'
is 10 "$azr" txn no-such-script
printf 'cat d.zarr\nwrite d.zarr[9] --value 9\n' >bad
is 2 "$azr" txn bad --json
json

# --- attrs
is 0 "$azr" attrs x.zarr --set 'units="m"' --set 'range=[0, 50]'
is 0 "$azr" attrs x.zarr --json
json attributes '{"units":"m","range":[0,50]}'
is 0 "$azr" attrs x.zarr --delete units
is 0 "$azr" attrs x.zarr --json
json attributes '{"range":[0,50]}'
is 2 "$azr" attrs x.zarr --set units=metres
blames quotes
is 2 "$azr" attrs x.zarr --set novalue
is 0 "$azr" attrs x.zarr --durability power
is 0 "$azr" info x.zarr --json
json durability '"power"'
is 2 "$azr" attrs x.zarr --durability maybe

# --- status, verify, recover
is 0 "$azr" status x.zarr
says 'no transaction is open'
is 0 "$azr" status x.zarr --json
json rows '[]'
is 0 "$azr" verify x.zarr
is 0 "$azr" verify x.zarr --json
json findings '[]'
cp -r x.zarr bad.zarr
find bad.zarr -path '*/c/0' -exec sh -c 'printf rubbish >"$1"' - {} \;
is 1 "$azr" verify bad.zarr
is 1 "$azr" verify bad.zarr --json
json errors 1
is 5 "$azr" cat bad.zarr
blames 'verify'
is 0 "$azr" recover x.zarr --json
json failed 0
mkdir tree tree/deep
cp -r x.zarr tree/deep/x.zarr
cp -r m.zarr tree/m.zarr
is 0 "$azr" recover tree --dry-run
step='recover walks a tree'
if [ "$(grep -c zarr: out)" -eq 2 ]; then pass; else fail 'not two'; fi
is 0 "$azr" recover tree --json
json
mkdir empty
is 10 "$azr" recover empty
blames 'no Zarr array'

# --- explain, completion, doctor
is 0 "$azr" explain AZR_EBUSY
is 0 "$azr" explain ebusy --json
json status -4
is 0 "$azr" explain 3
is 0 "$azr" explain 130
is 0 "$azr" explain --json
json
is 2 "$azr" explain 77
for shell in bash zsh fish; do
    is 0 "$azr" completion $shell
done
is 0 "$azr" completion bash
is 0 sh -n out
is 2 "$azr" completion cmd
is 0 "$azr" doctor .
is 0 "$azr" doctor --json
json fit true
is 10 "$azr" doctor nowhere
step='doctor cleans up'
if [ -z "$(ls -A | grep azr-doctor)" ]; then pass; else fail 'probe file'; fi

# --- every verb explains an absent array, and as JSON too
for verb in info cat write append attrs status verify; do
    is 10 "$azr" $verb nowhere.zarr
    blames nowhere.zarr
    is 10 "$azr" $verb nowhere.zarr --json
    json
done
finish
