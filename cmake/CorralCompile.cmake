# How sources are compiled: warnings, headers compiled once, what was compiled before.

# Designated initialisers name what differs from the default; the rest is meant.
set(CORRAL_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
    -Werror)

# ccache, where it is installed. It does not trust precompiled headers unless told.
find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE)
  foreach(language C CXX)
    if(NOT CMAKE_${language}_COMPILER_LAUNCHER OR CMAKE_${language}_COMPILER_LAUNCHER STREQUAL "ccache")
      set(CMAKE_${language}_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
    endif()
  endforeach()
endif()

# corral_precompile(NAME HEADER DEPS...): HEADER is read and compiled once; corral_precompiled(TARGET
# NAME) makes that the beginning of each of TARGET's sources. The compiler wants both compiled with
# the same options, but for include folders. Presets that prove that a source includes what it uses
# set CMAKE_DISABLE_PRECOMPILE_HEADERS.
function(corral_precompile name header)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cc CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
  target_compile_options(${name} PRIVATE ${CORRAL_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARGN})
  target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
endfunction()

function(corral_precompiled target name)
  if(CMAKE_POSITION_INDEPENDENT_CODE)
    return()  # programs and libraries are not compiled with the same options then
  endif()
  target_precompile_headers(${target} REUSE_FROM ${name})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # for ccache
  endif()
endfunction()
