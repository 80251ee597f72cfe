/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

static const struct cli_usage usage = {
    "help [VERB]", "Show the verbs, or how to use one of them.\n",
    "  azr help write\n"};

static void list_verbs(void)
{
    printf("azr: Zarr arrays in which every read and write is atomic across "
           "chunks\n\nusage: azr VERB [words] [options]\n\nVerbs:\n");
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        printf("  %-11s %s\n", v->name, v->summary);
    }
    printf("\nStart here:\n"
           "  azr create x.zarr --shape 12 --chunks 4 --dtype i4\n"
           "  azr write 'x.zarr[2:6]' --value 8\n"
           "  azr cat 'x.zarr[:]'\n"
           "\nazr help VERB tells the rest. Exit codes: 0 ok, 1 differs or "
           "invalid, 2 usage,\n3 busy, 4 I/O, 5 corrupt, 6 conflict, 7 void "
           "run, 8 outcome unknown,\n9 unsupported, 10 not found or exists, "
           "128+n signal (azr explain 3 says more).\n");
}

static void list_verbs_json(void)
{
    struct json j = json_begin(stdout);

    json_open(&j, NULL, '{');
    json_open(&j, "verbs", '{');
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        json_text(&j, v->name, v->summary);
    }
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
}

int cmd_help(struct cli *cli, int argc, char **argv)
{
    static char option[] = "--help";
    struct cli_list words = {NULL, 0};
    const struct cli_verb *verb;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 0, 1))
        return cli->exit_code;
    if (words.count == 0) {
        if (cli->json)
            list_verbs_json();
        else
            list_verbs();
        return CLI_OK;
    }
    verb = cli_verb_find(words.items[0]);
    if (!verb)
        return cli_usage_error(cli, "there is no verb %s", words.items[0]);
    return verb->run(cli, 2, (char *[]){argv[0], option, NULL});
}
