# SPDX-License-Identifier: MIT
# The query service over a reader in memory (fake_reader.h) and a dashboard of two files: its own
# sources, on proto alone.
get_target_property(query_sources query SOURCES)
list(FILTER query_sources EXCLUDE REGEX "^/") # what is made by the build
list(TRANSFORM query_sources PREPEND ${CMAKE_SOURCE_DIR}/query/)
add_library(query_on_fake STATIC ${query_sources} query/fake_reader.c)
target_link_libraries(query_on_fake PUBLIC proto PRIVATE PkgConfig::ICU PkgConfig::SODIUM)
cb_embed(query_on_fake cb_openapi_assets SOURCE_DIR ${CMAKE_SOURCE_DIR}/query STATIC openapi.json)

cb_test(query/span query_on_fake)
cb_test(query/access query_on_fake)
cb_test(query/reports query_on_fake)
cb_test(query/visits query_on_fake)
cb_test(query/breakdown query_on_fake)
cb_test(query/filter query_on_fake)
cb_test(query/steps query_on_fake)
cb_test(query/routes query_on_fake)
target_compile_definitions(query_routes_test PRIVATE CB_INGEST_ROUTES="${CMAKE_SOURCE_DIR}/ingest/routes.c")
cb_test(query/export query_on_fake)
cb_test(query/stream query_on_fake)
cb_test(query/live query_on_fake)
cb_test(query/csv query_on_fake)
