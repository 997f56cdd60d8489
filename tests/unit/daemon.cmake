corral_test(mount_options_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/mount_options_test.cc
  DEPS corral_operations
  LABELS unit)
corral_test(event_feed_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/event_feed_test.cc
  DEPS corral_daemon corral_tracker_inproc
  LABELS unit)
corral_test(store_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/store_test.cc
  DEPS corral_store
  LABELS unit)
# A plug-in that leaves a mark when its code runs, before anybody asks it for anything.
add_library(marking_plugin MODULE ${CMAKE_CURRENT_LIST_DIR}/marking_plugin.cc)
corral_settings(marking_plugin)
target_link_libraries(marking_plugin PRIVATE fmt::fmt)
corral_test(plugin_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/plugin_test.cc
  DEPS corral_daemon
  LABELS unit)
target_compile_definitions(plugin_test PRIVATE
  CORRAL_MARKING_PLUGIN="$<TARGET_FILE:marking_plugin>")
add_dependencies(plugin_test marking_plugin)
corral_test(linux_machine_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/linux_machine_test.cc
  DEPS corral_daemon corral_tracker_inproc
  LABELS unit MOUNTS)
