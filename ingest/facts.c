/* SPDX-License-Identifier: MIT */
#include "ingest/facts.h"

#include "ingest/language.h"

static struct cb_str header(const struct cb_http_req *req, const char *name) {
    const struct cb_str *value = cb_http_header(req, name);
    return value ? *value : (struct cb_str){NULL, 0};
}

void cb_facts_read(const struct cb_http_req *req, struct cb_device_kept *agents,
                   const struct cb_proxies *proxies, const struct cb_geo *geo,
                   struct cb_facts *out) {
    struct cb_device_verdict device = cb_device_recall(agents, header(req, "user-agent"));
    *out = (struct cb_facts){.device = device.device, .browser = device.browser, .bot = device.bot};
    cb_language_of(header(req, "accept-language"), out->language);
    if (geo) {
        struct cb_address client;
        cb_proxies_client(proxies, req, &client);
        cb_geo_country(geo, &client, out->country);
    }
}

void cb_facts_put(const struct cb_facts *facts, struct cb_envelope *envelope) {
    envelope->device = facts->device;
    envelope->browser = facts->browser;
    envelope->bot = facts->bot;
    memcpy(envelope->language, facts->language, sizeof envelope->language);
    memcpy(envelope->country, facts->country, sizeof envelope->country);
}
