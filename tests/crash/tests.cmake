# SPDX-License-Identifier: MIT
# What may break, broken on purpose; the oracle (tests/lib/oracle.mjs) judges. CB_NODE is found by proto/embed.cmake.
function(cb_crash_test name)
  add_test(NAME crash/${name} COMMAND ${CB_NODE} --test ${CMAKE_CURRENT_SOURCE_DIR}/crash/${name}.test.mjs)
  set_tests_properties(crash/${name} PROPERTIES LABELS crash TIMEOUT 900 ENVIRONMENT
    "CHATBEACON_BINARY=$<TARGET_FILE:chatbeacon>;CB_SOURCE=${CMAKE_SOURCE_DIR};CB_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

cb_crash_test(pipeline)
cb_crash_test(release)
if(CB_CRASH_POINTS)
  cb_crash_test(matrix)
  cb_crash_test(trim)
  cb_crash_test(erase)
endif()
