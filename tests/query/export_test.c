/* SPDX-License-Identifier: MIT
 * An export over the fake reader: the exact rows, the cursor, and where it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/pack.h"
#include "query/report.h"
#include "tests/query/fake_reader.h"

static const struct cb_envelope ada = {.site = CB_STR("demo"),
                                       .visitor = {0xab, 0xcd, 1},
                                       .has_visitor = true,
                                       .producer = {0xee, 1},
                                       .received_ms = 600000};
static const struct cb_envelope nobody = {
    .site = CB_STR("demo"), .producer = {0xee, 2}, .received_ms = 700000};
static const struct cb_envelope other = {
    .site = CB_STR("shop"), .producer = {0xee, 3}, .received_ms = 700000};

static const struct cb_event click = {.seq = 1,
                                      .name_code = CB_NAME_CLICK,
                                      .name = CB_STR("onClick"),
                                      .page = CB_STR("https://shop.example/\"a\",b")};
static const struct cb_event set = {.seq = 2,
                                    .name_code = CB_NAME_SET,
                                    .name = CB_STR("set"),
                                    .key = CB_STR("phone"),
                                    .value = CB_STR("+44 1")};
static const struct cb_event get = {
    .seq = 3, .name_code = CB_NAME_GET, .name = CB_STR("get"), .key = CB_STR("name")};
/* {"plan":"=pro","seats":3} */
static const struct cb_event custom = {
    .seq = 4, .name = CB_STR("signup"), .props = CB_STR("\x82\xa4plan\xa4=pro\xa5seats\x03")};

static const struct cb_export_row rows[] = {
    {3, 0, &ada, &click, 599000},     {3, 2, &ada, &set, 600000},
    {4, 0, &other, &click, 700000},   {7, 0, &nobody, &get, 660000},
    {7, 1, &nobody, &custom, 700000}, {4712, 0, &ada, &click, 800000}, /* behind the views */
};

static struct cb_reader reader;

static int setup(void **state) {
    (void)state;
    reader = (struct cb_reader){.rows = rows, .n_rows = sizeof rows / sizeof *rows};
    return 0;
}

static enum cb_refusal begin(const char *query, enum cb_role role, struct cb_export **out,
                             struct cb_param_error *error) {
    static const char *const allowed[] = {"format", "cursor", "until", "limit",
                                          "from",   "to",     "tz",    NULL};
    struct cb_report_ctx ctx = {.reader = &reader,
                                .site_name = CB_STR("demo"),
                                .site = {.id = FAKE_DEMO},
                                .token = {.role = role},
                                .now_ms = 200 * 24 * 60 * CB_MINUTE_MS}; /* the rows are old */
    assert_int_equal(cb_params_parse(cb_str_of(query), allowed, &ctx.params, error), 0);
    assert_int_equal(cb_snapshot_begin(&reader, &ctx.snapshot), 0);
    enum cb_refusal refusal = cb_report_export(&ctx);
    cb_snapshot_end(&ctx.snapshot);
    *out = ctx.export;
    *error = ctx.error;
    return refusal;
}

/* All chunks; the caller frees. *n_chunks may be NULL. */
static char *whole(struct cb_export *export, unsigned *n_chunks, size_t *chunk_most) {
    struct cb_buf all, chunk;
    bool more = true;
    cb_buf_init(&all, 64 << 20);
    cb_buf_init(&chunk, CB_EXPORT_CHUNK_BYTES_MAX);
    for (unsigned n = 0; more; n++) {
        cb_buf_clear(&chunk);
        assert_int_equal(cb_export_next(export, &chunk, &more), 0);
        assert_int_equal(reader.open, 0); /* no snapshot is kept */
        assert_int_equal(cb_buf_append(&all, chunk.data, chunk.len), 0);
        if (chunk_most && chunk.len > *chunk_most)
            *chunk_most = chunk.len;
        if (n_chunks)
            *n_chunks = n + 1;
    }
    char *text = strndup(all.data ? all.data : "", all.len);
    assert_non_null(text);
    cb_buf_fini(&all);
    cb_buf_fini(&chunk);
    return text;
}

static void assert_export(const char *query, enum cb_role role, const char *want) {
    struct cb_param_error error;
    struct cb_export *export;
    assert_int_equal(begin(query, role, &export, &error), CB_REFUSE_NONE);
    char *text = whole(export, NULL, NULL);
    assert_string_equal(text, want);
    free(text);
    cb_export_destroy(&export);
}

