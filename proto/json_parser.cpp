/* SPDX-License-Identifier: MIT
 * json_parser.cpp: simdjson's DOM parser behind json_parser.h. No exception leaves this file, nor
 * does any C++ type.
 *
 * simdjson's elements and iterators are two words each and trivially copyable, so they travel in
 * cb_value and cb_value_walk as they are: a walk allocates nothing. */
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <cassert>
#include <cstring>
#include <new>
#include <type_traits>

#include "proto/json_parser.h"

namespace dom = simdjson::dom;

struct cb_json_parser {
    dom::parser parser;
    explicit cb_json_parser(size_t max) : parser(max) {
    }
};

namespace {

/* The parser never asks for less, so that small bodies do not make it grow step by step. */
constexpr size_t capacity_min = 4096;

template <typename T> void store(uintptr_t (&words)[2], const T &value) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) == sizeof(words),
                  "simdjson's elements and iterators are two words");
    std::memcpy(words, static_cast<const void *>(&value), sizeof(words));
}

template <typename T> T load(const uintptr_t (&words)[2]) {
    T value;
    std::memcpy(static_cast<void *>(&value), words, sizeof(words));
    return value;
}

/* element's type is known, so this cannot fail. */
template <typename T> T get(dom::element element) {
    T value{};
    simdjson::error_code code = element.get(value);
    assert(!code);
    (void)code;
    return value;
}

void value_of(dom::element element, cb_value *out) {
    switch (element.type()) {
    case dom::element_type::OBJECT:
        out->type = CB_VALUE_OBJECT;
        store(out->where, get<dom::object>(element));
        return;
    case dom::element_type::ARRAY:
        out->type = CB_VALUE_ARRAY;
        store(out->where, get<dom::array>(element));
        return;
    case dom::element_type::STRING: {
        auto text = get<std::string_view>(element);
        out->type = CB_VALUE_STRING;
        out->s.p = text.data();
        out->s.len = text.size();
        return;
    }
    case dom::element_type::INT64: {
        auto number = get<int64_t>(element);
        out->type = number < 0 ? CB_VALUE_INT : CB_VALUE_UINT;
        out->i = number; /* the same bits as u where it is not negative */
        return;
    }
    case dom::element_type::UINT64:
        out->type = CB_VALUE_UINT;
        out->u = get<uint64_t>(element);
        return;
    case dom::element_type::DOUBLE:
        out->type = CB_VALUE_FLOAT;
        out->f = get<double>(element);
        return;
    case dom::element_type::BOOL:
        out->type = CB_VALUE_BOOL;
        out->boolean = get<bool>(element);
        return;
    case dom::element_type::NULL_VALUE:
        break;
    }
    out->type = CB_VALUE_NULL;
}

const char *why_of(simdjson::error_code code) {
    switch (code) {
    case simdjson::EMPTY:
        return "the body is empty";
    case simdjson::DEPTH_ERROR:
        return "the JSON is nested too deep";
    case simdjson::UTF8_ERROR:
        return "the body is not UTF-8";
    case simdjson::STRING_ERROR:
        return "a JSON string has a bad escape or half a surrogate pair";
    case simdjson::UNESCAPED_CHARS:
        return "a JSON string holds a control character that is not escaped";
    case simdjson::UNCLOSED_STRING:
        return "a JSON string has no end";
    case simdjson::NUMBER_ERROR:
        return "a JSON number is malformed or too large";
    default:
        return "the body is not JSON (RFC 8259)";
    }
}

size_t count(const cb_value *value) {
    if (value->type == CB_VALUE_ARRAY)
        return load<dom::array>(value->where).size();
    return load<dom::object>(value->where).size();
}

void begin(const cb_value *value, cb_value_walk *walk) {
    if (value->type == CB_VALUE_ARRAY) {
        dom::array array = load<dom::array>(value->where);
        store(walk->at, array.begin());
        store(walk->end, array.end());
    } else {
        dom::object object = load<dom::object>(value->where);
        store(walk->at, object.begin());
        store(walk->end, object.end());
    }
}

bool item(cb_value_walk *walk, cb_value *out) {
    auto at = load<dom::array::iterator>(walk->at);
    if (!(at != load<dom::array::iterator>(walk->end)))
        return false;
    value_of(*at, out);
    ++at;
    store(walk->at, at);
    return true;
}

bool member(cb_value_walk *walk, cb_str *key, cb_value *out) {
    auto at = load<dom::object::iterator>(walk->at);
    if (!(at != load<dom::object::iterator>(walk->end)))
        return false;
    std::string_view name = at.key();
    key->p = name.data();
    key->len = name.size();
    value_of(at.value(), out);
    ++at;
    store(walk->at, at);
    return true;
}

} // namespace

extern "C" {

const cb_value_ops cb_json_values = {count, begin, item, member};

int cb_json_parser_create(size_t body_max_bytes, cb_json_parser **out) {
    cb_json_parser *json = new (std::nothrow)
        cb_json_parser(body_max_bytes < capacity_min ? capacity_min : body_max_bytes);
    if (!json)
        return CB_ENOMEM;
    if (json->parser.allocate(capacity_min, CB_VALUE_DEPTH_MAX)) {
        delete json;
        return CB_ENOMEM;
    }
    *out = json;
    return 0;
}

void cb_json_parser_destroy(cb_json_parser **json) {
    delete *json;
    *json = nullptr;
}

int cb_json_parse(cb_json_parser *json, cb_str body, cb_value *out, const char **why) {
    dom::element root;
    simdjson::error_code code = json->parser.parse(body.p ? body.p : "", body.len, false).get(root);
    if (code == simdjson::MEMALLOC || code == simdjson::CAPACITY)
        return CB_ENOMEM;
    if (code) {
        *why = why_of(code);
        return CB_EMALFORMED;
    }
    value_of(root, out);
    return 0;
}

} // extern "C"
