# SPDX-License-Identifier: Apache-2.0
#
#   azr_test(NAME SOURCE… [LABELS label…] [ARGS arg…] [TIMEOUT s]
#            [SABOTAGE] [WILL_FAIL] [SERIAL] [NO_RUN])
#   azr_test(NAME RUNS PROGRAM [LABELS label…] [ARGS arg…] [TIMEOUT s] [SERIAL])
#
# A test program linked to the static objects of the library (internal headers
# are in reach) and to cmocka, known to CTest as NAME. A program that cannot run
# here exits with 77: skipped.
#
# Labels. One tells when the test runs:
#   quick    in every tier of ./check: seconds
#   default  in ./check and ./check --full
#   torture  in ./check --torture alone
# (unit tests are quick, others default, unless told). The directory below
# tests/ is a label too (unit, crash, …), and these mean:
#   threads  runs under ThreadSanitizer as well
#   nosan    does not run under sanitizers
#
# SABOTAGE links the objects built with AZRI_SABOTAGE instead: a negative
# control. WILL_FAIL: it must exit with a failure. SERIAL: no other test runs
# beside it. NO_RUN: build only. RUNS: no program of its own, another test's (or a
# NO_RUN's) with other arguments.

function(azr_test name)
    cmake_parse_arguments(PARSE_ARGV 1 T "SABOTAGE;WILL_FAIL;NO_RUN;SERIAL"
        "TIMEOUT;RUNS" "LABELS;ARGS")
    if(NOT T_RUNS)
        set(T_RUNS ${name})
        azr_test_program(${name} "${T_SABOTAGE}" ${T_UNPARSED_ARGUMENTS})
    endif()
    if(NOT T_NO_RUN)
        add_test(NAME ${name} COMMAND ${T_RUNS} ${T_ARGS})
        azr_test_properties(${name} ${CMAKE_CURRENT_SOURCE_DIR}
            "${T_LABELS}" "${T_TIMEOUT}" ${T_RUNS})
        if(T_SERIAL)
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        endif()
        if(T_WILL_FAIL)
            set_tests_properties(${name} PROPERTIES WILL_FAIL TRUE)
        endif()
    endif()
endfunction()

# How tests are compiled, with or without the guards.
foreach(kind IN ITEMS plain sabotage)
    set(use azr_test_${kind})
    add_library(${use} INTERFACE)
    target_include_directories(${use} INTERFACE
        ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests
        ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${use} INTERFACE azr_flags azr_test_warnings
        PkgConfig::CMOCKA PkgConfig::AZR_DEPS Threads::Threads m)
    target_compile_definitions(${use} INTERFACE
        AZR_TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endforeach()
target_compile_definitions(azr_test_sabotage INTERFACE AZRI_SABOTAGE)

# A source of several programs is compiled once for all that are alike.
function(azr_test_program name sabotage)
    set(kind plain)
    set(library atomiczarr_static)
    if(sabotage)
        set(kind sabotage)
        set(library azr_objects_sabotage)
    endif()
    set(objects)
    foreach(source IN LISTS ARGN azr_test_support)
        cmake_path(ABSOLUTE_PATH source NORMALIZE)
        cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests
            OUTPUT_VARIABLE object)
        string(REGEX REPLACE "[^A-Za-z0-9_]" "-" object ${kind}-${object})
        if(NOT TARGET ${object})
            add_library(${object} OBJECT ${source})
            target_link_libraries(${object} PRIVATE azr_test_${kind})
        endif()
        list(APPEND objects $<TARGET_OBJECTS:${object}>)
    endforeach()
    add_executable(${name} ${objects})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(${name} PRIVATE azr_test_${kind} ${library})
endfunction()

# What the quick tests, and those of threads, need under a sanitizer.
add_custom_target(sanitized-quick)
add_custom_target(sanitized-threads)

# Labels with the tempo and the kind filled in; each test gets a scratch
# directory of its own to run in. The targets that follow are what it runs.
function(azr_test_properties name dir labels timeout)
    cmake_path(GET dir FILENAME kind)
    if(dir STREQUAL PROJECT_SOURCE_DIR)
        set(kind "")
    endif()
    list(APPEND labels ${kind})
    if(NOT "quick" IN_LIST labels AND NOT "default" IN_LIST labels AND
       NOT "torture" IN_LIST labels)
        list(APPEND labels default)
    endif()
    if(NOT timeout)
        set(timeout 120)
    endif()
    foreach(label IN ITEMS quick threads)
        if(ARGN AND label IN_LIST labels AND NOT "nosan" IN_LIST labels)
            add_dependencies(sanitized-${label} ${ARGN})
        endif()
    endforeach()
    set(scratch ${PROJECT_BINARY_DIR}/scratch/${name})
    file(MAKE_DIRECTORY ${scratch})
    set_tests_properties(${name} PROPERTIES LABELS "${labels}"
        TIMEOUT ${timeout} SKIP_RETURN_CODE 77 WORKING_DIRECTORY ${scratch})
endfunction()

