# SPDX-License-Identifier: Apache-2.0
# Copies of arrays, at rest and beside a writer, by the tools that people use, and
# the mounts of containers: each copy is an array of its own, or is refused.
. "$(dirname "$0")/lib.sh"

mounted=
unmount()
{
    for m in $mounted; do
        umount "$m" 2>/dev/null
    done
    mounted=
}
trap unmount EXIT

skipped()
{
    echo "skipped: $1: $2"
}

make()
{
    is 0 "$azr" create "$1" --shape 6 --chunks 3 --dtype i4 --codec none
    is 0 "$azr" write "$1" --value "$2"
}

# hold PATH … release: somebody in a transaction over all of it
hold()
{
    rm -f go held
    mkfifo go
    "$helper" hold "$1" <go >held 2>&1 &
    holder=$!
    exec 9>go
    while [ ! -s held ] && kill -0 $holder 2>/dev/null; do :; done
}

release()
{
    exec 9>&-
    wait $holder
}

# apart A B: both can be written, neither sees the other, and no lock of one is
# that of the other.
apart()
{
    is 0 "$azr" write "$1[0]" --value 11
    is 0 "$azr" write "$2[0]" --value 22
    holds "$1[0]" 11
    holds "$2[0]" 22
    hold "$1"
    is 3 "$azr" write "$1[0:2]" --value 1 --timeout 0.05
    is 0 "$azr" write "$2[0:2]" --value 33 --timeout 5
    release
    holds "$1[0]" 11
    is 0 "$azr" verify "$1"
    is 0 "$azr" verify "$2"
}

# copy TOOL FROM TO
copy()
{
    case $1 in
    cp) cp -r "$2" "$3" ;;
    cp-a) cp -a "$2" "$3" ;;
    rsync) rsync -a "$2/" "$3/" ;;
    rsync-H) rsync -aH "$2/" "$3/" ;;
    tar) mkdir "$3" && tar -C "$2" -cf - . | tar -C "$3" -xf - ;;
    git)
        rm -rf repo && mkdir repo && cp -r "$2" repo/x &&
            git -C repo init -q . && git -C repo add -A . &&
            git -C repo -c user.name=n -c user.email=e commit -qm x &&
            git clone -q repo clone.git && mv clone.git/x "$3" &&
            rm -rf repo clone.git
        ;;
    esac
}

# --- copies at rest, and beside a writer who holds locks and staged objects
for tool in cp cp-a rsync rsync-H tar git; do
    program=${tool%%-*}
    if ! command -v "$program" >/dev/null; then
        skipped "copy by $tool" "there is no $program"
        continue
    fi
    make a.zarr 1
    is 0 copy $tool a.zarr b.zarr
    apart a.zarr b.zarr
    rm -rf b.zarr

    hold a.zarr
    is 0 copy $tool a.zarr b.zarr
    is 0 "$azr" write b.zarr --value 5 --timeout 5 # nobody holds anything there
    is 3 "$azr" write 'a.zarr[0:2]' --value 1 --timeout 0.05
    release
    is 0 "$azr" recover a.zarr
    is 0 "$azr" recover b.zarr
    holds 'b.zarr[0]' 5
    apart a.zarr b.zarr
    rm -rf a.zarr b.zarr

    # what a writer left who died after his commit: each recovers its own
    make a.zarr 1
    "$helper" die a.zarr >/dev/null 2>&1
    is 0 copy $tool a.zarr b.zarr
    is 0 "$azr" recover b.zarr
    is 0 "$azr" cat b.zarr
    cp out of_b
    is 0 "$azr" recover a.zarr
    is 0 "$azr" cat a.zarr
    step="$tool: both recovered"
    if cmp -s out of_b; then pass; else fail 'they differ'; fi
    apart a.zarr b.zarr
    rm -rf a.zarr b.zarr
done

# --- hard links
make a.zarr 1
if cp -al a.zarr l.zarr 2>/dev/null; then
    is 9 "$azr" write l.zarr --value 2
    blames 'links'
    is 9 "$azr" write a.zarr --value 2
    is 9 "$azr" rm l.zarr
    blames 'links'
    is 0 "$azr" cat l.zarr
    rm -r l.zarr
    is 0 "$azr" write a.zarr --value 2
    holds 'a.zarr[0]' 2
else
    skipped 'hard links' 'cp -al does not work here'
fi

# --- mounts
may_mount()
{
    mkdir -p probe at
    mount --bind probe at 2>/dev/null && umount at
}

if [ "$(id -u)" -ne 0 ] || ! may_mount; then
    for what in 'read-only bind mount' 'two bind mounts' 'overlay'; do
        skipped "$what" 'mounting needs root'
    done
    finish
fi

# read-only
mkdir -p host ro
make host/a.zarr 1
mount --bind host ro && mounted="$mounted $PWD/ro"
mount -o remount,ro,bind ro
is 0 "$azr" cat 'ro/a.zarr[0]'
says 1
is 4 "$azr" write ro/a.zarr --value 2
is 4 "$azr" rm ro/a.zarr
is 4 "$azr" create ro/b.zarr --shape 1 --dtype i1
is 0 "$azr" write host/a.zarr --value 3
holds 'ro/a.zarr[0]' 3
is 0 "$azr" rm host/a.zarr
is 10 "$azr" cat ro/a.zarr

# two paths to one directory: the same locks, and one removal
mkdir -p one two
make host/a.zarr 1
mount --bind host one && mounted="$mounted $PWD/one"
mount --bind host two && mounted="$mounted $PWD/two"
hold one/a.zarr
is 3 "$azr" write 'two/a.zarr[0:2]' --value 9 --timeout 0.05
is 3 "$azr" rm two/a.zarr --timeout 0.05
release
is 0 "$azr" rm two/a.zarr
is 10 "$azr" cat one/a.zarr
# across two mounts nothing can be renamed
make one/b.zarr 1
is 9 "$azr" mv one/b.zarr two/c.zarr
blames 'copy it'
holds 'two/b.zarr[0]' 1

# overlay: a lower array, written through the upper layer
mkdir -p lower upper work merged
make lower/a.zarr 1
make lower/b.zarr 1
if mount -t overlay overlay -o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work" \
    merged 2>/dev/null; then
    mounted="$mounted $PWD/merged"
    holds 'merged/a.zarr[0]' 1
    is 0 "$azr" write 'merged/a.zarr[0]' --value 2
    holds 'merged/a.zarr[0]' 2
    holds 'lower/a.zarr[0]' 1
    make merged/c.zarr 4
    is 0 "$azr" mv merged/c.zarr merged/d.zarr
    is 0 "$azr" create merged/d.zarr --shape 2 --dtype i4 --overwrite
    is 0 "$azr" rm merged/d.zarr
    # of the lower layer: in one step, or refused and left as it is
    step='rm of a lower array'
    "$azr" rm merged/b.zarr >out 2>err
    case $? in
    0) is 10 "$azr" cat merged/b.zarr ;;
    9)
        blames 'one step'
        holds 'merged/b.zarr[0]' 1
        is 0 "$azr" write 'merged/b.zarr[0]' --value 7
        ;;
    *) fail 'neither done nor refused' ;;
    esac
    holds 'lower/b.zarr[0]' 1
    is 0 "$azr" verify merged/a.zarr
else
    skipped overlay 'this kernel mounts none'
fi

finish
