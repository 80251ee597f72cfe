# SPDX-License-Identifier: Apache-2.0
# The programme's totals, of docs/reliability/ledger.tsv, each with its aim.
BEGIN { FS = "\t" }
NR == 1 { next }
{
    seconds += $6
    findings += $10
}
$4 == "power" || $4 ~ /^blocks/ {
    states += $7
    tried += $4 == "power" ? $9 : $7
    next
}
$4 ~ /^history/ {
    operations += $7
    faults += $9 + $8
}
$4 ~ /^(fuzz|afl)-/ {
    executions += $7
    if ($4 ~ /-fast$/)
        fast += $7
}
{ kills += $8 }
function row(what, n, aim, more) {
    printf "| %s | %.0f | %s | %s |\n", what, n, aim, more
}
END {
    print "| total | counted | aim | |"
    print "|---|--:|--:|---|"
    row("kills", kills, "10^6", "each looked at by who came next")
    row("crash states of power cuts", states, "10^7",
        sprintf("%.0f different ones, each judged", tried))
    row("operations of checked histories", operations, "10^7",
        sprintf("under %.0f faults and deaths", faults))
    row("fuzz executions", executions, "10^8",
        sprintf("%.0f of them without ASan", fast))
    printf "\n%.1f hours of slices, %d findings.\n", seconds / 3600, findings
}
