/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

static const char *const lane_names[CB_LANES] = {"ingest", "query"};

void cb_report_merge(struct cb_client_lane *sum, const struct cb_client_lane *lane) {
    cb_latency_merge(&sum->accepted, &lane->accepted);
    cb_latency_merge(&sum->refused, &lane->refused);
    cb_latency_merge(&sum->late, &lane->late);
    for (unsigned i = 0; i < CB_CLIENT_STATUS_MAX; i++)
        sum->status[i] += lane->status[i];
    sum->refused_without_retry_after += lane->refused_without_retry_after;
    sum->unanswered += lane->unanswered;
    sum->connect_failed += lane->connect_failed;
    sum->planned += lane->planned;
    sum->begun += lane->begun;
    sum->accepted_in_time += lane->accepted_in_time;
    sum->events_acked += lane->events_acked;
    sum->events_in_time += lane->events_in_time;
    sum->bytes_out += lane->bytes_out;
    sum->bytes_in += lane->bytes_in;
    sum->sent_again += lane->sent_again;
    sum->settled += lane->settled;
}

static uint64_t statuses(const struct cb_client_lane *lane, unsigned from, unsigned to) {
    uint64_t n = 0;
    for (unsigned i = from; i < to; i++)
        n += lane->status[i];
    return n;
}

static double seconds_of(const struct cb_report *report) {
    return (double)report->options->duration;
}

static double cpu_cores(const struct cb_report *report) {
    return report->wall_s > 0 ? (report->user_s + report->system_s) / report->wall_s : 0;
}

/* ---- the table ---- */

/* The first error of a row of prints is kept. */
#define PRINT(...) (rc = rc ? rc : cb_buf_printf(out, __VA_ARGS__))

static int put_latency(struct cb_buf *out, const char *what, const struct cb_latency *l) {
    if (l->n == 0)
        return 0;
    return cb_buf_printf(out, "  %-22s %9.2f %9.2f %9.2f %9.2f %9.2f\n", what,
                         (double)cb_latency_quantile_us(l, 0.5) / 1e3,
                         (double)cb_latency_quantile_us(l, 0.9) / 1e3,
                         (double)cb_latency_quantile_us(l, 0.99) / 1e3,
                         (double)cb_latency_quantile_us(l, 0.999) / 1e3, (double)l->max_us / 1e3);
}

/* One kind of answer, where there were any. */
static int put_count(struct cb_buf *out, const char *what, uint64_t n, double seconds) {
    return n ? cb_buf_printf(out, "  %-22s %12llu %12.1f/s\n", what, (unsigned long long)n,
                             (double)n / seconds)
             : 0;
}

static int put_lane(const struct cb_report *report, unsigned i, struct cb_buf *out) {
    const struct cb_client_lane *lane = &report->lanes[i];
    double seconds = seconds_of(report);
    int rc = 0;
    if (report->rate[i])
        PRINT("%s: open loop, %llu requests/s planned, %u connections\n", lane_names[i],
              (unsigned long long)report->rate[i], report->connections[i]);
    else
        PRINT("%s: closed loop, %u connections\n", lane_names[i], report->connections[i]);
    PRINT("  %-22s %12llu %12.1f/s", "2xx in time", (unsigned long long)lane->accepted_in_time,
          (double)lane->accepted_in_time / seconds);
    if (lane->events_in_time)
        PRINT(" %12.1f events/s", (double)lane->events_in_time / seconds);
    PRINT("\n");
    rc = rc ? rc : put_count(out, "2xx", statuses(lane, 200, 300), seconds);
    rc = rc ? rc : put_count(out, "  204", lane->status[204], seconds);
    rc = rc ? rc : put_count(out, "4xx", statuses(lane, 400, 500), seconds);
    rc = rc ? rc : put_count(out, "  429", lane->status[429], seconds);
    rc = rc ? rc : put_count(out, "5xx", statuses(lane, 500, 600), seconds);
    rc = rc ? rc : put_count(out, "  503", lane->status[503], seconds);
    rc = rc ? rc
            : put_count(out, "other", statuses(lane, 0, 200) + statuses(lane, 300, 400), seconds);
    rc = rc ? rc : put_count(out, "no answer", lane->unanswered, seconds);
    rc = rc ? rc : put_count(out, "connect failed", lane->connect_failed, seconds);
    rc = rc ? rc : put_count(out, "sent again", lane->sent_again, seconds);
    if (lane->status[429] + lane->status[503])
        PRINT("  %-22s %12llu\n", "no Retry-After",
              (unsigned long long)lane->refused_without_retry_after);
    if (report->rate[i])
        PRINT("  %-22s %12llu of %llu planned\n", "left in time", (unsigned long long)lane->begun,
              (unsigned long long)lane->planned);
    PRINT("  %-22s %12llu out, %llu in\n", "bytes", (unsigned long long)lane->bytes_out,
          (unsigned long long)lane->bytes_in);
    PRINT("  %-22s %9s %9s %9s %9s %9s\n", "milliseconds", "p50", "p90", "p99", "p99.9", "max");
    rc = rc ? rc : put_latency(out, "2xx", &lane->accepted);
    rc = rc ? rc : put_latency(out, "refused", &lane->refused);
    if (report->rate[i])
        rc = rc ? rc : put_latency(out, "left late by", &lane->late);
    return rc;
}

