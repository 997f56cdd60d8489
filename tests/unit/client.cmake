corral_test(client_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/client_test.cc
  DEPS corral_client
  LABELS unit)
