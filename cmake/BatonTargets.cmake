# baton_library, baton_binary, baton_test: the only ways to add a target.

add_library(baton_flags INTERFACE)
target_include_directories(baton_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(baton_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
# Fused multiply-adds appear only where the source writes them: numbers must not depend on the optimiser (docs/exactness.md).
target_compile_options(baton_flags INTERFACE -ffp-contract=off)
if(BATON_WERROR)
  target_compile_options(baton_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(baton_flags INTERFACE -Wthread-safety -Wno-unused-command-line-argument)
endif()
if(BATON_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Asio has fences, which ThreadSanitizer can't see; what they order is ordered by its locks as well.
  target_compile_options(baton_flags INTERFACE -Wno-tsan)
endif()
if(BATON_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # gcc 12 loses track of initialisation under its sanitizers' instrumentation (in <regex>, for one); release builds keep it.
  target_compile_options(baton_flags INTERFACE -Wno-maybe-uninitialized)
endif()
if(BATON_SANITIZE)
  target_compile_options(baton_flags INTERFACE -fsanitize=${BATON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(baton_flags INTERFACE -fsanitize=${BATON_SANITIZE})
endif()

# baton_library(NAME SRCS a.cc... DEPS lib...): without SRCS, a header-only library.
function(baton_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(${name} STATIC ${ARG_SRCS})
    target_link_libraries(${name} PUBLIC baton_flags ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE baton_flags ${ARG_DEPS})
  endif()
endfunction()

# Every baton_binary: what `./baton up` builds.
add_custom_target(baton_binaries)

# baton_binary(NAME SRCS a.cc... DEPS lib...): an executable in <build>/bin.
function(baton_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE baton_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  add_dependencies(baton_binaries ${name})
endfunction()

# The environment of every test under a sanitizer: stop at the first report, and the reviewed suppressions.
set(BATON_TEST_ENVIRONMENT "BATON_SANITIZE=${BATON_SANITIZE}")
if(BATON_SANITIZE MATCHES thread)
  list(APPEND BATON_TEST_ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp")
elseif(BATON_SANITIZE MATCHES address)
  list(APPEND BATON_TEST_ENVIRONMENT "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
endif()

# baton_test(NAME KIND unit|sim|integration|e2e|tidy|fuzz SRCS a.cc... DEPS lib... [TIMEOUT s] [ARGS ...] [LABELS tsan...] [COMPUTES])
# One ctest entry per executable; the KIND is a ctest label. Give the label `tsan` to tests whose whole link is ours to
# instrument, and `heavy` to what sanitizers would make too slow; COMPUTES: the test's own source works for long. Sources see BATON_SOURCE_DIR (the checkout) for goldens.
function(baton_test name)
  cmake_parse_arguments(ARG "COMPUTES" "KIND;TIMEOUT" "SRCS;DEPS;ARGS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(BATON_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 3")
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE baton_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(BATON_SANITIZE AND NOT ARG_COMPUTES)
    target_compile_options(${name} PRIVATE -O0)  # a test's own source is instrumented in two thirds of the time; what it tests stays -O1
  endif()
  target_compile_definitions(${name} PRIVATE BATON_SOURCE_DIR="${CMAKE_SOURCE_DIR}" BATON_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_KIND};${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "${BATON_TEST_ENVIRONMENT}")
  baton_label_targets(${name} ${ARG_KIND} ${ARG_LABELS})
endfunction()

# baton_tests_LABEL builds every test with a label, and for Python tests every binary; baton_tests_not_heavy what has not that one.
function(baton_label_targets built)
  set(labels ${ARGN})
  if(NOT "heavy" IN_LIST labels)
    list(APPEND labels not_heavy)
  endif()
  foreach(label IN LISTS labels)
    if(NOT TARGET baton_tests_${label})
      add_custom_target(baton_tests_${label})
    endif()
    add_dependencies(baton_tests_${label} ${built})
  endforeach()
endfunction()

# baton_python_test(NAME KIND ... SRC x_test.py [TIMEOUT s] [LABELS ...]): a Python unittest file, by the interpreter of the
# environment that `./baton test` makes, or the system's. It finds the binaries by BATON_BIN_DIR, the checkout by BATON_SOURCE_DIR.
function(baton_python_test name)
  cmake_parse_arguments(ARG "" "KIND;SRC;TIMEOUT" "LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(BATON_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 3")
  endif()
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/support/run_python_test.sh ${name} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SRC})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_KIND};${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL TRUE
    ENVIRONMENT "BATON_BIN_DIR=${CMAKE_BINARY_DIR}/bin;BATON_SOURCE_DIR=${CMAKE_SOURCE_DIR};${BATON_TEST_ENVIRONMENT}")
  baton_label_targets(baton_binaries ${ARG_KIND} ${ARG_LABELS})
endfunction()
