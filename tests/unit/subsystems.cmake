# The built-in subsystems over simulated tasks.
foreach(name beancounter cpuset freezer)
  corral_test(subsystem_${name}_test
    SOURCES subsystem_${name}_test.cc
    DEPS corral_control corral_subsystem_${name} corral_tracker_inproc
    LABELS unit)
endforeach()
# The subsystems that corral brings itself, over simulated tasks and the tree of control files.
corral_test(subsystems_test
  SOURCES subsystem_debug_test.cc subsystem_numtasks_test.cc
  DEPS corral_control corral_subsystem_debug corral_subsystem_numtasks corral_tracker_inproc
  LABELS unit)
# A fault at every callback of every subsystem. It compares its rows with the interface itself.
corral_test(subsystem_faults_test
  SOURCES subsystem_faults_test.cc
  DEPS corral_control corral_subsystems corral_tracker_inproc
  LABELS unit)
target_compile_definitions(subsystem_faults_test PRIVATE
  CORRAL_INTERFACE="${CMAKE_SOURCE_DIR}/include/corral/subsystem.h")