static int put_audit(const struct cb_report *report, struct cb_buf *out) {
    const struct cb_audit_result *audit = report->audit;
    int rc = 0;
    PRINT("audit: %llu events acked, %llu counted, %llu duplicates, %llu rejected",
          (unsigned long long)audit->acked, (unsigned long long)audit->counted,
          (unsigned long long)audit->duplicate, (unsigned long long)audit->rejected);
    if (report->unacked)
        PRINT("; NOT EXACT: %llu requests were never acked", (unsigned long long)report->unacked);
    if (report->partly)
        PRINT("; NOT EXACT: %llu requests were taken in part", (unsigned long long)report->partly);
    if (audit->equal)
        PRINT("; equal after %.1f s\n", audit->wait_s);
    else
        PRINT("; %llu DIFFERENCES, the first: %s\n", (unsigned long long)audit->differences,
              audit->first);
    return rc;
}

int cb_report_table(const struct cb_report *report, struct cb_buf *out) {
    const struct cb_load_options *o = report->options;
    int rc = 0;
    PRINT("mix %s, %lld s, %lld thread%s, %lld visitors, %lld sites, %lld pages, seed %lld\n",
          o->mix, (long long)o->duration, (long long)o->threads, o->threads == 1 ? "" : "s",
          (long long)o->visitors, (long long)o->sites, (long long)o->pages, (long long)o->seed);
    for (unsigned i = 0; i < CB_LANES; i++)
        if (report->connections[i])
            rc = rc ? rc : put_lane(report, i, out);
    PRINT("generator: %.2f cores (%.2f s user, %.2f s system), %.0f %% of %u cores\n",
          cpu_cores(report), report->user_s, report->system_s,
          100 * cpu_cores(report) / report->cores, report->cores);
    if (report->audit)
        rc = rc ? rc : put_audit(report, out);
    return rc;
}

/* ---- JSON ---- */

static int json_latency(struct cb_buf *out, const char *name, const struct cb_latency *l) {
    return cb_buf_printf(out,
                         "\"%s\":{\"count\":%llu,\"mean_us\":%.1f,\"p50_us\":%llu,\"p90_us\":%llu,"
                         "\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu}",
                         name, (unsigned long long)l->n, cb_latency_mean_us(l),
                         (unsigned long long)cb_latency_quantile_us(l, 0.5),
                         (unsigned long long)cb_latency_quantile_us(l, 0.9),
                         (unsigned long long)cb_latency_quantile_us(l, 0.99),
                         (unsigned long long)cb_latency_quantile_us(l, 0.999),
                         (unsigned long long)l->max_us);
}

