# SPDX-License-Identifier: Apache-2.0
# The Python package's part of the build, asked for by pyproject.toml
# (scikit-build-core sets SKBUILD): the extension module and `azr`, both with the
# library inside. Everything is installed as component `python`.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)

file(GLOB AZR_PYTHON_SOURCES CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/python/src/*.c)
Python_add_library(azr_python MODULE ${AZR_PYTHON_SOURCES})
target_link_libraries(azr_python PRIVATE
    atomiczarr_static azr_flags azr_warnings)
# Of the library nothing is seen from outside but the module's init function.
# One binary for all versions by the stable ABI; a free-threaded interpreter has
# none (scikit-build-core leaves SKBUILD_SABI_COMPONENT empty) and gets its own.
if(SKBUILD_SABI_COMPONENT)
    target_compile_definitions(azr_python PRIVATE Py_LIMITED_API=0x030b0000)
    set(azr_python_suffix .abi3.so)
else()
    set(azr_python_suffix .${Python_SOABI}.so)
endif()
set_target_properties(azr_python PROPERTIES OUTPUT_NAME _core
    SUFFIX ${azr_python_suffix} C_VISIBILITY_PRESET hidden)
target_link_options(azr_python PRIVATE -Wl,--exclude-libs,ALL)
install(TARGETS azr_python COMPONENT python DESTINATION atomiczarr)

add_executable(azr_wheel ${AZR_CLI_MAIN} $<TARGET_OBJECTS:azr_cli>)
target_link_libraries(azr_wheel PRIVATE
    atomiczarr_static azr_flags azr_warnings Threads::Threads)
set_target_properties(azr_wheel PROPERTIES OUTPUT_NAME azr
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/wheel)
install(TARGETS azr_wheel COMPONENT python
    RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR})
# `azr demo` looks for it there, relative to the program
file(GLOB azr_wheel_data ${PROJECT_SOURCE_DIR}/data/*)
install(FILES ${azr_wheel_data} COMPONENT python
    DESTINATION ${SKBUILD_DATA_DIR}/share/atomiczarr)
