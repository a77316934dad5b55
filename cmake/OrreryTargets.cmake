# Most of what is compiled is headers: where this is on, several files of a target are compiled as one.
option(ORRERY_UNITY "Compile several files of a library or a test program as one" OFF)
function(orrery_unity name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${ORRERY_UNITY} UNITY_BUILD_BATCH_SIZE 6)
  target_compile_options(${name} PRIVATE
    $<$<AND:$<BOOL:${ORRERY_UNITY}>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage>)  # it takes the files for headers
endfunction()

# orrery_library(NAME SOURCES a.cpp ... LINKS ... [PRIVATE_LINKS ...] [TESTS a.test.cpp ...] [TEST_LINKS ...])
# One room: a static library and one test program NAME_test. Sources are named, never globbed.
function(orrery_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS;TESTS;TEST_LINKS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC orrery_flags ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
    orrery_unity(${name})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE orrery_flags ${ARG_LINKS})
  endif()
  if(ARG_TESTS)
    orrery_test(${name}_test SOURCES ${ARG_TESTS} LINKS ${name} ${ARG_TEST_LINKS})
  endif()
endfunction()

# orrery_binary(NAME SOURCES ... LINKS ...): a program in build/<preset>/bin.
function(orrery_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE orrery_flags ${ARG_LINKS})
endfunction()

# orrery_test(NAME SOURCES ... LINKS ...): a GoogleTest program, one CTest case per TEST, found when tests run.
#
# Tests are half of all that is compiled, and are optimised less.
include(GoogleTest)
function(orrery_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  orrery_unity(${name})
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE orrery_flags ${ARG_LINKS} GTest::gmock GTest::gtest GTest::gtest_main)
  set(environment)
  if(ORRERY_SANITIZE MATCHES thread)
    # Debian's libcpprest, OpenSSL and libstdc++ are not instrumented: how they count references is not seen, and what they
    # free would look unordered with its last use. What our own code reads and writes is watched on every thread.
    set(environment ENVIRONMENT TSAN_OPTIONS=ignore_noninstrumented_modules=1)
  elseif(ORRERY_SANITIZE MATCHES address)
    set(environment ENVIRONMENT LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/sanitizers/lsan.supp)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    PROPERTIES TIMEOUT 120 ${environment})
endfunction()

# orrery_fuzz([FOLDER/]NAME LINKS ...): LLVMFuzzerTestOneInput in NAME.fuzz.cpp, and beside it NAME.corpus, the inputs that are kept of it.
# In the preset `fuzz` a libFuzzer program in build/fuzz/fuzzers, part of the target `fuzzers`; in every other preset a test
# that runs those inputs.
function(orrery_fuzz path)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  get_filename_component(name ${path} NAME)
  if(ORRERY_SANITIZE MATCHES fuzzer)
    add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${path}.fuzz.cpp)
    set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers OUTPUT_NAME ${name})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    add_dependencies(fuzzers fuzz_${name})
  else()
    add_executable(fuzz_${name} ${path}.fuzz.cpp ${CMAKE_SOURCE_DIR}/cmake/fuzz/replay.cpp)
    set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME corpus.${name} COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/${path}.corpus)
    set_tests_properties(corpus.${name} PROPERTIES TIMEOUT 120)
  endif()
  target_link_libraries(fuzz_${name} PRIVATE orrery_flags ${ARG_LINKS})
endfunction()

# For tests of what needs Debian's Python packages: its own python sees them, whatever else is on the PATH.
find_program(ORRERY_DEBIAN_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(NOT ORRERY_DEBIAN_PYTHON)
  find_program(ORRERY_DEBIAN_PYTHON python3 REQUIRED)
endif()
