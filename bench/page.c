/* SPDX-License-Identifier: MIT
 * page.c: the page of a run: its table, and two plots in SVG: latency by percentile, where the tail
 * gets as much room as the middle (each nine the same width), and answers a second over time. */
#include <math.h>
#include <stdio.h>

#include "bench/report.h"

enum { WIDTH = 860, HEIGHT = 320, LEFT = 70, RIGHT = 20, TOP = 16, BOTTOM = 40 };

/* The first error of a row of prints is kept. */
#define PRINT(...) (rc = rc ? rc : cb_buf_printf(out, __VA_ARGS__))

static const char style[] =
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:900px;padding:0 1em;"
    "color:#1a1a2e;background:#fff}pre{background:#f3f4f8;padding:1em;overflow-x:auto}"
    "svg{width:100%;height:auto}text{font-size:12px;fill:#4a4a5e}"
    ".grid{stroke:#dcdce6}.a{stroke:#1463ff}.b{stroke:#d1344b}.c{stroke:#8a5a00}"
    "path{fill:none;stroke-width:1.8}.key{font-size:13px}.key.a{color:#1463ff}.key.b{color:#d1344b}"
    ".key.c{color:#8a5a00}";

static double x_at(double part) {
    return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double y_at(double part) {
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static int svg_begin(struct cb_buf *out, const char *label) {
    return cb_buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH,
                         HEIGHT, label);
}

static int grid_x(struct cb_buf *out, double part, const char *text) {
    return cb_buf_printf(out,
                         "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                         "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                         x_at(part), x_at(part), TOP, HEIGHT - BOTTOM, x_at(part),
                         HEIGHT - BOTTOM + 18, text);
}

static int grid_y(struct cb_buf *out, double part, const char *unit, double value) {
    return cb_buf_printf(out,
                         "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                         "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g%s</text>\n",
                         LEFT, WIDTH - RIGHT, y_at(part), y_at(part), LEFT - 8, y_at(part) + 4,
                         value, unit);
}

/* ---- latency by percentile ---- */

enum { NINES = 5, STEPS = 40 }; /* up to 99.999 %, and points of each nine */

/* Latencies are drawn from 0.01 ms, on a logarithmic scale. */
static double log_ms(double us) {
    return log10(us < 10 ? 10 : us) - 1;
}

static int latency_line(struct cb_buf *out, const struct cb_latency *l, double top,
                        const char *class) {
    int rc = 0;
    if (l->n == 0)
        return 0;
    PRINT("<path class=\"%s\" d=\"", class);
    for (int i = 0; i <= NINES * STEPS; i++) {
        double nines = (double)i / STEPS, q = 1 - pow(10, -nines);
        if (i && pow(10, nines) > (double)l->n)
            break; /* fewer than one is beyond it */
        PRINT("%s%.1f %.1f", i ? "L" : "M", x_at(nines / NINES),
              y_at(log_ms((double)cb_latency_quantile_us(l, q)) / top));
    }
    PRINT("\"/>\n");
    return rc;
}

static int latency_plot(const struct cb_report *report, struct cb_buf *out) {
    static const char *const texts[NINES + 1] = {"0 %",    "90 %",    "99 %",
                                                 "99.9 %", "99.99 %", "99.999 %"};
    double most = 100;
    int rc = 0;
    for (unsigned i = 0; i < CB_LANES; i++) {
        const struct cb_client_lane *lane = &report->lanes[i];
        most = fmax(most, (double)lane->accepted.max_us);
        most = fmax(most, (double)lane->refused.max_us);
    }
    double top = ceil(log_ms(most));
    PRINT("<h2>Latency by percentile</h2>\n");
    rc = rc ? rc : svg_begin(out, "latency by percentile, in milliseconds");
    for (int i = 0; i <= NINES; i++)
        rc = rc ? rc : grid_x(out, (double)i / NINES, texts[i]);
    for (int i = 0; i <= (int)top; i++)
        rc = rc ? rc : grid_y(out, i / top, " ms", pow(10, i - 2));
    rc = rc ? rc : latency_line(out, &report->lanes[CB_LANE_INGEST].accepted, top, "a");
    rc = rc ? rc : latency_line(out, &report->lanes[CB_LANE_INGEST].refused, top, "b");
    rc = rc ? rc : latency_line(out, &report->lanes[CB_LANE_QUERY].accepted, top, "c");
    PRINT("</svg>\n<p><span class=\"key a\">— 2xx of ingest</span> <span class=\"key b\">— "
          "refused</span> <span class=\"key c\">— reports</span></p>\n");
    return rc;
}

/* ---- rate over time ---- */

static int rate_line(const struct cb_report *report, struct cb_buf *out, double top,
                     const char *class, bool refused) {
    int rc = 0;
    PRINT("<path class=\"%s\" d=\"", class);
    for (unsigned i = 0; i < report->n_seconds; i++) {
        const struct cb_report_second *s = &report->seconds[i];
        double n = (double)(refused ? s->refused + s->unanswered : s->accepted);
        PRINT("%s%.1f %.1f", i ? "L" : "M", x_at((i + 1.0) / report->n_seconds), y_at(n / top));
    }
    PRINT("\"/>\n");
    return rc;
}

static int rate_plot(const struct cb_report *report, struct cb_buf *out) {
    double most = 1;
    int rc = 0;
    for (unsigned i = 0; i < report->n_seconds; i++) {
        const struct cb_report_second *s = &report->seconds[i];
        most = fmax(most, fmax((double)s->accepted, (double)(s->refused + s->unanswered)));
    }
    double unit = pow(10, floor(log10(most))), top = ceil(most / unit) * unit;
    PRINT("<h2>Answers a second</h2>\n");
    rc = rc ? rc : svg_begin(out, "answers a second over time");
    for (int i = 0; i <= 4; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.3g s", (double)report->n_seconds * i / 4);
        rc = rc ? rc : grid_x(out, i / 4.0, text);
        rc = rc ? rc : grid_y(out, i / 4.0, "", top * i / 4);
    }
    rc = rc ? rc : rate_line(report, out, top, "a", false);
    rc = rc ? rc : rate_line(report, out, top, "b", true);
    PRINT("</svg>\n<p><span class=\"key a\">— 2xx</span> <span class=\"key b\">— refused or not "
          "answered</span></p>\n");
    return rc;
}

/* Text of our own, with what HTML would take for its own escaped. */
static int put_text(struct cb_buf *out, struct cb_str text) {
    int rc = 0;
    for (size_t i = 0; i < text.len && !rc; i++) {
        char c = text.p[i];
        rc = c == '<'   ? cb_buf_append(out, "&lt;", 4)
             : c == '&' ? cb_buf_append(out, "&amp;", 5)
                        : cb_buf_append(out, &c, 1);
    }
    return rc;
}

int cb_report_html(const struct cb_report *report, struct cb_buf *out) {
    struct cb_buf table;
    int rc = 0;
    cb_buf_init(&table, CB_REPORT_OUT_MAX);
    PRINT("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width\">"
          "<title>chatbeacon-load: %s</title>\n<style>%s</style>\n<h1>chatbeacon-load: %s</h1>\n",
          report->options->mix, style, report->options->mix);
    rc = rc ? rc : latency_plot(report, out);
    if (report->n_seconds)
        rc = rc ? rc : rate_plot(report, out);
    PRINT("<h2>Figures</h2>\n<pre>");
    rc = rc ? rc : cb_report_table(report, &table);
    rc = rc ? rc : put_text(out, (struct cb_str){table.data, table.len});
    PRINT("</pre>\n</html>\n");
    cb_buf_fini(&table);
    return rc;
}
