# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and sanitizers of every target in the tree.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

get_property(attend_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(PROJECT_IS_TOP_LEVEL AND NOT attend_multi_config AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

# -Wsign-conversion stays off: sizes of standard containers are unsigned and ours are int64_t, by intent.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wpedantic)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)  # GCC bug 105651: std::string + text warns inside libstdc++
endif()
if(ATTEND_WERROR)
  add_compile_options(-Werror)
endif()

if(ATTEND_SANITIZE)
  add_compile_options(-fsanitize=${ATTEND_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ATTEND_SANITIZE})
  if(ATTEND_SANITIZE MATCHES thread)
    # Older ThreadSanitizers refuse to start where the kernel randomises addresses by more than 28 bits.
    include(CheckCXXSourceRuns)
    set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
    check_cxx_source_runs("int main() { return 0; }" ATTEND_TSAN_STARTS)
    unset(CMAKE_REQUIRED_FLAGS)
    if(NOT ATTEND_TSAN_STARTS)
      set(CMAKE_CROSSCOMPILING_EMULATOR setarch --addr-no-randomize)  # tests run through it
    endif()
  endif()
endif()
if(ATTEND_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "ATTEND_FUZZ needs clang: libFuzzer is part of it (found ${CMAKE_CXX_COMPILER_ID})")
  endif()
  # Coverage counters for the fuzzer everywhere; its main() only where attend_fuzz_test() links it.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
