# SPDX-License-Identifier: Apache-2.0
# C source without comments and without the insides of strings and character
# constants, as file:line:code. Lines keep their numbers.
FNR == 1 { in_comment = 0 }
{
    line = $0
    out = ""
    while (line != "") {
        if (in_comment) {
            end = index(line, "*/")
            if (!end)
                break
            line = substr(line, end + 2)
            in_comment = 0
            continue
        }
        if (!match(line, /\/\*|\/\/|"|'/)) {
            out = out line
            break
        }
        token = substr(line, RSTART, RLENGTH)
        out = out substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        if (token == "//")
            break
        if (token == "/*") {
            out = out " "
            in_comment = 1
            continue
        }
        # A string ends at the next quote that no backslash hides.
        while (line != "" && substr(line, 1, 1) != token)
            line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
        line = substr(line, 2)
        out = out token token
    }
    if (out ~ /[^ \t]/)
        print FILENAME ":" FNR ":" out
}
