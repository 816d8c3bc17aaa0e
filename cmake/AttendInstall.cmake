# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts down: libraries, headers, find_package(attend CONFIG), pkg-config, and the tool.
include(CMakePackageConfigHelpers)

set(attend_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/attend)
# Two exports: the static library needs OpenMP and C++ when it is linked, the shared one brings its own.
install(TARGETS attend EXPORT attend_shared_targets)
install(TARGETS attend_static EXPORT attend_static_targets)
install(EXPORT attend_shared_targets NAMESPACE attend:: DESTINATION ${attend_config_dir} FILE attendSharedTargets.cmake)
install(EXPORT attend_static_targets NAMESPACE attend:: DESTINATION ${attend_config_dir} FILE attendStaticTargets.cmake)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/attendConfig.cmake.in ${PROJECT_BINARY_DIR}/attendConfig.cmake
  INSTALL_DESTINATION ${attend_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/attendConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/attendConfig.cmake ${PROJECT_BINARY_DIR}/attendConfigVersion.cmake
  DESTINATION ${attend_config_dir})

set(attend_pc_private "-lstdc++ -lm")
if(ATTEND_OPENMP)
  string(APPEND attend_pc_private " ${OpenMP_CXX_FLAGS}")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/attend.pc.in ${PROJECT_BINARY_DIR}/attend.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/attend.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/attend DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h" PATTERN "*.def")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET attend_cli)
  install(TARGETS attend_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
