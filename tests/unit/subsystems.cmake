# The built-in subsystems over simulated tasks.
foreach(name beancounter cpuset freezer)
  corral_test(subsystem_${name}_test
    SOURCES subsystem_${name}_test.cc
    DEPS corral_control corral_subsystem_${name} corral_tracker_inproc
    LABELS unit)
endforeach()