# Sources every test program is linked with: tests/support/*.c, where there are
# any.
file(GLOB azr_test_support CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/tests/support/*.c)

# tests/unit/<room>/test_*.c: a program each, `unit-<room>-<name>`. Other .c
# files of the directory are linked into each of them. A test asks for more in a
# line of its own:
#   /* azr-test: LABELS default threads TIMEOUT 300 */
function(azr_unit_tests)
    file(GLOB sources CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/tests/unit/*/test_*.c)
    file(GLOB helpers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/*/*.c)
    foreach(source IN LISTS sources)
        cmake_path(GET source PARENT_PATH dir)
        cmake_path(GET dir FILENAME room)
        cmake_path(GET source STEM stem)
        string(REGEX REPLACE "^test_" "" stem ${stem})

        set(helper ${helpers})
        list(FILTER helper INCLUDE REGEX "^${dir}/")
        list(FILTER helper EXCLUDE REGEX "/test_[^/]*$")

        file(STRINGS ${source} wish REGEX "azr-test:.*" LIMIT_COUNT 1)
        string(REGEX REPLACE ".*azr-test:(.*)\\*/.*" "\\1" wish "${wish}")
        separate_arguments(wish)
        cmake_parse_arguments(W "" "TIMEOUT" "LABELS" ${wish})
        set(labels unit ${W_LABELS})
        if(NOT labels MATCHES "default|torture")
            list(APPEND labels quick)
        endif()
        if(room MATCHES "^(runtime|sync|txn)$")
            list(APPEND labels threads)
        endif()
        list(REMOVE_DUPLICATES labels)
        if(W_TIMEOUT)
            set(W_TIMEOUT TIMEOUT ${W_TIMEOUT})
        endif()
        azr_test(unit-${room}-${stem} ${source} ${helper}
            LABELS ${labels} ${W_TIMEOUT})
    endforeach()
endfunction()

# DIR/*.c: a program each, which sees the public header and the shared library
# only. RUN: it is also a test (no arguments, an empty directory, exit 0).
function(azr_programs dir)
    cmake_parse_arguments(PARSE_ARGV 1 P "RUN" "" "")
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${dir}/*.c)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM stem)
        set(name ${dir}-${stem})
        add_executable(${name} ${source})
        target_link_libraries(${name} PRIVATE
            atomiczarr azr_flags azr_warnings Threads::Threads m)
        set_target_properties(${name} PROPERTIES OUTPUT_NAME ${stem}
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${dir})
        if(P_RUN)
            add_test(NAME ${name} COMMAND ${CMAKE_COMMAND}
                -DPROGRAM=$<TARGET_FILE:${name}>
                -DSCRATCH=${PROJECT_BINARY_DIR}/scratch/${name}/run
                -P ${PROJECT_SOURCE_DIR}/cmake/run-in-empty.cmake)
            azr_test_properties(${name} ${PROJECT_SOURCE_DIR}/${dir} quick 60
                ${name})
        endif()
    endforeach()
endfunction()

# fuzz/fuzz_NAME.c defines LLVMFuzzerTestOneInput. Without libFuzzer a driver of
# ours feeds it fuzz/corpus/NAME/, fuzz/found/NAME/ and deterministic mutations of
# them: a test.
function(azr_fuzz_targets)
    # The command as a function, for targets that call it.
    if(TARGET azr_cli)
        add_library(azr_cli_main OBJECT EXCLUDE_FROM_ALL ${AZR_CLI_MAIN})
        target_compile_definitions(azr_cli_main PRIVATE main=azr_cli_main)
        target_include_directories(azr_cli_main PRIVATE
            ${PROJECT_SOURCE_DIR}/include)
        target_link_libraries(azr_cli_main PRIVATE azr_flags)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/fuzz_*.c)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM stem)
        string(REGEX REPLACE "^fuzz_" "" name ${stem})
        set(inputs ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name})
        if(EXISTS ${PROJECT_SOURCE_DIR}/fuzz/found/${name})
            list(APPEND inputs ${PROJECT_SOURCE_DIR}/fuzz/found/${name})
        endif()
        if(AZR_FUZZ)
            add_executable(${stem} ${source})
            target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
        else()
            add_executable(${stem} ${source}
                ${PROJECT_SOURCE_DIR}/fuzz/standalone.c)
            add_test(NAME fuzz-${name} COMMAND ${stem} --mutate=1000 ${inputs})
            azr_test_properties(fuzz-${name} ${PROJECT_SOURCE_DIR}/fuzz
                default 300)
            if(AZR_SANITIZE STREQUAL "memory")
                target_sources(${stem} PRIVATE ${PROJECT_SOURCE_DIR}/fuzz/msan.c)
                foreach(call IN ITEMS tokener_parse_ex object_object_get_ex
                        object_put object_to_json_string object_get_string
                        object_iter_peek_name)
                    target_link_options(${stem} PRIVATE -Wl,--wrap=json_${call})
                endforeach()
            endif()
        endif()
        if(name MATCHES "^(cli|text)$")
            target_sources(${stem} PRIVATE
                $<TARGET_OBJECTS:azr_cli> $<TARGET_OBJECTS:azr_cli_main>)
        endif()
        target_include_directories(${stem} PRIVATE
            ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
        target_link_libraries(${stem} PRIVATE atomiczarr_static azr_flags
            azr_warnings PkgConfig::AZR_DEPS Threads::Threads m)
        set_target_properties(${stem} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
    endforeach()
endfunction()
