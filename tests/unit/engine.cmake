# The engine as a program uses it: installed headers alone.
corral_test(engine_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/engine_test.cc ${CMAKE_CURRENT_LIST_DIR}/engine_threads_test.cc
  DEPS corral_engine
  LABELS unit)
