/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of groups: arguments and versions of options are checked
 * here, the work is the core's. */
#include "api/arguments.h"
#include "core/array.h"
#include "core/group.h"

#define CREATE_FLAGS (AZR_CREATE_REPLACE | AZR_CREATE_OR_OPEN)
#define GROUP_FLAGS                                                            \
    (AZR_OPEN_WRITE | AZR_OPEN_INSIST | AZR_OPEN_IMPLIED |                     \
     AZR_OPEN_WRITE_EMPTY | AZR_OPEN_READ_UNLOCKED | AZR_OPEN_KERNEL_LOCKS |   \
     AZR_OPEN_NO_RECOVERY | AZR_OPEN_STALE_CONSOLIDATED)

/* Flags of arrays mean nothing to a group, but what is opened below inherits
 * them. */
static int take_options(azr_open_options *out, const azr_open_options *in,
                        uint32_t more, azr_error *err)
{
    int rc = azri_take_options(out, in, GROUP_FLAGS | more, err);

    return rc < 0 ? rc : azri_check_create_flags(out->flags, err);
}

static int take_spec(azr_group_spec *out, const azr_group_spec *in,
                     azr_error *err)
{
    azr_group_spec defaults = AZR_GROUP_SPEC_INIT;
    int rc;

    *out = defaults;
    if (!in)
        return AZR_OK;
    rc = azri_check_size("azr_group_spec", in->struct_size, sizeof *in, err);
    if (rc < 0)
        return rc;
    if (in->zarr_format != 0 && in->zarr_format != 2 && in->zarr_format != 3)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "zarr_format is %d, need 2 or 3", in->zarr_format);
    *out = *in;
    return AZR_OK;
}

int azr_node_at(int *kind_out, int *format_out, const char *path,
                azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(kind_out);
    NEED(path);
    return azri_node_at(kind_out, format_out, path, err);
}

int azr_node_document(char **out, const char *path, const char *key,
                      azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(path);
    NEED(key);
    return azri_node_document(out, path, key, err);
}

int azr_group_create(azr_group **out, const char *path,
                     const azr_group_spec *spec,
                     const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    azr_group_spec s;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(path);
    rc = take_options(&o, options, CREATE_FLAGS, err);
    if (rc == AZR_OK)
        rc = take_spec(&s, spec, err);
    return rc < 0 ? rc : azri_group_create(out, path, &s, &o, err);
}

int azr_group_open(azr_group **out, const char *path,
                   const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(path);
    rc = take_options(&o, options, 0, err);
    return rc < 0 ? rc : azri_group_open(out, path, &o, err);
}

void azr_group_close(azr_group *group)
{
    azri_group_close(group);
}

int azr_group_info_get(azr_group *group, azr_group_info *out, azr_error *err)
{
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(out);
    rc = azri_check_size("azr_group_info", out->struct_size, sizeof *out, err);
    return rc < 0 ? rc : azri_group_info(group, out, err);
}

int azr_group_attributes(azr_group *group, char **out, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(out);
    return azri_group_attributes(group, out, err);
}

int azr_group_attribute_set(azr_group *group, const char *name,
                            const char *json, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(name);
    return azri_group_attributes_change(group, 1, &name, &json, err);
}

int azr_group_attributes_change(azr_group *group, size_t n,
                                const char *const *names,
                                const char *const *values, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    if (n > 0) {
        NEED(names);
        NEED(values);
    }
    for (size_t k = 0; k < n; k++)
        NEED(names[k]);
    return azri_group_attributes_change(group, n, names, values, err);
}

int azr_group_attributes_replace(azr_group *group, const char *json,
                                 azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(json);
    return azri_group_attributes_replace(group, json, err);
}

/* --------------------------------------------------------------- below --- */

int azr_group_walk(azr_group *group, int max_depth, azr_node_fn fn, void *arg,
                   azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(fn);
    if (max_depth < 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "max_depth is %d, need 0 or more", max_depth);
    return azri_group_walk(group, max_depth, fn, arg, err);
}

int azr_group_list(azr_group *group, azr_node_fn fn, void *arg, azr_error *err)
{
    return azr_group_walk(group, 1, fn, arg, err);
}

/* Options and path of what is to be opened; *path_out is the caller's. */
static int take_below(azr_open_options *o, char **path_out,
                      const azr_group *group, const char *path,
                      const azr_open_options *options, uint32_t more,
                      azr_error *err)
{
    int rc = take_options(o, options ? options : &group->options, more, err);

    return rc < 0 ? rc : azri_group_path(path_out, group, path, err);
}

int azr_group_open_array(azr_array **out, azr_group *group, const char *path,
                         const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    char *full = NULL;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(group);
    NEED(path);
    rc = take_below(&o, &full, group, path, options, 0, err);
    o.flags &= ~AZR_OPEN_IMPLIED;
    if (rc == AZR_OK)
        rc = azri_array_open(out, full, &o, err);
    azri_free(full);
    return rc;
}

int azr_group_open_group(azr_group **out, azr_group *group, const char *path,
                         const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    char *full = NULL;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(group);
    NEED(path);
    rc = take_below(&o, &full, group, path, options, 0, err);
    if (rc == AZR_OK)
        rc = azri_group_open(out, full, &o, err);
    azri_free(full);
    return rc;
}

/* The same of what is to be made, with the groups above it. */
static int take_new(azr_open_options *o, char **path_out, azr_group *group,
                    const char *path, const azr_open_options *options,
                    azr_error *err)
{
    int rc = take_below(o, path_out, group, path, options, CREATE_FLAGS, err);

    return rc < 0 ? rc : azri_group_make_parents(group, path, err);
}

int azr_group_create_array(azr_array **out, azr_group *group, const char *path,
                           const azr_array_spec *spec,
                           const azr_open_options *options, azr_error *err)
{
    azr_array_spec s;
    azr_open_options o;
    char *full = NULL;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(group);
    NEED(path);
    NEED(spec);
    s = *spec;
    if (s.zarr_format == 0)
        s.zarr_format = group->format;
    rc = take_new(&o, &full, group, path, options, err);
    o.flags &= ~AZR_OPEN_IMPLIED;
    if (rc == AZR_OK)
        rc = azri_array_create(out, full, &s, &o, err);
    azri_free(full);
    return rc;
}

int azr_group_create_group(azr_group **out, azr_group *group, const char *path,
                           const azr_group_spec *spec,
                           const azr_open_options *options, azr_error *err)
{
    azr_open_options o;
    azr_group_spec s;
    char *full = NULL;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(out);
    NEED(group);
    NEED(path);
    rc = take_spec(&s, spec, err);
    if (rc < 0)
        return rc;
    if (s.zarr_format == 0)
        s.zarr_format = group->format;
    rc = take_new(&o, &full, group, path, options, err);
    if (rc == AZR_OK)
        rc = azri_group_create(out, full, &s, &o, err);
    azri_free(full);
    return rc;
}

/* -------------------------------------------------------- consolidated --- */

int azr_group_consolidate(azr_group *group, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    return azri_group_consolidate(group, err);
}

int azr_group_check_consolidated(azr_group *group, azr_finding_fn fn, void *arg,
                                 azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    NEED(group);
    NEED(fn);
    return azri_group_check_consolidated(group, fn, arg, err);
}