static int json_lane(const struct cb_report *report, unsigned i, struct cb_buf *out) {
    const struct cb_client_lane *lane = &report->lanes[i];
    double seconds = seconds_of(report);
    const char *comma = "";
    int rc = 0;
    PRINT("\"%s\":{\"connections\":%u,\"planned_rate\":%llu,\"planned\":%llu,\"begun\":%llu,",
          lane_names[i], report->connections[i], (unsigned long long)report->rate[i],
          (unsigned long long)lane->planned, (unsigned long long)lane->begun);
    PRINT("\"accepted_in_time\":%llu,\"accepted_per_s\":%.1f,\"events_in_time\":%llu,"
          "\"events_per_s\":%.1f,\"events_acked\":%llu,",
          (unsigned long long)lane->accepted_in_time, (double)lane->accepted_in_time / seconds,
          (unsigned long long)lane->events_in_time, (double)lane->events_in_time / seconds,
          (unsigned long long)lane->events_acked);
    PRINT("\"status\":{");
    for (unsigned s = 0; s < CB_CLIENT_STATUS_MAX; s++) {
        if (!lane->status[s])
            continue;
        PRINT("%s\"%u\":%llu", comma, s, (unsigned long long)lane->status[s]);
        comma = ",";
    }
    PRINT("},\"without_retry_after\":%llu,\"unanswered\":%llu,\"connect_failed\":%llu,"
          "\"sent_again\":%llu,\"settled\":%llu,\"bytes_out\":%llu,\"bytes_in\":%llu,",
          (unsigned long long)lane->refused_without_retry_after,
          (unsigned long long)lane->unanswered, (unsigned long long)lane->connect_failed,
          (unsigned long long)lane->sent_again, (unsigned long long)lane->settled,
          (unsigned long long)lane->bytes_out, (unsigned long long)lane->bytes_in);
    rc = rc ? rc : json_latency(out, "accepted", &lane->accepted);
    PRINT(",");
    rc = rc ? rc : json_latency(out, "refused", &lane->refused);
    PRINT(",");
    rc = rc ? rc : json_latency(out, "late", &lane->late);
    PRINT("}");
    return rc;
}

int cb_report_json(const struct cb_report *report, struct cb_buf *out) {
    const struct cb_load_options *o = report->options;
    int rc = 0;
    PRINT("{\"mix\":\"%s\",\"closed\":%s,\"duration_s\":%lld,\"threads\":%lld,\"seed\":%lld,"
          "\"visitors\":%lld,\"sites\":%lld,\"pages\":%lld,\"batch\":%lld,\"batch_visitors\":%lld,",
          o->mix, o->closed ? "true" : "false", (long long)o->duration, (long long)o->threads,
          (long long)o->seed, (long long)o->visitors, (long long)o->sites, (long long)o->pages,
          (long long)o->batch, (long long)o->batch_visitors);
    PRINT("\"generator\":{\"user_s\":%.3f,\"system_s\":%.3f,\"wall_s\":%.3f,\"cores\":%.3f,"
          "\"machine_cores\":%u},\"unacked\":%llu,\"partly\":%llu,\"lanes\":{",
          report->user_s, report->system_s, report->wall_s, cpu_cores(report), report->cores,
          (unsigned long long)report->unacked, (unsigned long long)report->partly);
    const char *comma = "";
    for (unsigned i = 0; i < CB_LANES; i++) {
        if (!report->connections[i])
            continue;
        PRINT("%s", comma);
        rc = rc ? rc : json_lane(report, i, out);
        comma = ",";
    }
    PRINT("},\"seconds\":[");
    for (unsigned i = 0; i < report->n_seconds; i++) {
        const struct cb_report_second *s = &report->seconds[i];
        PRINT("%s[%llu,%llu,%llu,%llu]", i ? "," : "", (unsigned long long)s->accepted,
              (unsigned long long)s->refused, (unsigned long long)s->unanswered,
              (unsigned long long)s->events);
    }
    PRINT("]");
    if (report->audit) {
        const struct cb_audit_result *a = report->audit;
        PRINT(",\"audit\":{\"equal\":%s,\"acked\":%llu,\"counted\":%llu,\"duplicate\":%llu,"
              "\"rejected\":%llu,\"differences\":%llu,\"wait_s\":%.3f,\"first\":",
              a->equal ? "true" : "false", (unsigned long long)a->acked,
              (unsigned long long)a->counted, (unsigned long long)a->duplicate,
              (unsigned long long)a->rejected, (unsigned long long)a->differences, a->wait_s);
        rc = rc ? rc : cb_buf_append_json(out, cb_str_of(a->first));
        PRINT("}");
    }
    PRINT("}\n");
    return rc;
}
