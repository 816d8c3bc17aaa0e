# SPDX-License-Identifier: Apache-2.0
include(GoogleTest)
find_package(GTest REQUIRED)

# Built in sanitizer builds instead of everything.
add_custom_target(sanitize_tests)
# Built as well where the sanitizers look at addresses and undefined behaviour: what has no threads of its own.
add_custom_target(address_tests)
# What scripts/gpu-report runs on a device as well.
add_custom_target(device_tests)
# The libFuzzer targets, in a build with ATTEND_FUZZ.
add_custom_target(fuzz_tests)

# attend_test(name SOURCES file... [LIBS library...] [LABELS label...] [TIMEOUT seconds] [ARGS argument...] [APART])
# One GoogleTest executable, its cases known to ctest one by one as `Suite.case`. Links attend_static and gtest_main, and sees
# src/ as an include path. Labels: unit (default), property, slow, house, fuzz; `long` keeps it out of `make test`, `sanitize`
# has it run under ASan, UBSan and TSan as well, `address` under ASan and UBSan; `device` puts it into device_tests/ of the build,
# where scripts/gpu-report looks for tests that ATTEND_TEST_DEVICE=cuda sends to a device. Up to eight
# files are compiled as one, in half the time, since most of it goes to headers and to what these instantiate; so a name stands for one
# thing in all of them. APART compiles them one by one, each with names of its own.
function(attend_test name)
  cmake_parse_arguments(arg "APART" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "attend_test(${name}): needs SOURCES; unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} attend_static GTest::gtest_main)
  # Tests are compiled once and run once: what they test is in libraries, compiled as users have it.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(NOT arg_APART)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON)
  endif()
  gtest_discover_tests(${name} EXTRA_ARGS ${arg_ARGS} DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES TEST_LIST ${name}_cases)
  # gtest_discover_tests() drops all but the first of several labels, so they are set by a file that ctest reads after its list.
  set(properties ${CMAKE_CURRENT_BINARY_DIR}/${name}_properties.cmake)
  file(WRITE ${properties} "if(${name}_cases)\n"
    "  set_tests_properties(\${${name}_cases} PROPERTIES LABELS \"${arg_LABELS}\" TIMEOUT ${arg_TIMEOUT})\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${properties})
  if("sanitize" IN_LIST arg_LABELS)
    add_dependencies(sanitize_tests ${name})
  endif()
  if("address" IN_LIST arg_LABELS)
    add_dependencies(address_tests ${name})
  endif()
  if("device" IN_LIST arg_LABELS)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/device_tests)
    add_dependencies(device_tests ${name})
    set_property(GLOBAL APPEND PROPERTY ATTEND_DEVICE_TESTS ${name})
  endif()
endfunction()

# attend_fuzz_test(name SOURCES file... [LIBS library...] [CORPUS folder] [SECONDS short] [LONG_SECONDS long])
# One libFuzzer executable (the source defines LLVMFuzzerTestOneInput), run by ctest for SECONDS (label fuzz) and LONG_SECONDS
# (labels fuzz, long) from the seeds in CORPUS. Does nothing in a build without ATTEND_FUZZ.
function(attend_fuzz_test name)
  cmake_parse_arguments(arg "" "CORPUS;SECONDS;LONG_SECONDS" "SOURCES;LIBS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "attend_fuzz_test(${name}): needs SOURCES; unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ATTEND_FUZZ)
    return()
  endif()
  if(NOT arg_SECONDS)
    set(arg_SECONDS 10)
  endif()
  if(NOT arg_LONG_SECONDS)
    set(arg_LONG_SECONDS 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} attend_static)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_tests ${name})
  foreach(length short long)
    # New inputs go into a folder of the build; the seeds in the tree are only read.
    set(found ${CMAKE_CURRENT_BINARY_DIR}/${name}.${length})
    file(MAKE_DIRECTORY ${found})
    if(length STREQUAL short)
      set(seconds ${arg_SECONDS})
      set(labels fuzz)
    else()
      set(seconds ${arg_LONG_SECONDS})
      set(labels "fuzz;long")
    endif()
    math(EXPR timeout "${seconds} + 120")
    add_test(NAME fuzz.${name}.${length}
      COMMAND ${name} -max_total_time=${seconds} -timeout=60 -rss_limit_mb=4096 -print_final_stats=1
              -artifact_prefix=${found}/ ${found} ${arg_CORPUS})
    set_tests_properties(fuzz.${name}.${length} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout})
  endforeach()
endfunction()
