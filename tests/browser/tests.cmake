# SPDX-License-Identifier: MIT
# Tests in a real Chromium. cb_browser_test(widget_api): widget_api.test.mjs. The real binary is in
# CHATBEACON_BINARY.
function(cb_browser_test name)
  add_test(NAME browser/${name}
    COMMAND ${CB_NODE} --test ${CMAKE_CURRENT_SOURCE_DIR}/browser/${name}.test.mjs)
  set_tests_properties(browser/${name} PROPERTIES LABELS browser TIMEOUT 300 RUN_SERIAL ON
    ENVIRONMENT "CHATBEACON_BINARY=$<TARGET_FILE:chatbeacon>")
endfunction()

cb_browser_test(widget_assets)
cb_browser_test(widget_api)
cb_browser_test(widget_triggers)
cb_browser_test(widget_consent)
cb_browser_test(widget_hostile)
cb_browser_test(widget_rivals)
cb_browser_test(widget_pages)
cb_browser_test(widget_bfcache)
cb_browser_test(widget_delivery)
cb_browser_test(widget_panel)
cb_browser_test(widget_panel_form)
cb_browser_test(widget_panel_look)
cb_browser_test(widget_panel_axe)
cb_browser_test(widget_panel_consent)
cb_browser_test(demo)
cb_browser_test(widget_e2e)

# Types (tsc) and formatting (prettier) of the web parts.
add_test(NAME browser/check_web COMMAND npm run --silent check:web WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(browser/check_web PROPERTIES LABELS browser TIMEOUT 120)

# The dashboard, against a fake of the query API.
cb_browser_test(dashboard)
