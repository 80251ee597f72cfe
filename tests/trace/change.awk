# SPDX-License-Identifier: Apache-2.0
# A trace of something that did not happen. how=swap: two steps of a process that follow each other in it, and differ,
# exchanged; value: a read that saw something else; drop: a store or a rename less. No such step: nothing is printed.
function step(i) { return label[i] " " arg[i] " " value[i] }
/^#/ { head = head $0 "\n"; next }
{
    n++
    who[n] = $1
    label[n] = $2
    arg[n] = $3
    value[n] = $4
    $1 = $2 = $3 = $4 = ""
    rest[n] = $0
    if (how == "value" && label[n] == "read")
        at[++choices] = n
    if (how == "drop" && label[n] ~ /bump|rename|unlink|seal|commit|clear|prepare|others|told|tell/)
        at[++choices] = n
    if (how == "swap" && who[n] in before && label[n] !~ /die/ && step(n) != step(before[who[n]]))
        at[++choices] = n
    if (who[n] <= 3 || who[n] == 5)    # of readers some order is as good as another
        before[who[n]] = n
    earlier[n] = who[n] in prior ? prior[who[n]] : 0
    prior[who[n]] = n
}
END {
    if (choices == 0)
        exit
    pick = at[int(choices / 2) + 1]
    if (how == "value")
        value[pick] = (value[pick] + 1) % 64
    if (how == "swap") {
        k = earlier[pick]
        t = label[k]; label[k] = label[pick]; label[pick] = t
        t = arg[k]; arg[k] = arg[pick]; arg[pick] = t
        t = value[k]; value[k] = value[pick]; value[pick] = t
    }
    printf "%s", head
    for (i = 1; i <= n; i++)
        if (how != "drop" || i != pick)
            print who[i], label[i], arg[i], value[i], rest[i]
}
