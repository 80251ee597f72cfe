# SPDX-License-Identifier: Apache-2.0
# What docs/reliability/mutants.tsv adds up to, after survivors.tsv, which has the
# reasons. The last line of a mutant counts. To the file `bad`: who has no reason, and
# reasons that are nobody's.
function percent(a, b) { return b ? sprintf("%.1f %%", 100 * a / b) : "-" }
function row(name, room,  k, n, all, text) {
    all = n_killed[room] + n_survived[room]
    text = "| " name " | " all + 0 " | " n_killed[room] + 0 " | " n_survived[room] + 0
    for (k = 1; k <= kinds; k++)
        text = text " | " n_kind[room, kind[k]] + 0
    n = all - n_kind[room, "equivalent"]
    print text " | " percent(n_first[room], all) " | " percent(n_killed[room], all) \
        " | " percent(n_killed[room], n) " |"
}
BEGIN {
    FS = "\t"
    kinds = split("equivalent speed message elsewhere open", kind, " ")
    for (k in kind)
        is_kind[kind[k]] = 1
}
FILENAME == ARGV[1] {
    if (FNR == 1)
        next
    key = $1 FS $2 FS $3 FS $4 FS $5
    reason[key] = $6
    if (!($6 in is_kind) || length($7) < 4)
        print "survivors.tsv:" FNR ": no kind, or no reason" >bad
    next
}
$1 == "# run" { runs++; seeds = seeds (seeds ? ", " : "") $4; minutes += $5; all = $6; next }
FNR == 1 { next }
{
    key = $3 FS $5 FS $6 FS $8 FS $9
    if (!(key in outcome)) {
        order[++n] = key
        first[key] = $10
    }
    outcome[key] = $10
    where[key] = $3 ":" $4 ": " $5 ": " $9
}
END {
    for (i = 1; i <= n; i++) {
        key = order[i]
        split(key, part, /[\t\/]/)
        room = part[2]
        o = outcome[key]
        if (o == "no build" || o == "same code" || o == "code of another" || o == "gone") {
            none++
            continue
        }
        if (first[key] != "survived") {
            n_first[room]++; n_first["all"]++
        }
        if (o != "survived") {
            n_killed[room]++; n_killed["all"]++
            sub(/-.*/, "", o)
            by[o]++
        } else {
            n_survived[room]++; n_survived["all"]++
            if (!(key in reason))
                print "survivors.tsv: no reason for " where[key] >bad
            n_kind[room, reason[key]]++; n_kind["all", reason[key]]++
        }
    }
    for (key in reason) {
        if (outcome[key] != "survived") {
            split(key, part, FS)
            print "survivors.tsv: did not survive: " part[1] ": " part[2] ": " part[5] >bad
        }
    }
    printf "Tried so far: %d of the %d that there are, in %d minutes (%d runs, seeds %s); ", \
        n, all, minutes, runs, seeds
    printf "%d of them are none: they do not compile, or not to other code.\n\n", none
    print "| in | mutants | killed | survived | equivalent | only speed | only a message | elsewhere | open | killed at first | killed now | of those not equivalent |"
    print "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    row("`src/txn`", "txn")
    row("`src/sync`", "sync")
    row("**all**", "all")
    m = split("unit conform crash power fault stress", names, " ")
    text = "Killed by tests of the rooms"
    for (i = 1; i <= m; i++)
        if (by[names[i]])
            text = text (i > 1 ? "," : "") " `" names[i] "` " by[names[i]]
    print "\n" text "."
}
