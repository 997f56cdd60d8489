corral_test(base_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/base_number_test.cc ${CMAKE_CURRENT_LIST_DIR}/base_proc_test.cc
          ${CMAKE_CURRENT_LIST_DIR}/base_process_test.cc
  DEPS corral_base
  LABELS unit)
corral_test(log_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/log_test.cc
  DEPS corral_base
  LABELS unit)
corral_test(own_path_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/own_path_test.cc
  DEPS corral_base
  LABELS unit)
corral_test(trusted_file_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/trusted_file_test.cc
  DEPS corral_base
  LABELS unit)
