# SPDX-License-Identifier: MIT
# End-to-end tests drive the real binary over real sockets. CB_NODE is found by proto/embed.cmake.
function(cb_e2e_test name file)
  add_test(NAME e2e/${name} COMMAND ${CB_NODE} --test ${CMAKE_CURRENT_SOURCE_DIR}/e2e/${file}.test.mjs)
  set_tests_properties(e2e/${name} PROPERTIES LABELS e2e TIMEOUT 600
    ENVIRONMENT "CHATBEACON_BINARY=$<TARGET_FILE:chatbeacon>;${ARGN}")
endfunction()

cb_e2e_test(inproc contract "CB_TRANSPORT=inproc")
cb_e2e_test(ipc contract "CB_TRANSPORT=ipc")
cb_e2e_test(tcp contract "CB_TRANSPORT=tcp")
cb_e2e_test(faults faults)
cb_e2e_test(upkeep upkeep)
cb_e2e_test(exactly_once exactly_once)
cb_e2e_test(limits limits)
cb_e2e_test(overload overload)
cb_e2e_test(export_inproc export "CB_TRANSPORT=inproc")
cb_e2e_test(export_ipc export "CB_TRANSPORT=ipc")
cb_e2e_test(metrics metrics)
cb_e2e_test(behaviour behaviour)
