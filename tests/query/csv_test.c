/* SPDX-License-Identifier: MIT
 * Reports as tables, each kind of rows; what must not run in a spreadsheet; texts that no report of
 * ours is, which must only not be read past their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "query/csv.h"

/* The text, ending where the memory does. */
static struct cb_str guarded(const char *text) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), len = strlen(text);
    const size_t pages = (len + page - 1) / page * page + page;
    char *bytes =
        mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    assert_int_equal(mprotect(bytes + pages, page, PROT_NONE), 0);
    memcpy(bytes + pages - len, text, len);
    return (struct cb_str){bytes + pages - len, len};
}

static void assert_table(const char *json, const char *rows, const char *wanted) {
    struct cb_buf out;
    cb_buf_init(&out, 1 << 20);
    assert_int_equal(cb_csv_write(guarded(json), rows, &out), 0);
    assert_int_equal(cb_buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, wanted);
    cb_buf_fini(&out);
}

static void an_array_has_a_row_in_each_item(void **state) {
    (void)state;
    assert_table("{\"site\":\"demo\",\"points\":[{\"t\":1,\"events\":-2},{\"t\":3,\"events\":4}]}",
                 "points", "t,events\r\n1,-2\r\n3,4\r\n");
    assert_table("{\"rows\":[]}", "rows", "");
    assert_table("{\"rows\":[7,\"x\",null,true]}", "rows", "value\r\n7\r\nx\r\n\r\ntrue\r\n");
    assert_table("{\"other\":1}", "rows", "");
}

/* What one row lacks stands where it does in the others. */
static void columns_are_those_of_all_rows_in_their_order(void **state) {
    (void)state;
    assert_table("{\"rows\":[{\"a\":1,\"c\":2},{\"a\":3,\"b\":4,\"c\":5},{\"b\":6,\"z\":7}]}",
                 "rows", "a,b,z,c\r\n1,,,2\r\n3,4,,5\r\n,6,7,\r\n");
}

static void objects_and_arrays_in_rows_are_columns(void **state) {
    (void)state;
    assert_table("{\"rows\":[{\"f\":{\"name\":\"Ann\",\"deep\":{\"x\":1}},\"r\":[5,6]},"
                 "{\"r\":[7,8,9],\"h\":[[1,2],[3,4]]}]}",
                 "rows",
                 "f.name,f.deep.x,r.0,r.1,r.2,h\r\nAnn,1,5,6,,\r\n,,7,8,9,\"[[1,2],[3,4]]\"\r\n");
    assert_table("{\"rows\":[{\"r\":[],\"o\":{},\"x\":1}]}", "rows", "x\r\n1\r\n");
}

static void members_are_rows(void **state) {
    (void)state;
    assert_table("{\"sites\":{\"a\":{\"n\":1},\"b\":{\"n\":2,\"r\":{\"x\":3}}}}", "sites",
                 "name,n,r.x\r\na,1,\r\nb,2,3\r\n");
    assert_table("{\"s\":1,\"one\":{\"n\":1},\"two\":{\"n\":2},\"l\":[{\"n\":3}]}", CB_CSV_OBJECTS,
                 "name,n\r\none,1\r\ntwo,2\r\n");
    assert_table("{\"list\":[{\"n\":1}],\"sum\":{\"n\":2}}", "list+sum",
                 "part,n\r\nlist,1\r\nsum,2\r\n");
}

static void pairs_are_the_whole(void **state) {
    (void)state;
    assert_table("{\"site\":\"demo\",\"events\":{\"onClick\":12,\"a.b\":1},\"tz\":null,"
                 "\"h\":[[1,2]],\"list\":[1,2],\"ok\":true}",
                 CB_CSV_PAIRS,
                 "name,value\r\nsite,demo\r\nevents.onClick,12\r\nevents.a.b,1\r\ntz,\r\n"
                 "h,\"[[1,2]]\"\r\nlist.0,1\r\nlist.1,2\r\nok,true\r\n");
    assert_table("{}", CB_CSV_PAIRS, "name,value\r\n");
}

static void what_it_is_compared_with_is_told_apart(void **state) {
    (void)state;
    assert_table("{\"points\":[{\"t\":5}],\"compare\":{\"points\":[{\"t\":4}]}}", "points",
                 "span,t\r\nthis,5\r\ncompare,4\r\n");
    assert_table("{\"a\":{\"n\":1},\"compare\":{\"a\":{\"n\":2}}}", CB_CSV_OBJECTS,
                 "span,name,n\r\nthis,a,1\r\ncompare,a,2\r\n");
    assert_table("{\"visitors\":7,\"compare\":{\"visitors\":6}}", CB_CSV_PAIRS,
                 "name,value\r\nvisitors,7\r\ncompare.visitors,6\r\n");
}

