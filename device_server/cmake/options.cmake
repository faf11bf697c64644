# Compiler options shared by the server, the physics library and their tests.
option(BEAMLINE_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(BEAMLINE_COVERAGE "Build with gcov instrumentation" OFF)
option(BEAMLINE_WERROR "Treat warnings as errors" ON)

function(beamline_target_options target)
  target_compile_options(
    ${target}
    PRIVATE -Wall -Wextra $<$<BOOL:${BEAMLINE_WERROR}>:-Werror> -Wshadow -Wpointer-arith -Wstrict-prototypes
            -Wmissing-prototypes -Wformat=2)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
  if(BEAMLINE_SANITIZE)
    target_compile_options(
      ${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                        -fno-omit-frame-pointer -g)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
  if(BEAMLINE_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic -O0 -g)
    target_link_options(${target} PUBLIC --coverage)
  endif()
endfunction()
