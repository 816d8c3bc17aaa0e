# SPDX-License-Identifier: Apache-2.0
# Fails unless the page contains the example, line by line, in a block of C.
file(READ ${page} text)
file(READ ${example} code)
string(FIND "${text}" "```c\n${code}```" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${page} does not hold ${example} as it is: copy it into the block of C there")
endif()
