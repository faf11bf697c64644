# EPICS base and pvxs, from the Python packages that bring them.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(beamline_python_folder variable package)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c
            "import importlib.util as u, os; print(os.path.dirname(u.find_spec('${package}').origin))"
    OUTPUT_VARIABLE folder
    RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed)
    message(FATAL_ERROR "Python package ${package} was not found by ${Python3_EXECUTABLE}: "
                        "install it there, or name another Python with -DPython3_EXECUTABLE=...")
  endif()
  set(${variable} "${folder}" PARENT_SCOPE)
endfunction()

beamline_python_folder(EPICS_FOLDER epicscorelibs)
beamline_python_folder(PVXS_FOLDER pvxslibs)

add_library(epics INTERFACE)
target_include_directories(epics SYSTEM INTERFACE "${EPICS_FOLDER}/include")
target_compile_definitions(
  epics INTERFACE USE_TYPED_RSET USE_TYPED_DSET _GNU_SOURCE _DEFAULT_SOURCE linux UNIX)
# Record types and device support are found by symbol at run time: nothing may be dropped.
target_link_directories(epics INTERFACE "${EPICS_FOLDER}/lib" "${PVXS_FOLDER}/lib")
target_link_options(epics INTERFACE -rdynamic -Wl,--no-as-needed)
target_link_libraries(epics INTERFACE dbRecStd dbCore ca Com pvxsIoc m)
