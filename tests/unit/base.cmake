corral_test(own_path_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/own_path_test.cc
  DEPS corral_base
  LABELS unit)
