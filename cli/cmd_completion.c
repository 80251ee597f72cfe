/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

#include <string.h>

static const struct cli_usage usage = {
    "completion bash|zsh|fish",
    "Write a completion script. It asks azr itself for verbs and options, so "
    "it\n"
    "fits whichever version is installed.\n",
    "  azr completion bash > ~/.local/share/bash-completion/completions/azr\n"
    "  azr completion zsh > \"${fpath[1]}/_azr\"\n"
    "  azr completion fish > ~/.config/fish/completions/azr.fish\n"};

#define VERBS "azr help | sed -n '/^Verbs:/,/^$/s/^  \\([a-z]*\\) .*/\\1/p'"
#define OPTIONS                                                                \
    "2>/dev/null | sed -n "                                                    \
    "'s/^ *\\(-[a-z], \\)\\{0,1\\}\\(--[a-z-]*\\).*/\\2/p'"

static const char bash[] =
    "_azr()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]}\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$(" VERBS ")\" -- \"$word\"))\n"
    "    elif [ \"${COMP_WORDS[1]}\" = help ]; then\n"
    "        COMPREPLY=($(compgen -W \"$(" VERBS ")\" -- \"$word\"))\n"
    "    elif [ \"${word#-}\" != \"$word\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$(azr \"${COMP_WORDS[1]}\" --help "
    "" OPTIONS ")\" -- \"$word\"))\n"
    "    else\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _azr azr\n";

static const char zsh[] =
    "#compdef azr\n"
    "if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then\n"
    "    compadd -- ${(f)\"$(" VERBS ")\"}\n"
    "elif [[ $words[CURRENT] == -* ]]; then\n"
    "    compadd -- ${(f)\"$(azr $words[2] --help " OPTIONS ")\"}\n"
    "else\n"
    "    _files\n"
    "fi\n";

static const char fish[] =
    "complete -c azr -n __fish_use_subcommand -f -a \"(" VERBS ")\"\n"
    "complete -c azr -n '__fish_seen_subcommand_from help' -f -a \"(" VERBS
    ")\"\n"
    "complete -c azr -n 'not __fish_use_subcommand; and string match -q -- "
    "\"-*\" (commandline -ct)' -f -a \"(azr (commandline -opc)[2] --help "
    "" OPTIONS ")\"\n";

int cmd_completion(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct json j = json_begin(stdout);
    const char *script;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (strcmp(words.items[0], "bash") == 0)
        script = bash;
    else if (strcmp(words.items[0], "zsh") == 0)
        script = zsh;
    else if (strcmp(words.items[0], "fish") == 0)
        script = fish;
    else
        return cli_usage_error(cli, "%s: need bash, zsh or fish",
                               words.items[0]);
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "shell", words.items[0]);
        json_text(&j, "script", script);
        json_close(&j, '}');
        json_end(&j);
    } else {
        (void)fputs(script, stdout);
    }
    return CLI_OK;
}
