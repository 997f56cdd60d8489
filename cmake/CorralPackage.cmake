# What other CMake projects get by find_package(corral):
#   corral::engine     static; include/corral/engine.h
#   corral::corral     static; process_group.h and corral.h
#   corral::c          shared (libcorral.so); corral.h alone
#   corral::subsystem  headers; subsystem.h and plugin.h
# An archive holds its folder's objects and those of all folders below, so that nothing of the
# layering is installed.

# The libraries of our own that `target` is made of, itself included, and what is linked besides.
function(corral_parts target own others)
  set(found ${target})
  set(foreign)
  set(todo ${target})
  while(todo)
    list(POP_FRONT todo at)
    get_target_property(links ${at} LINK_LIBRARIES)
    foreach(link IN LISTS links)
      if(NOT link MATCHES "^corral_")
        list(APPEND foreign ${link})
      elseif(NOT link IN_LIST found)
        list(APPEND found ${link})
        list(APPEND todo ${link})
      endif()
    endforeach()
  endwhile()
  list(FILTER foreign EXCLUDE REGEX "-NOTFOUND$")
  list(REMOVE_DUPLICATES foreign)
  set(${own} ${found} PARENT_SCOPE)
  set(${others} ${foreign} PARENT_SCOPE)
endfunction()

# corral_archive(NAME TARGET FILE): `corral::NAME`, installed as libFILE.a with the component NAME.
function(corral_archive name target file)
  corral_parts(${target} own others)
  # corralConfig.cmake finds these for who links it; headers need fmt alone. nlohmann_json is
  # used up when we are built.
  set(known fmt::fmt spdlog::spdlog Threads::Threads nlohmann_json::nlohmann_json)
  foreach(other IN LISTS others)
    if(NOT other IN_LIST known)
      message(FATAL_ERROR "corral::${name} would need ${other}: tell cmake/CorralPackage.cmake")
    endif()
  endforeach()
  list(TRANSFORM own REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>")
  add_library(corral_package_${name} STATIC ${own})
  set_target_properties(corral_package_${name} PROPERTIES
    LINKER_LANGUAGE CXX EXPORT_NAME ${name} OUTPUT_NAME ${file})
  target_link_libraries(corral_package_${name} INTERFACE
    corral_package_subsystem Threads::Threads $<LINK_ONLY:spdlog::spdlog>)
  install(TARGETS corral_package_${name} EXPORT corral-${name} COMPONENT ${name}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  corral_export(${name})
endfunction()

set(CORRAL_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/corral)
function(corral_export name)
  install(EXPORT corral-${name} NAMESPACE corral:: COMPONENT ${name}
    DESTINATION ${CORRAL_PACKAGE_DIR})
endfunction()

add_library(corral_package_subsystem INTERFACE)
set_target_properties(corral_package_subsystem PROPERTIES EXPORT_NAME subsystem)
target_include_directories(corral_package_subsystem INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(corral_package_subsystem INTERFACE fmt::fmt)
target_compile_features(corral_package_subsystem INTERFACE cxx_std_23)
install(TARGETS corral_package_subsystem EXPORT corral-subsystem COMPONENT headers)
install(EXPORT corral-subsystem NAMESPACE corral:: COMPONENT headers
  DESTINATION ${CORRAL_PACKAGE_DIR})

corral_archive(engine corral_engine corral-engine)
if(CORRAL_KERNEL_PARTS)
  corral_archive(corral corral_process_group corral)

  target_include_directories(corral_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(corral_shared PROPERTIES EXPORT_NAME c)
  install(TARGETS corral_shared EXPORT corral-c LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT corral-c NAMESPACE corral:: DESTINATION ${CORRAL_PACKAGE_DIR})
  # From where the file is, wherever that is.
  file(RELATIVE_PATH CORRAL_PC_TO_PREFIX /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/corral.pc.in ${CMAKE_BINARY_DIR}/corral.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/corral.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/corralConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/corralConfig.cmake
  ${CMAKE_BINARY_DIR}/corralConfigVersion.cmake
  DESTINATION ${CORRAL_PACKAGE_DIR} COMPONENT headers)
install(DIRECTORY include/corral DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT headers)
