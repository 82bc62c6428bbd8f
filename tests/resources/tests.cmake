# SPDX-License-Identifier: MIT
# What runs out or fails below the program: disk, map, descriptors, time. The shim is preloaded into the program under test,
# so it has no sanitizer of its own; theirs then is not the first library, which it must be told to bear.
add_library(resources_shim MODULE resources/shim.c)
target_compile_options(resources_shim PRIVATE -fno-sanitize=all)
target_link_options(resources_shim PRIVATE -fno-sanitize=all)
target_link_libraries(resources_shim PRIVATE ${CMAKE_DL_LIBS})

function(cb_resources_test name)
  add_test(NAME resources/${name}
    COMMAND ${CB_NODE} --test ${CMAKE_CURRENT_SOURCE_DIR}/resources/${name}.test.mjs)
  set_tests_properties(resources/${name} PROPERTIES LABELS crash TIMEOUT 300
    ENVIRONMENT "CHATBEACON_BINARY=$<TARGET_FILE:chatbeacon>;CB_FAULT_SHIM=$<TARGET_FILE:resources_shim>")
endfunction()

cb_resources_test(disk_full)
cb_resources_test(disk_error)
cb_resources_test(map_full)
cb_resources_test(retention)
cb_resources_test(descriptors)
cb_resources_test(readers)
cb_resources_test(clock)
cb_resources_test(kept)