static void nothing_in_it_runs(void **state) {
    static const char *const cells[][2] = {
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"\\t=1", "'\t=1"},
        {"\\r=1", "\"'\r=1\""},
        {"\\n=1", "\"'\n=1\""},
        {"'=1", "''=1"},
        {"=\\\"a\\\",b", "\"'=\"\"a\"\",b\""},
        {"a=1", "a=1"},
        {"\\\\\\u003cb\\u003e\\u2028\\u00e9", "\\<b>\xe2\x80\xa8\xc3\xa9"},
        {"\\u0000\\u0008\\b", NULL},
        {"[1,2]", "\"[1,2]\""},
        {"{\\\"a\\\":1}", "\"{\"\"a\"\":1}\""},
        {"Σοφία", "Σοφία"},
        {"", ""},
    };
    char json[256], wanted[256];
    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct cb_buf out;
        snprintf(json, sizeof json, "{\"rows\":[{\"x\":\"%s\",\"%s\":1}]}", cells[i][0],
                 cells[i][0]);
        cb_buf_init(&out, 4096);
        assert_int_equal(cb_csv_write(guarded(json), "rows", &out), 0);
        if (cells[i][1]) { /* as a cell, and as a title */
            snprintf(wanted, sizeof wanted, "x,%s\r\n%s,1\r\n", cells[i][1], cells[i][1]);
            assert_int_equal(out.len, strlen(wanted));
            assert_memory_equal(out.data, wanted, out.len);
        }
        cb_buf_fini(&out);
    }
}

static void bounds_are_kept(void **state) {
    struct cb_buf json, out;
    (void)state;
    cb_buf_init(&json, 1 << 20);
    cb_buf_init(&out, 1 << 20);
    assert_int_equal(cb_buf_printf(&json, "{\"rows\":[{\"r\":[0"), 0);
    for (unsigned i = 1; i <= CB_CSV_COLUMNS_MAX; i++)
        assert_int_equal(cb_buf_printf(&json, ",%u", i), 0);
    assert_int_equal(cb_buf_printf(&json, "]}]}"), 0);
    struct cb_str text = {json.data, json.len};
    assert_int_equal(cb_csv_write(text, "rows", &out), CB_ETOOBIG);
    /* Pairs have no columns. */
    assert_int_equal(cb_csv_write(text, CB_CSV_PAIRS, &out), 0);
    cb_buf_clear(&json);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(cb_buf_printf(&json, "{\"a\":"), 0);
    assert_int_equal(cb_buf_printf(&json, "1"), 0);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(cb_buf_printf(&json, "}"), 0);
    text = (struct cb_str){json.data, json.len};
    cb_buf_clear(&out);
    assert_int_equal(cb_csv_write(text, CB_CSV_PAIRS, &out), CB_ETOOBIG);
    cb_buf_fini(&json);
    cb_buf_fini(&out);
    struct cb_buf small;
    cb_buf_init(&small, 8);
    assert_int_equal(cb_csv_write(CB_STR("{\"rows\":[{\"abc\":1234567}]}"), "rows", &small),
                     CB_ETOOBIG);
    cb_buf_fini(&small);
}

/* No report is like these; nothing is read past the end. */
static void broken_texts_do_no_harm(void **state) {
    static const char whole[] =
        "{\"rows\":[{\"a\":\"x\\u00e9\\\"y\",\"b\":[1,2],\"c\":{\"d\":-1.5}},"
        "{\"a\":null}],\"next\":\"ab\"}";
    static const char *const rows[] = {"rows", CB_CSV_PAIRS, CB_CSV_OBJECTS, "rows+next"};
    char part[sizeof whole];
    (void)state;
    for (size_t len = 0; len < sizeof whole; len++) {
        memcpy(part, whole, len);
        part[len] = '\0';
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct cb_buf out;
            cb_buf_init(&out, 4096);
            int rc = cb_csv_write(guarded(part), rows[i], &out);
            (void)rc;
            cb_buf_fini(&out);
        }
    }
    assert_int_equal(cb_csv_member(guarded(whole), cb_str_of("next")).len, 4);
    assert_int_equal(cb_csv_member(guarded(whole), cb_str_of("none")).len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_has_a_row_in_each_item),
        cmocka_unit_test(columns_are_those_of_all_rows_in_their_order),
        cmocka_unit_test(objects_and_arrays_in_rows_are_columns),
        cmocka_unit_test(members_are_rows),
        cmocka_unit_test(pairs_are_the_whole),
        cmocka_unit_test(what_it_is_compared_with_is_told_apart),
        cmocka_unit_test(nothing_in_it_runs),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(broken_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
