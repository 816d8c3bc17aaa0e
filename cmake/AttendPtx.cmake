# SPDX-License-Identifier: Apache-2.0
# PTX of CUDA sources, for tests that run it in the simulator. The toolkit's nvcc and ptxas are enough: CMake's CUDA language is not
# used, and where no toolkit is found, or with -DATTEND_NVCC=OFF, everything else still builds.

find_program(ATTEND_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
find_program(ATTEND_PTXAS ptxas HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
mark_as_advanced(ATTEND_NVCC ATTEND_PTXAS)

# attend_ptx(name SOURCES file.cu... [DEFINES macro...] [OPTIONS option...])
# A target that compiles each file to `<build folder>/<name>/<file>.ptx`, assembles that text (what the simulator runs must also be a
# program for ptxas), and leaves the seconds of both beside it. Sets <name>_FOLDER to the folder, or to nothing where there is no nvcc.
function(attend_ptx name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEFINES;OPTIONS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "attend_ptx(${name}): needs SOURCES; unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ATTEND_NVCC OR NOT ATTEND_PTXAS)
    message(STATUS "${name}: no nvcc, its tests are skipped")
    add_custom_target(${name})
    set(${name}_FOLDER "" PARENT_SCOPE)
    return()
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
  file(MAKE_DIRECTORY ${folder})
  list(TRANSFORM arg_DEFINES PREPEND -D)
  set(outputs)
  foreach(source ${arg_SOURCES})
    cmake_path(GET source STEM stem)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set(ptx ${folder}/${stem}.ptx)
    set(timed ${PROJECT_SOURCE_DIR}/cmake/timed-compile)
    add_custom_command(OUTPUT ${ptx} ${folder}/${stem}.cubin
      COMMAND ${timed} ${ATTEND_NVCC} -ptx -arch=sm_90a -lineinfo -std=c++20 -O3 -I${PROJECT_SOURCE_DIR} ${arg_DEFINES}
              ${arg_OPTIONS} -MD -MF ${ptx}.d -o ${ptx} ${source}
      COMMAND ${timed} ${ATTEND_PTXAS} -arch=sm_90a --warning-as-error -o ${folder}/${stem}.cubin ${ptx}
      DEPENDS ${source} DEPFILE ${ptx}.d
      COMMENT "PTX of ${stem}.cu" VERBATIM)
    list(APPEND outputs ${ptx} ${folder}/${stem}.cubin)
  endforeach()
  add_custom_target(${name} DEPENDS ${outputs})
  set(${name}_FOLDER ${folder} PARENT_SCOPE)
endfunction()
