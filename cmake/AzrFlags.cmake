# SPDX-License-Identifier: Apache-2.0
# How everything of ours is compiled: `azr_flags` (language, hardening,
# sanitizers) and `azr_warnings`.
include(CheckCSourceCompiles)
include(CMakePushCheckState)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

# A build without a type would be -O0; a release keeps its line numbers.
if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
    endif()
    if(CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
        set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
    endif()
endif()

add_library(azr_flags INTERFACE)
target_compile_definitions(azr_flags INTERFACE
    _GNU_SOURCE _FILE_OFFSET_BITS=64)

# Highest fortification that compiler and C library take without a warning; none
# at -O0 (it would only warn) and none under a sanitizer (they clash).
if(NOT AZR_SANITIZE AND NOT AZR_FUZZ)
    foreach(level IN ITEMS 3 2)
        cmake_push_check_state(RESET)
        set(CMAKE_REQUIRED_FLAGS
            "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level}")
        check_c_source_compiles("#include <string.h>
            int main(int c, char **v) { char b[8]; (void)v;
            memset(b, c, (size_t)c); return b[0]; }" AZR_HAS_FORTIFY_${level})
        cmake_pop_check_state()
        if(AZR_HAS_FORTIFY_${level})
            set(azr_fortify -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
            break()
        endif()
    endforeach()
    set(azr_optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
    if(CMAKE_C_FLAGS MATCHES "-O0")
        set(azr_optimised 0)
    elseif(CMAKE_C_FLAGS MATCHES "-O[1-9sz]")
        set(azr_optimised 1)
    endif()
    target_compile_options(azr_flags INTERFACE
        "$<${azr_optimised}:${azr_fortify}>")
    target_compile_options(azr_flags INTERFACE -fstack-protector-strong)
    target_link_options(azr_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()

if(AZR_SANITIZE)
    # An error of any sanitizer must fail the test that met it.
    set(azr_sanitize -fsanitize=${AZR_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    target_compile_options(azr_flags INTERFACE ${azr_sanitize})
    target_link_options(azr_flags INTERFACE ${azr_sanitize})
endif()
if(AZR_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "AZR_FUZZ needs clang: CC=clang cmake …")
    endif()
    # No ASan; undefined behaviour is a trap. What is compared is not told to
    # libFuzzer: that takes half of the time.
    if(AZR_FUZZ STREQUAL "fast")
        set(azr_fuzz -fsanitize=undefined -fsanitize-trap=undefined
            -fsanitize-coverage=inline-8bit-counters,pc-table)
    else()
        set(azr_fuzz -fsanitize=fuzzer-no-link,address,undefined
            -fno-sanitize-recover=all -fno-omit-frame-pointer)
    endif()
    target_compile_options(azr_flags INTERFACE ${azr_fuzz})
    target_link_options(azr_flags INTERFACE ${azr_fuzz})
endif()

set(azr_warning_list
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef
    -Wvla -Wcast-qual -Wcast-align -Wpointer-arith -Wwrite-strings -Wformat=2
    -Wstrict-prototypes -Wmissing-prototypes -Wredundant-decls -Wswitch-enum
    -Wimplicit-fallthrough -Wdouble-promotion $<$<BOOL:${AZR_WERROR}>:-Werror>)
add_library(azr_warnings INTERFACE)
target_compile_options(azr_warnings INTERFACE
    ${azr_warning_list} -Wnull-dereference)
# cmocka's assertions do not return when they fail, but do not say so to the
# compiler: after assert_non_null(p) it would still see a null p.
add_library(azr_test_warnings INTERFACE)
target_compile_options(azr_test_warnings INTERFACE ${azr_warning_list})
