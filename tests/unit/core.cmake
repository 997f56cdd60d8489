# The core over simulated tasks.
corral_test(core_test
  SOURCES core_cpu_time_test.cc core_quotas_test.cc core_tree_test.cc core_moves_test.cc core_releases_test.cc
          core_persistence_test.cc core_subsystems_test.cc core_forks_test.cc core_limits_test.cc
  DEPS corral_core corral_tracker_inproc
  LABELS unit)
corral_test(core_scale_test
  SOURCES core_scale_test.cc
  DEPS corral_core corral_tracker_inproc
  LABELS unit)
corral_test(core_stress_test
  SOURCES core_stress_test.cc
  DEPS corral_core corral_tracker_inproc
  LABELS unit)
corral_test(cpuacct_test
  SOURCES cpuacct_test.cc
  DEPS corral_core corral_subsystem_cpuacct corral_tracker_inproc
  LABELS unit)
