# SPDX-License-Identifier: Apache-2.0
# cmake -DPROGRAM=… -DSCRATCH=… -P run-in-empty.cmake: run it in a new directory.
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${SCRATCH}
    RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${PROGRAM}: ended with ${result}")
endif()
