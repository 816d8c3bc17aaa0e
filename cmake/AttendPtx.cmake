# SPDX-License-Identifier: Apache-2.0
# PTX and machine code of CUDA sources, for the library and for tests that run them in the simulator. The toolkit's nvcc and ptxas
# are enough: CMake's CUDA language is not used, and where no toolkit is found, or with -DATTEND_NVCC=OFF, everything else still
# builds.

find_program(ATTEND_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
find_program(ATTEND_PTXAS ptxas HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
mark_as_advanced(ATTEND_NVCC ATTEND_PTXAS)
# The sanitizers' and clang's builds need not compile device code again: what it does does not depend on the host's compiler.
set(ATTEND_PTX_FROM "" CACHE PATH "Another build folder of this tree, whose device code is used where it is complete")

# attend_ptx(name SOURCES file.cu... [ARCH sm_90a] [FOLDER folder] [STRICT] [DEFINES macro...] [OPTIONS option...] [DEPENDS file...])
# A target that compiles each file to `<build folder>/<name>/<file>.ptx` (or in FOLDER) and assembles that text: what the simulator
# runs must also be a program for ptxas. Registers and spills are left in <file>.info, seconds in <file>.ptx.seconds. With STRICT,
# spills, local memory and products of warpgroups that ptxas serialises are errors. Sets <name>_FOLDER to the folder and <name>_FILES
# to the files, or both to nothing where there is no nvcc.
function(attend_ptx name)
  cmake_parse_arguments(arg "STRICT" "ARCH;FOLDER" "SOURCES;DEFINES;OPTIONS;DEPENDS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "attend_ptx(${name}): needs SOURCES; unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_ARCH)
    set(arg_ARCH sm_90a)
  endif()
  set(strict no)
  if(arg_STRICT)
    set(strict yes)
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
  if(arg_FOLDER)
    set(folder ${arg_FOLDER})
  endif()
  set(${name}_FOLDER "" PARENT_SCOPE)
  set(${name}_FILES "" PARENT_SCOPE)

  # Files of the other build, when all are there.
  if(ATTEND_PTX_FROM)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${CMAKE_BINARY_DIR} OUTPUT_VARIABLE inside)
    set(found)
    foreach(source ${arg_SOURCES})
      cmake_path(GET source STEM stem)
      foreach(file ${ATTEND_PTX_FROM}/${inside}/${stem}.ptx ${ATTEND_PTX_FROM}/${inside}/${stem}.cubin)
        if(EXISTS ${file})
          list(APPEND found ${file})
        endif()
      endforeach()
    endforeach()
    list(LENGTH found have)
    list(LENGTH arg_SOURCES need)
    math(EXPR need "2 * ${need}")
    if(have EQUAL need)
      add_custom_target(${name})
      set(${name}_FOLDER ${ATTEND_PTX_FROM}/${inside} PARENT_SCOPE)
      set(${name}_FILES ${found} PARENT_SCOPE)
      return()
    endif()
  endif()
  if(NOT ATTEND_NVCC OR NOT ATTEND_PTXAS)
    message(STATUS "${name}: no nvcc, its tests are skipped")
    add_custom_target(${name})
    return()
  endif()

  file(MAKE_DIRECTORY ${folder})
  list(TRANSFORM arg_DEFINES PREPEND -D)
  set(timed ${PROJECT_SOURCE_DIR}/cmake/timed-compile)
  set(assemble ${PROJECT_SOURCE_DIR}/cmake/assemble-ptx)
  set(outputs)
  foreach(source ${arg_SOURCES})
    cmake_path(GET source STEM stem)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set(ptx ${folder}/${stem}.ptx)
    add_custom_command(OUTPUT ${ptx} ${folder}/${stem}.cubin
      COMMAND ${timed} ${ATTEND_NVCC} -ptx -arch=${arg_ARCH} -lineinfo -std=c++20 -O3 -I${PROJECT_SOURCE_DIR} ${arg_DEFINES}
              ${arg_OPTIONS} -MD -MF ${ptx}.d -o ${ptx} ${source}
      COMMAND ${timed} ${assemble} ${ATTEND_PTXAS} ${arg_ARCH} ${strict} ${ptx} -o ${folder}/${stem}.cubin
      DEPENDS ${source} ${assemble} ${arg_DEPENDS} DEPFILE ${ptx}.d
      COMMENT "PTX of ${stem}.cu" VERBATIM)
    list(APPEND outputs ${ptx} ${folder}/${stem}.cubin)
  endforeach()
  add_custom_target(${name} DEPENDS ${outputs})
  set(${name}_FOLDER ${folder} PARENT_SCOPE)
  set(${name}_FILES ${outputs} PARENT_SCOPE)
endfunction()
