# orrery_flags: the one interface target that carries language level, warnings and sanitizers.
option(ORRERY_WERROR "Treat warnings as errors" OFF)
set(ORRERY_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")  # no NDEBUG: assertions stay on; line tables for backtraces

find_program(ORRERY_CCACHE ccache)
if(ORRERY_CCACHE)
  # Paths relative to the source directory, so that clones share the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${ORRERY_CCACHE})
endif()
find_program(ORRERY_MOLD mold)
if(ORRERY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(orrery_flags INTERFACE)
target_include_directories(orrery_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(orrery_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wswitch-enum -Woverloaded-virtual
  -fstack-protector-strong $<$<BOOL:${ORRERY_WERROR}>:-Werror>
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=300 --param=ggc-min-heapsize=1000000>  # memory for time: a tenth of it
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # GCC 12 warns of "literal" + std::string in its own headers (PR 105651)
target_compile_definitions(orrery_flags INTERFACE
  ORRERY_VERSION="${PROJECT_VERSION}"
  _GLIBCXX_ASSERTIONS
  _TURN_OFF_PLATFORM_STRING         # cpprest's macro U breaks Boost and fmt
  SPDLOG_FMT_EXTERNAL)
if(ORRERY_SANITIZE)
  target_compile_options(orrery_flags INTERFACE -fsanitize=${ORRERY_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(orrery_flags INTERFACE -fsanitize=${ORRERY_SANITIZE})
  if(ORRERY_SANITIZE MATCHES undefined)
    # GCC 12 takes what the sanitizer's checks jump over for uninitialised; the release build warns where it is true.
    target_compile_options(orrery_flags INTERFACE -fno-sanitize-recover=undefined
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
endif()
