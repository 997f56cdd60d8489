# corral_library(NAME SOURCES... DEPS...): one static library for one folder of src/.
# corral_binary(NAME SOURCES... DEPS...): one executable, into build/bin.
# corral_test(NAME SOURCES... DEPS... [LABELS ...]): one GoogleTest program, known to ctest.
# corral_apart(FILES...): sources that a unity build (presets) must not join with others, because
# they use the same names for their own things.
# Designated initialisers name what differs from the default; the rest is meant.
set(CORRAL_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
    -Werror)

function(corral_settings target)
  target_compile_options(${target} PRIVATE ${CORRAL_WARNINGS})
  target_include_directories(${target} PUBLIC
    ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/bpf)
endfunction()

function(corral_apart)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

function(corral_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  corral_settings(${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

function(corral_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  corral_settings(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

function(corral_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  corral_settings(${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if("root" IN_LIST ARG_LABELS)  # they watch the whole machine, and each other's tasks
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK machine)
  endif()
endfunction()
