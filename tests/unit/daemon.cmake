corral_test(mount_options_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/mount_options_test.cc
  DEPS corral_daemon
  LABELS unit)
corral_test(event_feed_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/event_feed_test.cc
  DEPS corral_daemon corral_tracker_inproc
  LABELS unit)
corral_test(store_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/store_test.cc
  DEPS corral_store
  LABELS unit)
corral_test(linux_host_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/linux_host_test.cc
  DEPS corral_daemon corral_tracker_inproc
  LABELS unit)
