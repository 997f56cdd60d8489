# A release agent that tells how it was started.
add_executable(agent_probe ${CMAKE_CURRENT_LIST_DIR}/agent_probe.cc)
corral_settings(agent_probe)
target_include_directories(agent_probe PRIVATE ${CMAKE_SOURCE_DIR}/tests)
set_target_properties(agent_probe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

corral_test(agent_starter_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/agent_starter_test.cc ${CMAKE_CURRENT_LIST_DIR}/agent_jobs_test.cc
  DEPS corral_agent
  LABELS unit)
target_compile_definitions(agent_starter_test PRIVATE
  CORRAL_AGENT_PROBE="$<TARGET_FILE:agent_probe>")
add_dependencies(agent_starter_test agent_probe)
