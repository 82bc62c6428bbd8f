# SPDX-License-Identifier: MIT
# The store once more, without sanitizers: 20,000 images are opened in a minute or two, and a preloaded library cannot
# come before AddressSanitizer's. See power/README.md.
set(power_sources)
set(power_libraries)
foreach(library store proto)
  get_target_property(sources ${library} SOURCES)
  list(TRANSFORM sources PREPEND ${CMAKE_SOURCE_DIR}/${library}/ REGEX "^[^/]")
  list(APPEND power_sources ${sources})
  get_target_property(libraries ${library} LINK_LIBRARIES)
  list(APPEND power_libraries ${libraries})
endforeach()
list(REMOVE_ITEM power_libraries proto)

add_library(power_plain INTERFACE)
target_compile_options(power_plain INTERFACE -fno-sanitize=all -O2)
target_link_options(power_plain INTERFACE -fno-sanitize=all)

add_library(power_store STATIC ${power_sources})
target_link_libraries(power_store PUBLIC power_plain ${power_libraries})

add_library(power_shim SHARED power/shim.c)
target_include_directories(power_shim PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(power_shim PRIVATE power_plain ${CMAKE_DL_LIBS})

add_executable(power_driver power/driver.c)
target_link_libraries(power_driver PRIVATE power_store)
add_executable(power_rebuild power/rebuild.c power/disk.c power/disk_load.c power/oracle.c power/recount.c)
target_link_libraries(power_rebuild PRIVATE power_store)

foreach(part images controls)
  add_test(NAME power/${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/power/run $<TARGET_FILE_DIR:power_driver> ${part})
  set_tests_properties(power/${part} PROPERTIES LABELS crash TIMEOUT 3600)
endforeach()
