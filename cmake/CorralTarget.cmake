# corral_library(NAME SOURCES... DEPS... [SHARED]): one static library for one folder of src/.
# SHARED: it is part of libcorral.so, too.
# corral_binary(NAME SOURCES... DEPS...): one executable, into build/bin.
# corral_test(NAME SOURCES... DEPS... [LABELS ...] [BESIDE] [MOUNTS]): one GoogleTest program, known to ctest.
# Those that need root run alone: they compare tables with the machine's tasks, or storm it.
# BESIDE: what it does goes on in groups and an instance of its own, and it mostly waits; it runs
# beside others.
# MOUNTS: it makes mount namespaces, or says when a mount ends: a new namespace has every mount of the
# machine in it, and none of them ends before it. One of these at a time.
# corral_apart(FILES...): sources that a unity build (presets) must not join with others, because
# they use the same names for their own things.
# corral_test_code(TARGET): settings of what only tests are made of.
include(CorralCompile)

# A folder sees the headers of another only if its target links to that folder's: each has an
# include root of its own in the build tree, with nothing in it but that folder. So what
# docs/architecture.md forbids does not compile. corral_sees(TARGET FOLDERS...) is for those that
# take sources from elsewhere: tests.
function(corral_sees target)
  foreach(folder IN LISTS ARGN)
    string(REPLACE "/" "-" name ${folder})
    set(root ${CMAKE_BINARY_DIR}/include-roots/${name})
    target_include_directories(${target} PUBLIC ${root})
    # Of a folder with folders of their own, the headers alone.
    set(seen ${folder})
    file(GLOB inner CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*/CMakeLists.txt)
    if(inner)
      file(GLOB seen RELATIVE ${CMAKE_SOURCE_DIR}/src CONFIGURE_DEPENDS
        ${CMAKE_SOURCE_DIR}/src/${folder}/*.h)
    endif()
    foreach(path IN LISTS seen)
      cmake_path(GET path PARENT_PATH above)
      file(MAKE_DIRECTORY ${root}/${above})
      if(NOT EXISTS ${root}/${path})
        file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${path} ${root}/${path} SYMBOLIC)
      endif()
    endforeach()
  endforeach()
endfunction()

function(corral_settings target)
  target_compile_options(${target} PRIVATE ${CORRAL_WARNINGS})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/include)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/src
    OUTPUT_VARIABLE folder)
  if(NOT folder MATCHES "^\\.\\.")
    corral_sees(${target} ${folder})
  endif()
endfunction()

function(corral_apart)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# What most of the product includes of others, compiled once, and once more for libcorral.so.
function(corral_foreign_headers target shared)
  set(headers corral_foreign_headers)
  if(shared)
    set(headers corral_foreign_headers_shared)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  if(NOT TARGET ${headers})
    corral_precompile(${headers} precompiled_foreign.h fmt::fmt spdlog::spdlog Threads::Threads)
    if(shared)
      set_target_properties(${headers} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
  endif()
  corral_precompiled(${target} ${headers})
endfunction()

function(corral_library name)
  cmake_parse_arguments(ARG "SHARED" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  corral_settings(${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  corral_foreign_headers(${name} ${ARG_SHARED})
endfunction()

function(corral_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  corral_settings(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  corral_foreign_headers(${name} FALSE)
endfunction()

# Tests are compiled without optimisation, in half the time. What they test is not, but for inline
# functions that are called out of line: the linker may take the test's copy of one.
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  set(CORRAL_TEST_OPTIONS -O0)
endif()

function(corral_test_code target)
  corral_settings(${target})
  target_compile_options(${target} PRIVATE ${CORRAL_TEST_OPTIONS})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE GTest::gmock GTest::gtest fmt::fmt)
  if(NOT TARGET corral_test_headers)
    corral_precompile(corral_test_headers precompiled_tests.h GTest::gmock GTest::gtest fmt::fmt)
    target_compile_options(corral_test_headers PRIVATE ${CORRAL_TEST_OPTIONS})
  endif()
  corral_precompiled(${target} corral_test_headers)
endfunction()

function(corral_test name)
  cmake_parse_arguments(ARG "BESIDE;MOUNTS" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  corral_test_code(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if(ARG_BESIDE)
    set_tests_properties(${name} PROPERTIES COST 50)  # first: they take longest
  elseif("root" IN_LIST ARG_LABELS)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
  if(ARG_MOUNTS)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK mounts)
  endif()
endfunction()
