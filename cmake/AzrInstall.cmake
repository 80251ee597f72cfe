# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: library, headers, azr, pkg-config file,
# CMake package, man pages, licence.
include(CMakePackageConfigHelpers)

install(TARGETS atomiczarr EXPORT atomiczarrTargets)
install(TARGETS atomiczarr_static EXPORT atomiczarrStaticTargets)
if(TARGET azr)
    install(TARGETS azr)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/include/atomiczarr.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/atomiczarr
    ${PROJECT_SOURCE_DIR}/include/azr
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# Prefix and directories relative to the file itself, so that the tree can move.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR
   IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(AZR_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(AZR_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
    set(AZR_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" up "${up}")
    set(AZR_PC_PREFIX "\${pcfiledir}/${up}")
    set(AZR_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(AZR_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
list(JOIN AZR_REQUIRES ", " AZR_PC_REQUIRES)
list(TRANSFORM AZR_REQUIRES REPLACE "^(.+)$" "\"\\1\"" OUTPUT_VARIABLE quoted)
list(JOIN quoted " " AZR_CONFIG_REQUIRES)
configure_file(${PROJECT_SOURCE_DIR}/cmake/atomiczarr.pc.in atomiczarr.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/atomiczarr.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(AZR_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/atomiczarr)
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/atomiczarrConfig.cmake.in
    atomiczarrConfig.cmake INSTALL_DESTINATION ${AZR_CMAKE_DIR})
write_basic_package_version_file(atomiczarrConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/atomiczarrConfig.cmake
    ${PROJECT_BINARY_DIR}/atomiczarrConfigVersion.cmake
    DESTINATION ${AZR_CMAKE_DIR})
install(EXPORT atomiczarrTargets NAMESPACE atomiczarr::
    DESTINATION ${AZR_CMAKE_DIR})
install(EXPORT atomiczarrStaticTargets NAMESPACE atomiczarr::
    DESTINATION ${AZR_CMAKE_DIR})

foreach(section IN ITEMS 1 3 5 7)
    file(GLOB pages CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/docs/man/*.${section})
    if(pages)
        install(FILES ${pages}
            DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE
    DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The elevation model of `azr demo`, found relative to the program.
file(GLOB azr_data ${PROJECT_SOURCE_DIR}/data/*)
install(FILES ${azr_data} DESTINATION ${CMAKE_INSTALL_DATADIR}/atomiczarr)
