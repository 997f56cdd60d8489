# find_package(corral): the targets of cmake/CorralPackage.cmake that are installed here.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(fmt)
find_dependency(spdlog)
include("${CMAKE_CURRENT_LIST_DIR}/corral-subsystem.cmake")
foreach(part engine corral c)
  include("${CMAKE_CURRENT_LIST_DIR}/corral-${part}.cmake" OPTIONAL)
endforeach()
