# SPDX-License-Identifier: MIT
# The one table of fuzz targets: NAME LIBRARY MAX_LEN. NAME_fuzz.c is the source, corpus/NAME and regress/NAME are
# its inputs, MAX_LEN is the longest input in bytes that the fuzzer makes.
set(CB_FUZZ_TARGETS
  "beacon_json ingest 8192"
  "beacon_msgpack ingest 8192"
  "frame proto 8192"
  "record store 8192"
  "message proto 4096"
  "http proto 12288"
  "query query 1024")

# cb_fuzz_each(FUNCTION): calls FUNCTION(NAME LIBRARY MAX_LEN) for each of them.
function(cb_fuzz_each function)
  foreach(row IN LISTS CB_FUZZ_TARGETS)
    separate_arguments(row)
    cmake_language(CALL ${function} ${row})
  endforeach()
endfunction()