#define ADA "\"visitor\":\"abcd0100000000000000000000000000\","
#define ADAS "\"producer\":\"ee01000000000000\","
#define NOBODYS "\"producer\":\"ee02000000000000\","
#define CLICK(producer)                                                                            \
    "{\"position\":3,\"index\":0,\"received\":600000,\"at\":599000,\"site\":\"demo\"," ADA         \
        producer                                                                                   \
    "\"seq\":1,\"name\":\"onClick\",\"page\":\"https://shop.example/\\\"a\\\",b\",\"props\":{}}\n"
#define SET(producer)                                                                              \
    "{\"position\":3,\"index\":2,\"received\":600000,\"at\":600000,\"site\":\"demo\"," ADA         \
        producer "\"seq\":2,\"name\":\"set\",\"page\":null,\"key\":\"phone\",\"value\":\"+44 "     \
    "1\",\"props\":{}}\n"
/* What a visitor typed is for operators. */
#define SET_SEEN_BY_A_VIEWER                                                                       \
    "{\"position\":3,\"index\":2,\"received\":600000,\"at\":600000,\"site\":\"demo\"," ADA         \
    "\"seq\":2,\"name\":\"set\",\"page\":null,\"key\":\"phone\",\"props\":{}}\n"
#define GET(producer)                                                                              \
    "{\"position\":7,\"index\":0,\"received\":700000,\"at\":660000,\"site\":\"demo\","             \
    "\"visitor\":null," producer                                                                   \
    "\"seq\":3,\"name\":\"get\",\"page\":null,\"key\":\"name\",\"props\":{}}\n"
#define SIGNUP(producer)                                                                           \
    "{\"position\":7,\"index\":1,\"received\":700000,\"at\":700000,\"site\":\"demo\","             \
    "\"visitor\":null," producer                                                                   \
    "\"seq\":4,\"name\":\"signup\",\"page\":null,\"props\":{\"plan\":\"=pro\",\"seats\":3}}\n"

static void ndjson_rows(void **state) {
    (void)state;
    assert_export("", CB_ROLE_ADMIN, CLICK(ADAS) SET(ADAS) GET(NOBODYS) SIGNUP(NOBODYS));
    assert_export("format=ndjson", CB_ROLE_OPERATOR, CLICK("") SET("") GET("") SIGNUP(""));
    assert_export("", CB_ROLE_VIEWER, CLICK("") SET_SEEN_BY_A_VIEWER GET("") SIGNUP(""));
}

#define TITLES "position,index,received,at,site,visitor,producer,seq,name,page,key,value,props\r\n"

static void csv_rows(void **state) {
    (void)state;
    assert_export("format=csv", CB_ROLE_ADMIN,
                  TITLES "3,0,600000,599000,demo,abcd0100000000000000000000000000,ee01000000000000,"
                         "1,onClick,\"https://shop.example/\"\"a\"\",b\",,,{}\r\n"
                         "3,2,600000,600000,demo,abcd0100000000000000000000000000,ee01000000000000,"
                         "2,set,,phone,'+44 1,{}\r\n"
                         "7,0,700000,660000,demo,,ee02000000000000,3,get,,name,,{}\r\n"
                         "7,1,700000,700000,demo,,ee02000000000000,4,signup,,,,"
                         "\"{\"\"plan\"\":\"\"=pro\"\",\"\"seats\"\":3}\"\r\n");
    assert_export("format=csv&cursor=7-0", CB_ROLE_OPERATOR,
                  TITLES "7,1,700000,700000,demo,,,4,signup,,,,"
                         "\"{\"\"plan\"\":\"\"=pro\"\",\"\"seats\"\":3}\"\r\n");
    assert_export("format=csv&cursor=7-1", CB_ROLE_OPERATOR, TITLES);
}

