/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell cannot do by itself:
 *
 *   helper json              exit 0 if stdin is one JSON document, strictly
 *   helper json KEY VALUE    … and its member KEY, as JSON text, is VALUE
 *   helper hold PATH         hold the locks of a transaction over all of PATH
 *                            ("held" on stdout) until stdin ends, then give up
 *   helper die PATH          die by SIGKILL inside such a transaction
 *   helper plain CMD…        run CMD with SIGINT as a terminal would give it
 */
#include <atomiczarr.h>

#include <json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

static int check_json(const char *key, const char *value)
{
    static char text[TEXT_MAX];
    size_t n = fread(text, 1, sizeof text, stdin);
    struct json_tokener *t = json_tokener_new();
    struct json_object *o, *member = NULL;
    int ok;

    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    /* a newline and nothing else follows the document */
    ok = n > 1 && n < sizeof text && text[n - 1] == '\n';
    o = ok ? json_tokener_parse_ex(t, text, (int)n - 1) : NULL;
    ok = o && json_tokener_get_error(t) == json_tokener_success &&
         json_tokener_get_parse_end(t) == n - 1;
    if (ok && key) {
        ok = json_object_object_get_ex(o, key, &member) &&
             strcmp(
                 json_object_to_json_string_ext(member, JSON_C_TO_STRING_PLAIN),
                 value) == 0;
        if (!ok)
            (void)fprintf(stderr, "%s is %s\n", key,
                          member ? json_object_to_json_string(member)
                                 : "missing");
    }
    json_object_put(o);
    json_tokener_free(t);
    return ok ? 0 : 1;
}

static int wait_for_end(void *values, size_t nbytes, void *arg)
{
    char byte;

    (void)values;
    (void)nbytes;
    if (arg) {
        kill(getpid(), SIGKILL);
        return -1;
    }
    (void)puts("held");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return AZR_ECANCELED; /* nothing is written */
}

static int hold(const char *path, int die)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    int64_t zeros[AZR_MAX_RANK] = {0};
    azr_selection all;
    int rc;

    o.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&a, path, &o, &err);
    if (rc == AZR_OK)
        rc = azr_array_info_get(a, &info, &err);
    if (rc == AZR_OK) {
        all = azr_select_box(info.rank, zeros, info.shape, NULL);
        rc = azr_array_update(a, &all, wait_for_end, die ? &die : NULL, &err);
    }
    azr_array_close(a);
    if (rc != AZR_ECANCELED)
        (void)fprintf(stderr, "hold: %s\n", err.message);
    return rc == AZR_ECANCELED ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "json") == 0)
        return check_json(argc > 3 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
    if (argc > 2 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2], 0);
    if (argc > 2 && strcmp(argv[1], "die") == 0)
        return hold(argv[2], 1);
    if (argc > 2 && strcmp(argv[1], "plain") == 0) {
        (void)signal(SIGINT, SIG_DFL);
        (void)execvp(argv[2], argv + 2);
    }
    (void)fputs("usage: see the head of helper.c\n", stderr);
    return 2;
}
