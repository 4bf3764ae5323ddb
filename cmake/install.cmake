# What `cmake --install` puts where: program, both libraries, headers, and how pkg-config and CMake find them.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bitlathe)

install(TARGETS bitlathe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# TensorFlow's programs: the same program under their names (cli/old_names.c).
foreach(name transform_graph summarize_graph compare_graphs label_image benchmark_model)
  install(CODE "execute_process(COMMAND \"\${CMAKE_COMMAND}\" -E create_symlink bitlathe
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/${name}\" COMMAND_ERROR_IS_FATAL ANY)")
endforeach()
install(TARGETS bitlathe_static bitlathe_shared EXPORT bitlatheTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/bitlathe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT bitlatheTargets NAMESPACE bitlathe:: DESTINATION ${package_dir})

configure_package_config_file(cmake/bitlatheConfig.cmake.in ${PROJECT_BINARY_DIR}/bitlatheConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/bitlatheConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/bitlatheConfig.cmake ${PROJECT_BINARY_DIR}/bitlatheConfigVersion.cmake
    DESTINATION ${package_dir})

# The prefix is found from the file's own place, so that an installed tree may be moved.
file(RELATIVE_PATH BITLATHE_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/bitlathe.pc.in ${PROJECT_BINARY_DIR}/bitlathe.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/bitlathe.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
