foreach(name control_dialect_test control_files_test control_parse_test control_proc_view_test
             control_subsystem_test control_tree_test)
  corral_test(${name}
    SOURCES ${name}.cc
    DEPS corral_control corral_tracker_inproc
    LABELS unit)
endforeach()
