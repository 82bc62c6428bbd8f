# SPDX-License-Identifier: MIT
# fuzz/replay/NAME runs the corpus and the kept crashers once, in this build. fuzz/NAME fuzzes: libFuzzer needs
# clang, so these come from a configuration of their own, in fuzz/ of this build's folder.
include(${CMAKE_CURRENT_LIST_DIR}/targets.cmake)
set(CB_FUZZ_DIR ${CMAKE_CURRENT_LIST_DIR})
set(CB_FUZZ_BUILD ${CMAKE_BINARY_DIR}/fuzz)

function(cb_fuzz_replay name library max_len)
  add_executable(${name}_fuzz_replay ${CB_FUZZ_DIR}/${name}_fuzz.c ${CB_FUZZ_DIR}/replay.c)
  target_link_libraries(${name}_fuzz_replay PRIVATE ${library} proto PkgConfig::EVENT PkgConfig::MSGPACK PkgConfig::SODIUM)
  target_include_directories(${name}_fuzz_replay PRIVATE ${CMAKE_SOURCE_DIR})
  add_test(NAME fuzz/replay/${name}
    COMMAND ${name}_fuzz_replay ${CB_FUZZ_DIR}/corpus/${name} ${CB_FUZZ_DIR}/regress/${name})
  set_tests_properties(fuzz/replay/${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
cb_fuzz_each(cb_fuzz_replay)

# The version whose runtime packages.txt names comes first.
find_program(CB_CLANG NAMES clang-14 clang)
find_program(CB_CLANGXX NAMES clang++-14 clang++)
if(NOT CB_CLANG OR NOT CB_CLANGXX)
  message(WARNING "No clang: inputs of the fuzz targets are replayed, nothing is fuzzed")
  return()
endif()

include(ExternalProject)
ExternalProject_Add(fuzz_build
  SOURCE_DIR ${CMAKE_SOURCE_DIR}
  BINARY_DIR ${CB_FUZZ_BUILD}
  PREFIX ${CB_FUZZ_BUILD}-project
  CMAKE_ARGS -DCB_FUZZ=ON -DCMAKE_C_COMPILER=${CB_CLANG} -DCMAKE_CXX_COMPILER=${CB_CLANGXX}
    -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g" "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g"
    -DCB_SANITIZE=address$<COMMA>undefined$<COMMA>fuzzer-no-link
  BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target fuzz
  BUILD_ALWAYS ON
  INSTALL_COMMAND ""
  USES_TERMINAL_BUILD ON)

# run watches the time itself: CB_FUZZ_SECONDS is read when the test runs. The limit here is for the long form.
function(cb_fuzz_test name library max_len)
  add_test(NAME fuzz/${name}
    COMMAND ${CB_FUZZ_DIR}/run ${CB_FUZZ_BUILD}/tests/fuzz/${name}_fuzz ${name} ${max_len} ${CMAKE_BINARY_DIR}/fuzz-found)
  set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 90000)
endfunction()
cb_fuzz_each(cb_fuzz_test)