/* Nothing that a visitor writes is run by a spreadsheet, and everything can be had back. */
static void csv_runs_no_formula(void **state) {
    static const char *const cells[][2] = {
        {"=1+1", ",'=1+1,"},
        {"+1", ",'+1,"},
        {"-1", ",'-1,"},
        {"@SUM(A1)", ",'@SUM(A1),"},
        {"\t=1", ",'\t=1,"},
        {"\r=1", ",\"'\r=1\","},
        {"\n=1", ",\"'\n=1\","},
        {"'=1", ",''=1,"},
        {"=\"a\",b", ",\"'=\"\"a\"\",b\","},
        {"a=1", ",a=1,"},
        {"a\nb", ",\"a\nb\","},
        {"\"", ",\"\"\"\","},
        {"", ",,"},
        {"o'hara", ",o'hara,"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct cb_event event = set;
        struct cb_export_row row = {3, 0, &ada, &event, 600000};
        char want[512];
        event.value = cb_str_of(cells[i][0]);
        reader.rows = &row;
        reader.n_rows = 1;
        snprintf(want, sizeof want,
                 TITLES "3,0,600000,600000,demo,abcd0100000000000000000000000000,,2,set,,phone%s{}"
                        "\r\n",
                 cells[i][1]);
        assert_export("format=csv", CB_ROLE_OPERATOR, want);
    }
}

static void a_cursor_goes_on_behind_its_row(void **state) {
    (void)state;
    assert_export("cursor=3-0", CB_ROLE_OPERATOR, SET("") GET("") SIGNUP(""));
    assert_export("cursor=3-1", CB_ROLE_OPERATOR, SET("") GET("") SIGNUP(""));
    assert_export("cursor=3-2", CB_ROLE_OPERATOR, GET("") SIGNUP(""));
    assert_export("cursor=3-4294967294", CB_ROLE_OPERATOR, GET("") SIGNUP(""));
    assert_export("cursor=3", CB_ROLE_OPERATOR, GET("") SIGNUP(""));
    assert_export("cursor=18446744073709551615-0", CB_ROLE_OPERATOR, "");
    assert_export("cursor=3-0&until=3", CB_ROLE_OPERATOR, SET(""));
    assert_export("until=0", CB_ROLE_OPERATOR, "");
    assert_export("until=99999999", CB_ROLE_OPERATOR, CLICK("") SET("") GET("") SIGNUP(""));
    assert_export("limit=1", CB_ROLE_OPERATOR, CLICK(""));
    assert_export("limit=2&cursor=3-0", CB_ROLE_OPERATOR, SET("") GET(""));
}

static void times_narrow_it_and_are_open_when_not_given(void **state) {
    (void)state;
    assert_export("from=600000", CB_ROLE_OPERATOR, SET("") GET("") SIGNUP(""));
    assert_export("to=600000", CB_ROLE_OPERATOR, CLICK(""));
    assert_export("from=600000&to=660000", CB_ROLE_OPERATOR, SET(""));
    assert_export("from=1970-01-01T02:10&tz=Europe/Athens", CB_ROLE_OPERATOR,
                  SET("") GET("") SIGNUP(""));
    /* limit counts rows that are given, not those looked at */
    assert_export("from=600000&limit=1", CB_ROLE_OPERATOR, SET(""));
}

static void parameters_are_checked(void **state) {
    static const char *const bad[][2] = {
        {"format=xml", "format"},
        {"format=", "format"},
        {"format=CSV", "format"},
        {"cursor=", "cursor"},
        {"cursor=3-", "cursor"},
        {"cursor=-1", "cursor"},
        {"cursor=3-0-", "cursor"},
        {"cursor=3-%200", "cursor"},
        {"cursor=0-0", "cursor"},
        {"cursor=3--1", "cursor"},
        {"cursor=0x3-0", "cursor"},
        {"cursor=3-4294967295", "cursor"},
        {"cursor=18446744073709551616-0", "cursor"},
        {"cursor=99999999999999999999999999-0", "cursor"},
        {"until=", "until"},
        {"until=-1", "until"},
        {"until=18446744073709551616", "until"},
        {"limit=0", "limit"},
        {"limit=1.5", "limit"},
        {"limit=9007199254740992", "limit"},
        {"from=soon", "from"},
        {"to=soon", "to"},
        {"tz=Mars", "tz"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cb_param_error error;
        struct cb_export *export;
        assert_int_equal(begin(bad[i][0], CB_ROLE_ADMIN, &export, &error), CB_REFUSE_BAD_REQUEST);
        assert_string_equal(error.field, bad[i][1]);
        assert_true(strlen(error.sentence) > 5);
        assert_null(export);
    }
}

/* Events pour in faster than they are read: it ends all the same, where it said that it would. */
static void it_ends_while_events_pour_in(void **state) {
    struct cb_param_error error;
    struct cb_export *export;
    unsigned n_chunks;
    size_t most = 0, n = 0;
    (void)state;
    reader.endless = true;
    reader.position = 20000;
    reader.growth = 50000;
    assert_int_equal(begin("", CB_ROLE_OPERATOR, &export, &error), CB_REFUSE_NONE);
    assert_int_equal(cb_export_end(export), 20000);
    char *text = whole(export, &n_chunks, &most);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char head[64];
        snprintf(head, sizeof head, "{\"position\":%zu,\"index\":0,", ++n);
        assert_memory_equal(line, head, strlen(head));
    }
    assert_int_equal(n, 20000);
    /* bounded chunks, of events looked at and of bytes */
    assert_true(n_chunks >= 5);
    assert_true(reader.scan_most <= 4000);
    assert_true(most <= 128 * 1024 + 1024);
    free(text);
    cb_export_destroy(&export);
}

/* The largest event that there is fits, in both formats. */
static void the_largest_row_fits(void **state) {
    static char page[CB_PAGE_MAX], value[4000];
    static char props[CB_PROPS_MAX * (CB_PROP_KEY_MAX + CB_PROP_VALUE_MAX + 8)];
    struct cb_event event = set;
    struct cb_export_row many[3];
    size_t len = 0;
    (void)state;
    memset(page, '\x01', sizeof page);
    memset(value, '\x01', sizeof value);
    memcpy(props, "\xde\x00\x20", 3); /* map16 */
    len = 3;
    for (unsigned i = 0; i < CB_PROPS_MAX; i++) {
        memcpy(props + len, "\xd9\x40", 2); /* str8 */
        memset(props + len + 2, 'k', CB_PROP_KEY_MAX);
        props[len + 2] = (char)('A' + i % 26);
        props[len + 3] = (char)('a' + i / 26);
        len += 2 + CB_PROP_KEY_MAX;
        memcpy(props + len, "\xda\x04\x00", 3); /* str16 */
        memset(props + len + 3, '\x01', CB_PROP_VALUE_MAX);
        len += 3 + CB_PROP_VALUE_MAX;
    }
    event.page = (struct cb_str){page, sizeof page};
    event.value = (struct cb_str){value, sizeof value};
    event.props = (struct cb_str){props, len};
    assert_true(cb_props_valid(event.props));
    for (unsigned i = 0; i < 3; i++)
        many[i] = (struct cb_export_row){3, i, &ada, &event, 600000};
    reader.rows = many;
    reader.n_rows = 3;
    for (unsigned csv = 0; csv < 2; csv++) {
        struct cb_param_error error;
        struct cb_export *export;
        unsigned n_chunks;
        assert_int_equal(begin(csv ? "format=csv" : "", CB_ROLE_ADMIN, &export, &error),
                         CB_REFUSE_NONE);
        char *text = whole(export, &n_chunks, NULL);
        assert_true(strlen(text) > 3 * 6 * 30 * CB_PROP_VALUE_MAX);
        assert_int_equal(n_chunks, 3);
        free(text);
        cb_export_destroy(&export);
    }
}

static void what_fails_is_told(void **state) {
    struct cb_param_error error;
    struct cb_export *export;
    struct cb_buf chunk;
    bool more;
    (void)state;
    cb_buf_init(&chunk, CB_EXPORT_CHUNK_BYTES_MAX);
    assert_int_equal(begin("", CB_ROLE_ADMIN, &export, &error), CB_REFUSE_NONE);
    reader.broken_at = 7;
    assert_int_equal(cb_export_next(export, &chunk, &more), CB_ECORRUPT);
    reader.begin_rc = CB_EIO;
    assert_int_equal(cb_export_next(export, &chunk, &more), CB_EAGAIN);
    assert_int_equal(reader.open, 0);
    cb_export_destroy(&export);
    assert_null(export);
    cb_buf_fini(&chunk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ndjson_rows, setup),
        cmocka_unit_test_setup(csv_rows, setup),
        cmocka_unit_test_setup(csv_runs_no_formula, setup),
        cmocka_unit_test_setup(a_cursor_goes_on_behind_its_row, setup),
        cmocka_unit_test_setup(times_narrow_it_and_are_open_when_not_given, setup),
        cmocka_unit_test_setup(parameters_are_checked, setup),
        cmocka_unit_test_setup(it_ends_while_events_pour_in, setup),
        cmocka_unit_test_setup(the_largest_row_fits, setup),
        cmocka_unit_test_setup(what_fails_is_told, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
