/* SPDX-License-Identifier: MIT */
#include "ingest/geo.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct cb_geo {
    MMDB_s db;
};

/* Databases of countries say so in their type: GeoLite2-Country, DBIP-City-Lite, … One of another
 * kind (of networks, say) would give no country for ever, in silence. */
static bool has_countries(const char *type) {
    static const char *const kinds[] = {"country", "city", "enterprise", "insights"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (type && strcasestr(type, kinds[i]))
            return true;
    return false;
}

static int refuse(const char *path, const char *why, int err, char **sentence) {
    if (asprintf(sentence, "--geo: %s: %s", path, why) < 0)
        *sentence = NULL;
    return err;
}

int cb_geo_open(const char *path, struct cb_geo **out, char **sentence) {
    *out = NULL;
    if (!*path)
        return 0;
    struct cb_geo *geo = calloc(1, sizeof *geo);
    if (!geo)
        return CB_ENOMEM;
    int code = MMDB_open(path, MMDB_MODE_MMAP, &geo->db);
    if (code != MMDB_SUCCESS) {
        free(geo);
        return code == MMDB_FILE_OPEN_ERROR || code == MMDB_IO_ERROR
                   ? refuse(path, "the file cannot be read", CB_EIO, sentence)
                   : refuse(path, MMDB_strerror(code), CB_EINVAL, sentence);
    }
    if (!has_countries(geo->db.metadata.database_type)) {
        cb_geo_close(&geo);
        return refuse(path, "this is no database of countries or cities", CB_EINVAL, sentence);
    }
    *out = geo;
    return 0;
}

void cb_geo_close(struct cb_geo **geo) {
    if (!*geo)
        return;
    MMDB_close(&(*geo)->db);
    free(*geo);
    *geo = NULL;
}

static MMDB_lookup_result_s look_up(const struct cb_geo *geo, const struct cb_address *address,
                                    int *code) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *any = (const struct sockaddr *)&v6;
    if (memcmp(address->bytes, mapped, sizeof mapped) == 0) {
        memcpy(&v4.sin_addr, address->bytes + sizeof mapped, 4);
        any = (const struct sockaddr *)&v4;
    } else {
        memcpy(&v6.sin6_addr, address->bytes, sizeof address->bytes);
    }
    return MMDB_lookup_sockaddr(&geo->db, any, code);
}

void cb_geo_country(const struct cb_geo *geo, const struct cb_address *address, char out[3]) {
    int code;
    MMDB_entry_data_s data;
    memset(out, 0, 3);
    if (!geo)
        return;
    MMDB_lookup_result_s found = look_up(geo, address, &code);
    if (code != MMDB_SUCCESS || !found.found_entry ||
        MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL) != MMDB_SUCCESS)
        return;
    if (data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING && data.data_size == 2 &&
        data.utf8_string[0] >= 'A' && data.utf8_string[0] <= 'Z' && data.utf8_string[1] >= 'A' &&
        data.utf8_string[1] <= 'Z')
        memcpy(out, data.utf8_string, 2);
}
