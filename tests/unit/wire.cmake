corral_test(wire_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/wire_test.cc
  DEPS corral_wire
  LABELS unit)
corral_test(cli_task_info_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/cli_task_info_test.cc ${CMAKE_SOURCE_DIR}/src/cli/task_info.cc
  DEPS corral_client
  LABELS unit)
corral_sees(cli_task_info_test cli)
